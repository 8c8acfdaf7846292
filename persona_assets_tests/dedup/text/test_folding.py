"""Folding a text yields canonical text with exactly the words of the definition, `words.words`."""

import itertools
import unicodedata
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.text.folding import PADDING, fold_texts, text_buffers
from persona_assets.dedup.text.words import words
from persona_assets_tests.dedup.texts import HOSTILE, any_texts, characters, valid_texts

STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
LAST_TEXT = "and more" * 8
"""A last text that lets kernels read the texts before it in blocks of 64 bytes."""


def folded(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> list[set[str]]:
    """Return the words of each canonical text, which do not depend on the other rows."""
    buffers = text_buffers(texts)
    folded_data, ends = fold_texts(buffers, np.arange(len(buffers)))
    assert ends[-1] + PADDING <= len(folded_data)
    canonical = [bytes(folded_data[start:stop]) for start, stop in itertools.pairwise(ends)]
    for row, text in enumerate(canonical):
        alone, (start, stop) = fold_texts(buffers, np.array([row]))
        assert bytes(alone[start:stop]) == text
    return [set(text.decode().split(" ")) - {""} for text in canonical]


def assert_folded(texts: list[str]) -> None:
    """Assert that folding finds each text's words, before the end of the buffer and at its end."""
    expected = [words(text) for text in texts]
    assert folded(texts) == expected
    for found, text, text_words in zip(folded([*texts, LAST_TEXT]), texts, expected, strict=False):
        assert found == text_words, text


@settings(deadline=None, max_examples=100)
@given(st.lists(any_texts, max_size=6))
def test_folding_keeps_exactly_the_words_of_a_text(texts: list[str]) -> None:
    assert_folded(texts)


stretches = st.text("aZ0 -'", max_size=150)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(stretches, characters), max_size=6))
def test_folding_keeps_plain_runs_between_other_characters(parts: list[tuple[str, str]]) -> None:
    assert_folded(["".join(itertools.chain(*parts)), "".join(itertools.chain(*parts[::-1]))])


unspaced = st.text(
    st.sampled_from("ครูที่สำเก็จึฺุญล້າ່ເຫຼືອກ្រុំគ្រူဆရာ့်း" + "\u0301\u200d\u00ad\u3099教師がガーa+ 9"),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(unspaced | st.from_regex("[\u0e01-\u0e5b]*", fullmatch=True), max_size=6))
def test_folding_keeps_marks_of_unspaced_scripts_as_letters(texts: list[str]) -> None:
    assert_folded([*texts, *(text * 40 for text in texts)])


def test_folding_cuts_off_marks_after_thirty() -> None:
    for mark in "\u0e35\u0e48":
        assert_folded([f"ก{mark * count}ข" for count in range(28, 34)])
        assert_folded([f"ก{mark * 15}\u00ad{mark * count}ข" for count in range(13, 18)])


def test_folding_keeps_the_words_of_hostile_texts() -> None:
    assert_folded(HOSTILE)


def test_folding_keeps_every_character_in_every_position() -> None:
    # A sample suffices for the large blocks of similar characters.
    blocks = [range(0x3401, 0xA000), range(0xAC01, 0xD7A4), range(0xE000, 0xF900)]
    skipped = {i for block in blocks for i in block if i % 29}
    tested = [chr(i) for i in (*range(0x20000), *range(0x20000, 0x110000, 997)) if i not in skipped]
    texts = [f"a{c}b {c}{c}a 教{c}师{c} c+{c}+ {c}#{c}" for c in tested]
    for text, found_words in zip(texts, folded(texts), strict=True):
        assert found_words == words(text)


def test_folding_composes_characters_with_the_character_before() -> None:
    texts = []
    for i in range(0x110000):
        decomposed = unicodedata.normalize("NFD", chr(i))
        if len(decomposed) > 1:
            texts += [decomposed, f"a{decomposed}b", f"{decomposed[0]}\u00ad{decomposed[1:]}"]
    assert len(texts) > 30_000
    for text, found_words in zip(texts, folded(texts), strict=True):
        assert found_words == words(text)


@pytest.mark.parametrize("length", range(1, 34))
def test_folding_keeps_ascii_texts_of_every_length_at_every_offset(length: int) -> None:
    line = "".join(map(chr, range(128)))
    texts = [(line + line)[start : start + length] for start in range(0, 128, 3)]
    assert_folded(texts)
    without_signs = [text.replace("+", " ").replace("#", " ") for text in texts]
    assert_folded(without_signs)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | valid_texts, max_size=8), st.sampled_from(STRINGS), st.data())
def test_folding_reads_sliced_and_chunked_arrays_like_lists(
    texts: list[str | None], kind: pa.DataType, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), min_size=2, max_size=2)))
    selected = texts[cuts[0] : cuts[1]]
    expected = [words(text or "") for text in selected]
    array = pa.array(texts, kind)
    assert folded(array.slice(cuts[0], cuts[1] - cuts[0])) == expected
    middle = data.draw(st.integers(0, len(texts)))
    chunks = pa.chunked_array([array[:middle], array[middle:middle], array[middle:]], kind)
    assert folded(chunks.slice(cuts[0], cuts[1] - cuts[0])) == expected


@pytest.mark.parametrize("kind", STRINGS)
def test_folding_reads_arrays_without_texts_or_characters(kind: pa.DataType) -> None:
    assert folded(pa.array([], kind)) == []
    assert folded(pa.chunked_array([], kind)) == []
    assert folded(pa.array(["", None, ""], kind)) == [set(), set(), set()]
    assert folded(pa.array([None], kind)) == [set()]
    assert folded(pa.array(["a nurse", None], kind)[1:]) == [set()]
