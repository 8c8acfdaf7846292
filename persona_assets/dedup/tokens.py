"""Canonical text as a set of words: 64-bit hashes, each word once.

Words of at most eight bytes have hashes of their own; two longer ones share one by chance of 2^-64,
which only costs time: wherever a decision depends on it their bytes are compared.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from persona_assets.dedup.folding import Texts, fold_text, longest_of, texts_of
from persona_assets.dedup.kernels import (
    Array,
    Int,
    inlined,
    kernel,
    load64,
    mix64,
    trailing_zeros,
)

_SPACES = 0x2020202020202020
_SEVENS = 0x7F7F7F7F7F7F7F7F
_LONG = 0x9E3779B97F4A7C15
_SHORT = 64
_ROWS = 1 << 12


@kernel
def split(canonical: Array, start: Int, stop: Int, words: Array) -> Int:
    """The words of canonical text: how many there are, each once, in no order (see `ascending`).

    `words` is a uint64 array of shape (2, at least most_words(stop - start)); its first row gets
    the hashes, its second where each word lies: start << 32 | width, both in bytes.
    `canonical` can be read `folding.ROOM` bytes beyond `stop`.
    """
    hashes, places = words[0], words[1]
    count = 0
    begin, inside = np.int64(0), False
    for block in range(start, stop, 64):
        letters = np.uint64(0)
        for i in range(8):
            spaces = _spaces(load64(canonical, block + 8 * i)) >> np.uint64(7)
            # The lowest bits of eight bytes side by side.
            eight = (spaces * np.uint64(0x0102040810204080)) >> np.uint64(56)
            letters |= (eight ^ np.uint64(0xFF)) << np.uint64(8 * i)
        if block + 64 > stop:
            letters &= (np.uint64(1) << np.uint64(stop - block)) - np.uint64(1)
        turns = letters ^ (letters << np.uint64(1) | np.uint64(inside))
        while turns:
            at = block + np.int64(trailing_zeros(turns))
            turns &= turns - np.uint64(1)
            if inside:
                places[count] = np.uint64(begin) << np.uint64(32) | np.uint64(at - begin)
                count += 1
            begin, inside = at, not inside
    if inside:
        places[count] = np.uint64(begin) << np.uint64(32) | np.uint64(stop - begin)
        count += 1
    for i in range(count):
        at = np.int64(places[i] >> np.uint64(32))
        width = np.int64(places[i] & np.uint64(0xFFFFFFFF))
        value = np.uint64(0)
        if width > 8:
            value = np.uint64(_LONG)
            while width > 8:
                value = mix64(value ^ load64(canonical, at)) * np.uint64(_LONG)
                at += 8
                width -= 8
        kept = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * width)
        hashes[i] = mix64(value ^ (load64(canonical, at) & kept))
    return _distinct(canonical, hashes, places, count)


@inlined
def _spaces(x: Any) -> Any:
    """The high bit of each byte of `x` that is a space, and no other bit."""
    v = x ^ np.uint64(_SPACES)
    return ~(((v & np.uint64(_SEVENS)) + np.uint64(_SEVENS)) | v | np.uint64(_SEVENS))


@inlined
def _distinct(canonical: Array, hashes: Array, places: Array, count: Int) -> Int:
    """Drops repeats among the first `count` words, in place; returns how many stay."""
    if count > _SHORT:
        _sort(hashes, places, count)
    # A word whose bit is not set yet is no repeat; in a long text, equal hashes lie side by side.
    low, high = np.uint64(0), np.uint64(0)
    kept = 0
    for i in range(count):
        value, place = hashes[i], places[i]
        if count > _SHORT:
            known = kept > 0 and hashes[kept - 1] == value
        else:
            bit = np.uint64(1) << (value & np.uint64(63))
            upper = np.uint64(0) - ((value >> np.uint64(6)) & np.uint64(1))
            known = (high & bit & upper) | (low & bit & ~upper) != 0
            high |= bit & upper
            low |= bit & ~upper
        if known and _repeats(canonical, hashes, places, kept, value, place, count > _SHORT):
            continue
        hashes[kept], places[kept] = value, place
        kept += 1
    return kept


@kernel
def _sort(hashes: Array, places: Array, count: Int) -> None:
    order = np.argsort(hashes[:count], kind="mergesort")
    hashes[:count] = hashes[:count][order]
    places[:count] = places[:count][order]


@kernel
def ascending(words: Array, count: Int) -> None:
    """Sorts the first `count` words by hash, in place."""
    hashes, places = words[0], words[1]
    if count > _SHORT:
        _sort(hashes, places, count)
        return
    for i in range(1, count):
        value, place = hashes[i], places[i]
        j = i
        while j > 0 and hashes[j - 1] > value:
            hashes[j], places[j] = hashes[j - 1], places[j - 1]
            j -= 1
        hashes[j], places[j] = value, place


@kernel
def _repeats(
    canonical: Array, hashes: Array, places: Array, end: Int, value: Int, place: Int, sorted: bool
) -> bool:
    """Whether one of the words before `end` is the word of that hash at `place`."""
    for j in range(end - 1, -1, -1):
        if hashes[j] == value:
            if same_word(canonical, places[j], canonical, place):
                return True
        elif sorted:
            return False
    return False


@kernel
def same_word(one: Array, place: Int, other: Array, other_place: Int) -> bool:
    """Whether two words of equal hash are one, by their bytes."""
    width = place & np.uint64(0xFFFFFFFF)
    if width != other_place & np.uint64(0xFFFFFFFF):
        return False
    if width <= np.uint64(8):
        return True
    start, other_start = np.int64(place >> np.uint64(32)), np.int64(other_place >> np.uint64(32))
    same = True
    for i in range(np.int64(width)):
        same = same and one[start + i] == other[other_start + i]
    return same


@kernel
def most_words(length: Int) -> Int:
    """The most words that canonical text of `length` bytes can hold."""
    return length // 2 + 1


@kernel
def shared_words(
    one: Array, words: Array, count: Int, other: Array, other_words: Array, other_count: Int
) -> Int:
    """How many words two texts have in common; their words ascend."""
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
    offsets = np.zeros(len(found) + 1, np.int64)
    pieces = [np.empty(0, np.uint64)]
    for start in range(0, len(found), _ROWS):
        stop = min(start + _ROWS, len(found))
        longest, total = longest_of(found, start, stop)
        scratch = np.empty(longest, np.uint8)
        words = np.empty((2, int(most_words(longest))), np.uint64)
        hashes = np.empty(int(most_words(total)), np.uint64)
        count = _hash_rows(found, start, stop, scratch, words, hashes, offsets)
        pieces.append(hashes[:count].copy())
    return np.concatenate(pieces), np.cumsum(offsets)


@kernel
def _hash_rows(
    texts: Texts, row: Int, stop: Int, scratch: Array, words: Array, hashes: Array, counts: Array
) -> Int:
    """Hashes of rows [row, stop), and how many each has, one place on; returns how many in all."""
    at = 0
    for i in range(row, stop):
        end = fold_text(texts, i, scratch, 0)
        count = split(scratch, 0, end, words)
        for j in range(count):
            hashes[at + j] = words[0, j]
        counts[i + 1] = count
        at += count
    return at
