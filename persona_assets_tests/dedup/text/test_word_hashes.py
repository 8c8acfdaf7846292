"""Equal words have equal hashes in every text, and different words stay distinct."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.text.folding import PADDING
from persona_assets.dedup.text.word_hashes import empty_words, split_words, word_hashes
from persona_assets.dedup.text.words import words
from persona_assets_tests.dedup.texts import LONGER_OF_ONE_HASH, ONE_HASH, VOCABULARY, any_texts

GUARD = 0xA5A5A5A5A5A5A5A5
LETTERS = "abcdefghij"

any_word = st.sampled_from(VOCABULARY) | st.text("ab", min_size=1, max_size=20)
joined = st.lists(any_word, max_size=80).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(st.lists(any_texts | joined, max_size=6))
def test_hashes_are_equal_in_every_text_and_distinct_between_words(texts: list[str]) -> None:
    all_words = sorted({word for text in texts for word in words(text)})
    hashes, offsets = word_hashes([*texts, *all_words])
    hash_lists = [hashes[start:stop].tolist() for start, stop in itertools.pairwise(offsets)]
    hash_of = {
        word: value for word, (value,) in zip(all_words, hash_lists[len(texts) :], strict=True)
    }
    assert len(set(hash_of.values())) == len(all_words)
    for text, values in zip(texts, hash_lists, strict=False):
        assert sorted(values) == sorted(hash_of[word] for word in words(text))


@pytest.mark.parametrize("pair", [ONE_HASH, LONGER_OF_ONE_HASH])
@pytest.mark.parametrize("others", [0, 5, 30, 100])
def test_words_that_share_a_hash_stay_distinct(pair: list[str], others: int) -> None:
    rest = [f"other{i}" for i in range(others)]
    texts = [" ".join([*pair, *rest, *pair[::-1]]), " ".join([*pair[::-1], *rest, *pair])]
    hashes, offsets = word_hashes(texts)
    assert offsets.tolist() == [0, others + 2, 2 * others + 4]
    assert len(set(hashes.tolist())) == others + 1


def test_hashes_differ_for_words_that_differ_in_a_single_byte() -> None:
    different = ["x" * length + last for length in range(40) for last in "abc"]
    different += ["a" + "x" * length for length in range(1, 40)]
    hashes, offsets = word_hashes([" ".join(different), " ".join(reversed(different))])
    assert offsets.tolist() == [0, len(different), 2 * len(different)]
    left, right = np.split(hashes, 2)
    assert set(left.tolist()) == set(right.tolist())
    assert len(set(left.tolist())) == len(different)


@pytest.mark.parametrize("width", range(1, 42))
def test_hashes_differ_for_words_that_differ_in_two_bytes(width: int) -> None:
    different = ["x" * width]
    for places in (*itertools.combinations(range(width), 1), *itertools.pairwise(range(width))):
        different += [with_letters(width, places, last) for last in LETTERS]
    different += [
        with_letters(width, (place, place + 8), pair)
        for place in range(width - 8)
        for pair in itertools.product(LETTERS, repeat=2)
    ]
    hashes, _ = word_hashes(different)
    assert len(set(hashes.tolist())) == len(set(different))


def with_letters(width: int, places: tuple[int, ...], letters: Sequence[str]) -> str:
    """Return a word of `width` bytes "x" with the given letters at the given places."""
    word = ["x"] * width
    for place, letter in itertools.zip_longest(places, letters, fillvalue=letters[-1]):
        word[place] = letter
    return "".join(word)


@pytest.mark.parametrize("text", ["a " * 200, "ab  c" * 80, "x" * 400, " " * 400])
def test_split_words_stays_within_its_output_and_its_text(text: str) -> None:
    for start, length in itertools.product((0, 1, 63), range(200)):
        stop = start + length
        # A letter follows the text and must not extend the last word.
        canonical = np.frombuffer(text[:stop].encode() + b"b" * PADDING, np.uint8)
        output = empty_words(length)
        buffer = np.full(output.size + 64, GUARD, np.uint64)
        words = buffer[: output.size].reshape(output.shape)
        count = split_words(canonical, start, stop, words)
        expected = {word.encode() for word in text[start:stop].split()}
        spans = [(int(place) >> 32, int(place) & 0xFFFFFFFF) for place in words[1, :count]]
        assert sorted(canonical[at : at + width].tobytes() for at, width in spans) == sorted(
            expected
        )
        assert (buffer[output.size :] == GUARD).all()


def test_word_hashes_handle_many_texts_and_long_texts() -> None:
    texts = ["a", " ".join(f"w{i}" for i in range(5000)), "a b", *("b a" for _ in range(20_000))]
    hashes, offsets = word_hashes(texts)
    assert np.diff(offsets).tolist() == [1, 5000, *[2] * 20_001]
    assert len(np.unique(hashes)) == 5002
    assert word_hashes([])[1].tolist() == [0]


@settings(deadline=None)
@given(st.text("abyz09", min_size=1, max_size=40))
def test_hashes_of_words_of_more_than_eight_bytes_differ_from_shorter_words(word: str) -> None:
    # The mixer's input, which the hash determines, ends in a zero byte for longer words only.
    (hashed,) = word_hashes([word])[0].tolist()
    assert (unmixed(hashed) & 0xFF == 0) == (len(word) > 8)


def unmixed(value: int) -> int:
    """Invert `mix64`."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        shifted = value
        for _ in range(64 // shift):
            shifted = value ^ shifted >> shift
        value = shifted * pow(factor, -1, 1 << 64) % (1 << 64)
    return value
