"""Canonical text as a set of words: 64-bit hashes, each word once.

Two words of at most eight bytes never share a hash; a longer one shares that of another by chance
of 2^-64, or on purpose, which only costs time: where a decision depends on it bytes are compared.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from persona_assets.dedup.folding import canonical, texts_of
from persona_assets.dedup.kernels import Array, Int, inlined, kernel, load64, mix64, trailing_zeros
from persona_assets.dedup.simd import BYTES, LANES, equal, letters

_LONG = 0x9E3779B97F4A7C15
_ALL = 0xFFFFFFFFFFFFFFFF
_WIDTH = 0xFFFFFFFF
_SHORT = 64
"""Words up to which a text is searched from end to end; those of longer texts are sorted."""
_ROWS = 1 << 12


@kernel
def split(canonical: Array, start: Int, stop: Int, words: Array) -> Int:
    """The words of canonical text: how many there are, each once; those of long ones by hash.

    `words` is what `words_for(stop - start)` makes: its first row gets the hashes, its second where
    each word lies, start << 32 | width, both in bytes. `canonical` can be read `folding.ROOM` bytes
    beyond `stop`.
    """
    hashes, places = words[0], words[1]
    count = 0
    begin, inside = np.int64(0), np.uint64(0)
    for block in range(start, stop, BYTES):
        found = letters(canonical, block)
        if block + BYTES > stop:
            found &= (np.uint64(1) << np.uint64(stop - block)) - np.uint64(1)
        before = found << np.uint64(1) | inside
        starts, ends = found & ~before, before & ~found
        first = block + np.int64(trailing_zeros(starts))
        # A word that began in the block before ends first.
        begin = begin if inside else first
        starts &= starts - (np.uint64(1) - inside)
        while ends:
            end = block + np.int64(trailing_zeros(ends))
            places[count] = np.uint64(begin) << np.uint64(32) | np.uint64(end - begin)
            count += 1
            begin = block + np.int64(trailing_zeros(starts))
            starts &= starts - np.uint64(1)
            ends &= ends - np.uint64(1)
        inside = found >> np.uint64(BYTES - 1)
    if inside:
        places[count] = np.uint64(begin) << np.uint64(32) | np.uint64(stop - begin)
        count += 1
    wide, longer = np.uint64(0), np.uint64(0)
    for i in range(count):
        at = np.int64(places[i] >> np.uint64(32))
        width = places[i] & np.uint64(_WIDTH)
        # Without a branch: which words have more than eight bytes, no one can foresee.
        rest = max(width, np.uint64(8)) - np.uint64(8)
        first = load64(canonical, at) & _lowest(width)
        second = load64(canonical, at + 8) & _lowest(rest)
        hashes[i] = mix64(first ^ second * np.uint64(_LONG))
        wide |= np.uint64(rest != 0) << np.uint64(i & 63)
        longer |= width >> np.uint64(4)
    if longer:
        _hash_longer(canonical, hashes, places, count)
    return _distinct(canonical, hashes, places, count, wide)


@inlined
def _lowest(width: Int) -> Int:
    """The bits of the `width` lowest bytes of a uint64; of all eight, if `width` is more."""
    # A shift by 64 is none, so in two halves.
    half = min(width, np.uint64(8)) << np.uint64(2)
    return ~(np.uint64(_ALL) << half << half)


@kernel
def _hash_longer(canonical: Array, hashes: Array, places: Array, count: Int) -> None:
    """The hashes of words of more than 16 bytes."""
    for i in range(count):
        at = np.int64(places[i] >> np.uint64(32))
        width = np.int64(places[i] & np.uint64(_WIDTH))
        if width <= 16:
            continue
        value = np.uint64(_LONG)
        while width > 8:
            value = mix64(value ^ load64(canonical, at)) * np.uint64(_LONG)
            at += 8
            width -= 8
        hashes[i] = mix64(value ^ (load64(canonical, at) & _lowest(np.uint64(width))))


@inlined
def _distinct(canonical: Array, hashes: Array, places: Array, count: Int, wide: Int) -> Int:
    """Drops repeats among the first `count` words, in place; returns how many stay.

    `wide` has a bit for each word of more than eight bytes, where there are few words.
    """
    if count > _SHORT:
        return _distinct_sorted(canonical, hashes, places, count)
    # A bit for each word. Hardly any branch depends on the text: what is there more than once, and
    # where, no one can foresee.
    repeats, unsure = np.uint64(0), wide
    for j in range(0, count, LANES):
        for i in range(j + 1, count):
            before = (np.uint64(1) << np.uint64(i - j)) - np.uint64(1)
            same = equal(hashes, j, hashes[i]) & before
            repeats |= np.uint64(same != 0) << np.uint64(i)
            unsure |= np.uint64(same & (wide >> np.uint64(j)) != 0) << np.uint64(i)
    unsure &= repeats
    while unsure:
        word = np.int64(trailing_zeros(unsure))
        unsure &= unsure - np.uint64(1)
        if not _among(canonical, hashes, places, word, hashes[word], canonical, places[word]):
            repeats ^= np.uint64(1) << np.uint64(word)
    kept = np.int64(0)
    for i in range(count):
        hashes[kept], places[kept] = hashes[i], places[i]
        kept += 1 - np.int64(repeats >> np.uint64(i) & np.uint64(1))
    return kept


@inlined
def _first(count: Int) -> Int:
    """The lowest `count` bits of a block of `LANES`."""
    return (np.uint64(1) << np.uint64(min(count, LANES))) - np.uint64(1)


@kernel
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
def _among(
    canonical: Array, hashes: Array, places: Array, count: Int, value: Int, other: Array, place: Int
) -> bool:
    """Whether the word of `other` at `place`, of that hash, is one of the first `count` words."""
    for j in range(0, count, LANES):
        same = equal(hashes, j, value) & _first(count - j)
        while same:
            if same_word(canonical, places[j + np.int64(trailing_zeros(same))], other, place):
                return True
            same &= same - np.uint64(1)
    return False


@kernel
def same_word(one: Array, place: Int, other: Array, other_place: Int) -> bool:
    """Whether two words of equal hash are one, by their bytes."""
    width = place & np.uint64(_WIDTH)
    if width != other_place & np.uint64(_WIDTH):
        return False
    if width <= np.uint64(8):
        return True
    start, other_start = np.int64(place >> np.uint64(32)), np.int64(other_place >> np.uint64(32))
    same = True
    for i in range(np.int64(width)):
        same = same and one[start + i] == other[other_start + i]
    return same


@kernel
def words_for(length: Int) -> Array:
    """Room for the words of canonical text of at most `length` bytes: see `split`."""
    return np.empty((2, most_words(length) + LANES), np.uint64)


@kernel
def most_words(length: Int) -> Int:
    """The most words that canonical text of `length` bytes can hold."""
    return length // 2 + 1


@kernel
def shared_words(
    one: Array, words: Array, count: Int, other: Array, other_words: Array, other_count: Int
) -> Int:
    """How many words two texts have in common, their words as `split` gives them."""
    if min(count, other_count) > _SHORT:
        return _shared_sorted(one, words, count, other, other_words, other_count)
    if other_count > count:
        one, words, count, other, other_words, other_count = (
            other, other_words, other_count, one, words, count
        )  # fmt: skip
    hashes, places = words[0], words[1]
    shared = 0
    for i in range(other_count):
        if _among(one, hashes, places, count, other_words[0, i], other, other_words[1, i]):
            shared += 1
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


def word_hashes(texts: "Sequence[str] | pa.Array | pa.ChunkedArray") -> tuple[Array, Array]:
    """(hashes, offsets): the words of text i are `hashes[offsets[i]:offsets[i + 1]]`, in no order.

    uint64 and int64 of shape (n + 1,). Equal words have equal hashes in every text and run.
    """
    found = texts_of(texts)
    counts = np.zeros(len(found) + 1, np.int64)
    pieces = [np.empty(0, np.uint64)]
    for start in range(0, len(found), _ROWS):
        stop = min(start + _ROWS, len(found))
        data, ends = folded = canonical(found, np.arange(start, stop))
        hashes = np.empty(int(most_words(ends[-1])) + len(ends), np.uint64)
        count = _hash_rows(data, ends, words_for(folded.longest()), hashes, counts[start + 1 :])
        pieces.append(hashes[:count].copy())
    return np.concatenate(pieces), np.cumsum(counts)


@kernel
def _hash_rows(data: Array, ends: Array, words: Array, hashes: Array, counts: Array) -> Int:
    """The hashes of each text, and how many it has; returns how many there are in all."""
    at = 0
    for row in range(len(ends) - 1):
        count = split(data, ends[row], ends[row + 1], words)
        for j in range(count):
            hashes[at + j] = words[0, j]
        counts[row] = count
        at += count
    return at
