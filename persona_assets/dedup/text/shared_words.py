"""Words that a text has twice, and words that two texts have in common.

Equal hashes propose, and the bytes of the words decide wherever two can share a hash.
"""

import numpy as np

from persona_assets.dedup.kernels.bits import leading_zeros, load64, popcount, trailing_zeros
from persona_assets.dedup.kernels.compile import Array, Int, allocating, inlined, kernel
from persona_assets.dedup.kernels.simd_u64 import LANES, first_lanes, load

_WIDTH = 0xFFFFFFFF
_SHORT = 64
"""Words up to which a text is searched from end to end; those of longer texts are sorted."""


@inlined
def place_of(place: Int) -> tuple[Int, Int]:
    """Where a word begins, and its width, both in bytes, of start << 32 | width."""
    return np.int64(place >> np.uint64(32)), np.int64(place & np.uint64(_WIDTH))


@inlined
def drop_repeated_words(
    canonical: Array, hashes: Array, places: Array, count: Int, wide: Int
) -> Int:
    """Drops repeats among the first `count` words, in place; returns how many stay.

    `wide` has a bit for each word of more than eight bytes, where there are at most 64.
    """
    if count > _SHORT:
        return _distinct_sorted(canonical, hashes, places, count)
    repeats = np.uint64(0)
    for i in range(0, count, LANES):
        some = load(hashes, i)
        same = np.uint64(0)
        for j in range(0, i, LANES):
            for k in range(LANES):
                same |= some == hashes[j + k]
        for k in range(LANES - 1):
            same |= (some == hashes[i + k]) & (np.uint64(0xFE) << np.uint64(k))
        repeats |= (same & first_lanes(count - i)) << np.uint64(i)
    unsure = repeats & wide
    while unsure:
        word = np.int64(trailing_zeros(unsure))
        unsure &= unsure - np.uint64(1)
        if not _among(canonical, hashes, places, word, hashes[word], canonical, places[word]):
            repeats ^= np.uint64(1) << np.uint64(word)
    while repeats:
        word = np.int64(63) - np.int64(leading_zeros(repeats))
        repeats ^= np.uint64(1) << np.uint64(word)
        count -= 1
        hashes[word], places[word] = hashes[count], places[count]
    return count


@allocating
def _distinct_sorted(canonical: Array, hashes: Array, places: Array, count: Int) -> Int:
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
    one: Array, words: Array, count: Int, other: Array, other_words: Array, other_count: Int
) -> Int:
    """How many words two texts have in common, their words as `split` gives them."""
    if min(count, other_count) > _SHORT:
        return _shared_sorted(one, words, count, other, other_words, other_count)
    hashes, places = words[0], words[1]
    other_hashes, other_places = other_words[0], other_words[1]
    shared = np.int64(0)
    for i in range(0, count, LANES):
        some = load(hashes, i)
        same = np.uint64(0)
        for j in range(other_count):
            same |= some == other_hashes[j]
        same &= first_lanes(count - i)
        shared += np.int64(popcount(same))
        unsure = same & ((load(places, i) & np.uint64(_WIDTH)) > np.uint64(8))
        while unsure:
            word = i + np.int64(trailing_zeros(unsure))
            unsure &= unsure - np.uint64(1)
            if not _among(
                other, other_hashes, other_places, other_count, hashes[word], one, places[word]
            ):
                shared -= 1
    return shared


@kernel
def _shared_sorted(
    one: Array, words: Array, count: Int, other: Array, other_words: Array, other_count: Int
) -> Int:
    shared = 0
    i = j = 0
    while i < count and j < other_count:
        a, b = words[0, i], other_words[0, j]
        if a < b:
            i += 1
        elif b < a:
            j += 1
        else:
            end = j
            while end < other_count and other_words[0, end] == a:
                if same_word(one, words[1, i], other, other_words[1, end]):
                    shared += 1
                    break
                end += 1
            i += 1
            if i == count or words[0, i] != a:
                while j < other_count and other_words[0, j] == a:
                    j += 1
    return shared


@kernel
def _among(
    canonical: Array, hashes: Array, places: Array, count: Int, value: Int, other: Array, place: Int
) -> bool:
    """Whether the word of `other` at `place`, of that hash, is one of the first `count` words."""
    for j in range(0, count, LANES):
        same = (load(hashes, j) == value) & first_lanes(count - j)
        while same:
            if same_word(canonical, places[j + np.int64(trailing_zeros(same))], other, place):
                return True
            same &= same - np.uint64(1)
    return False


@kernel
def same_word(one: Array, place: Int, other: Array, other_place: Int) -> bool:
    """Whether two words of equal hash are one, by their bytes."""
    start, width = place_of(place)
    other_start, other_width = place_of(other_place)
    if width != other_width:
        return False
    if width <= 8:
        return True
    last = width - 8
    same = load64(one, start + last) == load64(other, other_start + last)
    for i in range(0, last, 8):
        same &= load64(one, start + i) == load64(other, other_start + i)
    return bool(same)
