import itertools
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.text.folding import ROOM, fold_texts, text_buffers
from persona_assets.dedup.text.words import words
from persona_assets_tests.dedup.texts import HOSTILE, any_texts, characters, valid_texts

GUARD = 0xA5
STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
BEHIND = "and more" * 8
"""A text in which the last one that matters may be read in blocks of 64 bytes."""


def folded(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> list[set[str]]:
    """The words in the canonical form of each text, the same whichever go with it."""
    found = text_buffers(texts)
    data, ends = fold_texts(found, np.arange(len(found)))
    assert ends[-1] + ROOM <= len(data)
    forms = [bytes(data[start:stop]) for start, stop in itertools.pairwise(ends)]
    for row, form in enumerate(forms):
        alone, (start, stop) = fold_texts(found, np.array([row]))
        assert bytes(alone[start:stop]) == form
    return [set(form.decode().split(" ")) - {""} for form in forms]


def assert_folded(texts: list[str]) -> None:
    expected = [words(text) for text in texts]
    assert folded(texts) == expected
    for found, text, right in zip(folded([*texts, BEHIND]), texts, expected, strict=False):
        assert found == right, text


@settings(deadline=None, max_examples=100)
@given(st.lists(any_texts, max_size=6))
def test_the_words_of_the_canonical_form_are_the_words_of_the_text(texts: list[str]) -> None:
    assert_folded(texts)


stretches = st.text("aZ0 -'", max_size=150)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(stretches, characters), max_size=6))
def test_plain_stretches_between_other_characters(parts: list[tuple[str, str]]) -> None:
    assert_folded(["".join(itertools.chain(*parts)), "".join(itertools.chain(*parts[::-1]))])


unspaced = st.text(
    st.sampled_from("ครูที่สำเก็จึฺุญล້າ່ເຫຼືອກ្រុំគ្រူဆရာ့်း" + "\u0301\u200d\u00ad\u3099教師がガーa+ 9"),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(unspaced | st.from_regex("[\u0e01-\u0e5b]*", fullmatch=True), max_size=6))
def test_scripts_whose_marks_are_letters(texts: list[str]) -> None:
    assert_folded([*texts, *(text * 40 for text in texts)])


def test_marks_are_cut_off_after_thirty() -> None:
    for mark in "\u0e35\u0e48":
        assert_folded([f"ก{mark * count}ข" for count in range(28, 34)])
        assert_folded([f"ก{mark * 15}\u00ad{mark * count}ข" for count in range(13, 18)])


def test_hostile_texts() -> None:
    assert_folded(HOSTILE)


def test_every_character_in_every_place() -> None:
    # Of the large blocks of like characters some will do.
    like = [range(0x3401, 0xA000), range(0xAC01, 0xD7A4), range(0xE000, 0xF900)]
    likely = {i for block in like for i in block if i % 29}
    signs = [chr(i) for i in (*range(0x20000), *range(0x20000, 0x110000, 997)) if i not in likely]
    texts = [f"a{c}b {c}{c}a 教{c}师{c} c+{c}+ {c}#{c}" for c in signs]
    for text, found in zip(texts, folded(texts), strict=True):
        assert found == words(text)


def test_characters_that_compose_with_the_one_before_them() -> None:
    texts = []
    for i in range(0x110000):
        parts = unicodedata.normalize("NFD", chr(i))
        if len(parts) > 1:
            texts += [parts, f"a{parts}b", f"{parts[0]}\u00ad{parts[1:]}"]
    assert len(texts) > 30_000
    for text, found in zip(texts, folded(texts), strict=True):
        assert found == words(text)


@pytest.mark.parametrize("length", range(1, 34))
def test_ascii_texts_of_every_length_at_every_place(length: int) -> None:
    line = "".join(map(chr, range(128)))
    texts = [(line + line)[start : start + length] for start in range(0, 128, 3)]
    assert_folded(texts)
    without_signs = [text.replace("+", " ").replace("#", " ") for text in texts]
    assert_folded(without_signs)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | valid_texts, max_size=8), st.sampled_from(STRINGS), st.data())
def test_arrow_arrays_sliced_and_chunked_are_read_as_lists_are(
    texts: list[str | None], kind: pa.DataType, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), min_size=2, max_size=2)))
    chosen = texts[cuts[0] : cuts[1]]
    expected = [words(text or "") for text in chosen]
    array = pa.array(texts, kind)
    assert folded(array.slice(cuts[0], cuts[1] - cuts[0])) == expected
    middle = data.draw(st.integers(0, len(texts)))
    chunks = pa.chunked_array([array[:middle], array[middle:middle], array[middle:]], kind)
    assert folded(chunks.slice(cuts[0], cuts[1] - cuts[0])) == expected


@pytest.mark.parametrize("kind", STRINGS)
def test_arrays_without_a_text_and_without_a_character(kind: pa.DataType) -> None:
    assert folded(pa.array([], kind)) == []
    assert folded(pa.chunked_array([], kind)) == []
    assert folded(pa.array(["", None, ""], kind)) == [set(), set(), set()]
    assert folded(pa.array([None], kind)) == [set()]
    assert folded(pa.array(["a nurse", None], kind)[1:]) == [set()]
