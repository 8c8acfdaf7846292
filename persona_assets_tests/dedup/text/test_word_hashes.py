import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.text.folding import ROOM
from persona_assets.dedup.text.word_hashes import empty_words, split_words, word_hashes
from persona_assets.dedup.text.words import words
from persona_assets_tests.dedup.texts import LONGER_OF_ONE_HASH, ONE_HASH, VOCABULARY, any_texts

GUARD = 0xA5A5A5A5A5A5A5A5
LETTERS = "abcdefghij"

one_word = st.sampled_from(VOCABULARY) | st.text("ab", min_size=1, max_size=20)
joined = st.lists(one_word, max_size=80).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(st.lists(any_texts | joined, max_size=6))
def test_a_word_has_one_hash_in_every_text_and_no_other_word_has_it(texts: list[str]) -> None:
    every = sorted({word for text in texts for word in words(text)})
    hashes, offsets = word_hashes([*texts, *every])
    found = [hashes[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    hash_of = {word: value for word, (value,) in zip(every, found[len(texts) :], strict=True)}
    assert len(set(hash_of.values())) == len(every)
    for text, values in zip(texts, found, strict=False):
        assert sorted(values) == sorted(hash_of[word] for word in words(text))


@pytest.mark.parametrize("pair", [ONE_HASH, LONGER_OF_ONE_HASH])
@pytest.mark.parametrize("others", [0, 5, 30, 100])
def test_words_of_one_hash_are_told_apart(pair: list[str], others: int) -> None:
    rest = [f"other{i}" for i in range(others)]
    texts = [" ".join([*pair, *rest, *pair[::-1]]), " ".join([*pair[::-1], *rest, *pair])]
    hashes, offsets = word_hashes(texts)
    assert offsets.tolist() == [0, others + 2, 2 * others + 4]
    assert len(set(hashes.tolist())) == others + 1


def test_words_that_differ_in_one_byte_only_have_hashes_of_their_own() -> None:
    different = ["x" * length + last for length in range(40) for last in "abc"]
    different += ["a" + "x" * length for length in range(1, 40)]
    hashes, offsets = word_hashes([" ".join(different), " ".join(reversed(different))])
    assert offsets.tolist() == [0, len(different), 2 * len(different)]
    here, there = np.split(hashes, 2)
    assert set(here.tolist()) == set(there.tolist())
    assert len(set(here.tolist())) == len(different)


@pytest.mark.parametrize("width", range(1, 42))
def test_words_that_differ_in_a_byte_or_two_have_hashes_of_their_own(width: int) -> None:
    different = ["x" * width]
    for places in (*itertools.combinations(range(width), 1), *itertools.pairwise(range(width))):
        different += [changed(width, places, last) for last in LETTERS]
    different += [
        changed(width, (place, place + 8), pair)
        for place in range(width - 8)
        for pair in itertools.product(LETTERS, repeat=2)
    ]
    hashes, _ = word_hashes(different)
    assert len(set(hashes.tolist())) == len(set(different))


def changed(width: int, places: tuple[int, ...], letters: Sequence[str]) -> str:
    word = ["x"] * width
    for place, letter in itertools.zip_longest(places, letters, fillvalue=letters[-1]):
        word[place] = letter
    return "".join(word)


@pytest.mark.parametrize("text", ["a " * 200, "ab  c" * 80, "x" * 400, " " * 400])
def test_words_are_found_in_their_room_and_up_to_their_end(text: str) -> None:
    for start, length in itertools.product((0, 1, 63), range(200)):
        stop = start + length
        # What comes behind is a letter, and must not lengthen the last word.
        canonical = np.frombuffer(text[:stop].encode() + b"b" * ROOM, np.uint8)
        room = empty_words(length)
        memory = np.full(room.size + 64, GUARD, np.uint64)
        words = memory[: room.size].reshape(room.shape)
        found = split_words(canonical, start, stop, words)
        expected = {word.encode() for word in text[start:stop].split()}
        places = [(int(place) >> 32, int(place) & 0xFFFFFFFF) for place in words[1, :found]]
        assert sorted(canonical[at : at + width].tobytes() for at, width in places) == sorted(
            expected
        )
        assert (memory[room.size :] == GUARD).all()


def test_word_hashes_of_many_texts_and_of_long_ones() -> None:
    texts = ["a", " ".join(f"w{i}" for i in range(5000)), "a b", *("b a" for _ in range(20_000))]
    hashes, offsets = word_hashes(texts)
    assert np.diff(offsets).tolist() == [1, 5000, *[2] * 20_001]
    assert len(np.unique(hashes)) == 5002
    assert word_hashes([])[1].tolist() == [0]


@settings(deadline=None)
@given(st.text("abyz09", min_size=1, max_size=40))
def test_no_word_of_more_than_eight_bytes_can_have_the_hash_of_a_shorter_one(word: str) -> None:
    # What is mixed ends in a zero byte for those, and for no other: mixing can be undone.
    (hashed,) = word_hashes([word])[0].tolist()
    assert (unmixed(hashed) & 0xFF == 0) == (len(word) > 8)


def unmixed(value: int) -> int:
    """The inverse of `mix64`."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        shifted = value
        for _ in range(64 // shift):
            shifted = value ^ shifted >> shift
        value = shifted * pow(factor, -1, 1 << 64) % (1 << 64)
    return value
