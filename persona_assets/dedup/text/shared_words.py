"""Words that repeat within a text, and words that two texts share.

Equal hashes propose a match. Wherever two words can share a hash, their bytes decide.
"""

import numpy as np

from persona_assets.dedup.kernels.bits import leading_zeros, load64, popcount, trailing_zeros
from persona_assets.dedup.kernels.compile import Array, Int, allocating, inlined, kernel
from persona_assets.dedup.kernels.simd_u64 import LANES, first_lanes, load

_WIDTH_MASK = 0xFFFFFFFF
"""Bits of a place that hold the word's width."""

_MAX_UNSORTED = 64
"""Largest number of words that are searched from end to end; longer texts are sorted."""


@inlined
def unpack_place(place: Int) -> tuple[Int, Int]:
    """Return the start and the width in bytes of a word, from its place `start << 32 | width`."""
    return np.int64(place >> np.uint64(32)), np.int64(place & np.uint64(_WIDTH_MASK))


@inlined
def drop_repeated_words(
    canonical: Array, hashes: Array, places: Array, count: Int, wide: Int
) -> Int:
    """Drop repeats among the first `count` words, in place; return the number of distinct words.

    Args:
        canonical: Canonical text, uint8.
        hashes: Hash of each word, uint64.
        places: Place of each word, uint64, see `unpack_place`.
        count: Number of words.
        wide: Bit mask of the words of more than eight bytes, used up to 64 words.
    """
    if count > _MAX_UNSORTED:
        return _drop_repeats_sorted(canonical, hashes, places, count)
    repeats = np.uint64(0)
    for i in range(0, count, LANES):
        block = load(hashes, i)
        same = np.uint64(0)
        for j in range(0, i, LANES):
            for k in range(LANES):
                same |= block == hashes[j + k]
        for k in range(LANES - 1):
            same |= (block == hashes[i + k]) & (np.uint64(0xFE) << np.uint64(k))
        repeats |= (same & first_lanes(count - i)) << np.uint64(i)
    unsure = repeats & wide
    while unsure:
        word = np.int64(trailing_zeros(unsure))
        unsure &= unsure - np.uint64(1)
        if not _contains_word(
            canonical, hashes, places, word, hashes[word], canonical, places[word]
        ):
            repeats ^= np.uint64(1) << np.uint64(word)
    while repeats:
        word = np.int64(63) - np.int64(leading_zeros(repeats))
        repeats ^= np.uint64(1) << np.uint64(word)
        count -= 1
        hashes[word], places[word] = hashes[count], places[count]
    return count


@allocating
def _drop_repeats_sorted(canonical: Array, hashes: Array, places: Array, count: Int) -> Int:
    """Sort the words by hash, drop repeats in place, and return the number of distinct words."""
    order = np.argsort(hashes[:count], kind="mergesort")
    hashes[:count] = hashes[:count][order]
    places[:count] = places[:count][order]
    kept = 0
    for i in range(count):
        value, place = hashes[i], places[i]
        j = kept - 1
        while j >= 0 and hashes[j] == value:
            if same_word(canonical, places[j], canonical, place):
                break
            j -= 1
        if j < 0 or hashes[j] != value:
            hashes[kept], places[kept] = value, place
            kept += 1
    return kept


@kernel
def count_shared_words(
    canonical: Array,
    words: Array,
    count: Int,
    other_canonical: Array,
    other_words: Array,
    other_count: Int,
) -> Int:
    """Return the number of words that two texts share.

    Args:
        canonical: Canonical text, uint8.
        words: Its distinct words, as `split_words` writes them.
        count: Number of its words.
        other_canonical: The other canonical text, uint8.
        other_words: Distinct words of the other text.
        other_count: Number of words of the other text.
    """
    if min(count, other_count) > _MAX_UNSORTED:
        return _count_shared_sorted(
            canonical, words, count, other_canonical, other_words, other_count
        )
    hashes, places = words[0], words[1]
    other_hashes, other_places = other_words[0], other_words[1]
    shared = np.int64(0)
    for i in range(0, count, LANES):
        block = load(hashes, i)
        same = np.uint64(0)
        for j in range(other_count):
            same |= block == other_hashes[j]
        same &= first_lanes(count - i)
        shared += np.int64(popcount(same))
        unsure = same & ((load(places, i) & np.uint64(_WIDTH_MASK)) > np.uint64(8))
        while unsure:
            word = i + np.int64(trailing_zeros(unsure))
            unsure &= unsure - np.uint64(1)
            if not _contains_word(
                other_canonical,
                other_hashes,
                other_places,
                other_count,
                hashes[word],
                canonical,
                places[word],
            ):
                shared -= 1
    return shared


@kernel
def _count_shared_sorted(
    canonical: Array,
    words: Array,
    count: Int,
    other_canonical: Array,
    other_words: Array,
    other_count: Int,
) -> Int:
    """Return the number of words that two texts share, given words that ascend by hash."""
    shared = 0
    i = j = 0
    while i < count and j < other_count:
        left_hash, right_hash = words[0, i], other_words[0, j]
        if left_hash < right_hash:
            i += 1
        elif right_hash < left_hash:
            j += 1
        else:
            end = j
            while end < other_count and other_words[0, end] == left_hash:
                if same_word(canonical, words[1, i], other_canonical, other_words[1, end]):
                    shared += 1
                    break
                end += 1
            i += 1
            if i == count or words[0, i] != left_hash:
                while j < other_count and other_words[0, j] == left_hash:
                    j += 1
    return shared


@kernel
def _contains_word(
    canonical: Array,
    hashes: Array,
    places: Array,
    count: Int,
    value: Int,
    other_canonical: Array,
    place: Int,
) -> bool:
    """Return True if the first `count` words contain the word with hash `value` at `place`."""
    for j in range(0, count, LANES):
        same = (load(hashes, j) == value) & first_lanes(count - j)
        while same:
            if same_word(
                canonical, places[j + np.int64(trailing_zeros(same))], other_canonical, place
            ):
                return True
            same &= same - np.uint64(1)
    return False


@kernel
def same_word(canonical: Array, place: Int, other_canonical: Array, other_place: Int) -> bool:
    """Return True if two words of equal hash have equal bytes."""
    start, width = unpack_place(place)
    other_start, other_width = unpack_place(other_place)
    if width != other_width:
        return False
    if width <= 8:
        return True
    last = width - 8
    same = load64(canonical, start + last) == load64(other_canonical, other_start + last)
    for i in range(0, last, 8):
        same &= load64(canonical, start + i) == load64(other_canonical, other_start + i)
    return bool(same)
