"""Keys that two word sets share if their Jaccard similarity reaches a threshold.

PartEnum (Arasu, Ganti, Kaushik: Efficient exact set-similarity joins, VLDB 2006), for short texts.
|A & B| / |A | B| >= t bounds the number of words in which A and B differ by
k = (1 - t) / (1 + t) * (|A| + |B|). Words are dealt out to k + 1 parts by their hash: k differences
cannot touch all parts, so one part is equal in both, and a hash of it is the key. All arithmetic
is in integers, with t = numerator / denominator.
"""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import mix64
from persona_assets.dedup.kernels.compile import Array, Int, frozen, inlined, kernel
from persona_assets.dedup.kernels.simd_u64 import (
    LANES,
    chosen,
    first_lanes,
    lanes,
    load,
    parity,
    total,
)
from persona_assets.dedup.lexical.distinct_sets import SetSummary
from persona_assets.dedup.text.word_hashes import most_words, split_words

LONGEST = 1 << 31
"""Most words of one text."""

WIDENING = 1.08
"""Sizes up to this ratio share a class even if k differs: long texts would have very many."""

CLASS_MASK = 0xFF
"""The low bits of a key name the class of sizes that it belongs to."""

NO_CLASS = 0xFF

_SHORT = 256


class Scheme(NamedTuple):
    """The threshold, and sets by size: class c holds those of `lower[c]` words and more.

    `parts[c]` is k + 1 for two sets of which the smaller one is in class c; 1 where only equal sets
    are similar enough. `short`, of shape (2, n), is what `reach` says of fewer than n words: first
    classes, last classes. All int64.
    """

    numerator: int
    denominator: int
    lower: Array
    parts: Array
    short: Array


@cache
def scheme_of(threshold: Fraction) -> Scheme:
    """The classes of sizes for a threshold. Raises ValueError if they are more than 255."""
    numerator, denominator = threshold.numerator, threshold.denominator

    def differences(size: int) -> int:
        """k of two sets of which the smaller one has `size` words."""
        larger = size * denominator // numerator
        return (denominator - numerator) * (size + larger) // (denominator + numerator)

    lower: list[int] = []
    parts: list[int] = []
    start = 1
    while start <= LONGEST:
        # The last size with the same k, found by halving; k never falls as sizes grow.
        low, high = start, LONGEST
        while low < high:
            middle = (low + high + 1) // 2
            if differences(middle) == differences(start):
                low = middle
            else:
                high = middle - 1
        last = max(low, int(start * WIDENING))
        lower.append(start)
        parts.append(differences(last) + 1)
        start = last + 1
    if len(lower) > NO_CLASS:
        raise ValueError(f"the threshold {threshold} needs {len(lower)} classes of sizes")
    sizes = np.arange(_SHORT)
    least = (numerator * sizes + denominator - 1) // denominator
    short = np.searchsorted(lower, [least, sizes], side="right") - 1
    short[0, 0] = 0
    arrays = (np.array(lower), np.array(parts), short)
    return Scheme(numerator, denominator, *map(frozen, arrays))


@kernel
def class_of(scheme: Scheme, size: Int) -> Int:
    """The class of a size; -1 for no words."""
    return np.searchsorted(scheme.lower, size, side="right") - 1


@kernel
def reach(scheme: Scheme, size: Int) -> tuple[Int, Int]:
    """First and last class in which a set of `size` words may be the smaller or the larger one.

    Without words, none: the last one is before the first.
    """
    return _reach(scheme.numerator, scheme.denominator, scheme.short, scheme.lower, size)


@inlined
def _reach(
    numerator: Int, denominator: Int, short: Array, lower: Array, size: Int
) -> tuple[Int, Int]:
    if size < short.shape[1]:
        return short[0, size], short[1, size]
    least = least_size(numerator, denominator, size)
    return (
        np.searchsorted(lower, least, side="right") - 1,
        np.searchsorted(lower, size, side="right") - 1,
    )


@inlined
def least_size(numerator: Int, denominator: Int, size: Int) -> Int:
    """Words of the smallest set that can reach the threshold with one of `size` words."""
    return (numerator * size + denominator - 1) // denominator


@inlined
def part_of(value: Int, parts: Int, salt: Int) -> Int:
    """The part that a word with that hash falls into; another one with another salt."""
    mixed = mix64(value + np.uint64(salt)) if salt else value
    return ((mixed >> np.uint64(32)) * np.uint64(parts)) >> np.uint64(32)


@inlined
def part_key(content: Int, part: Int, kind: Int, salt: Int) -> Int:
    """The key of a part with that sum of hashes; `kind` is the class it belongs to."""
    place = np.uint64(part) << np.uint64(32) | np.uint64(salt) << np.uint64(8) | np.uint64(kind)
    mixed = mix64(content ^ place * np.uint64(0x9E3779B97F4A7C15))
    return mixed & np.uint64(0xFFFFFFFFFFFFFF00) | np.uint64(kind)


@inlined
def key_count(parts_of: Array, first: Int, last: Int) -> Int:
    """Keys of a set that may be similar to those of the classes from `first` to `last`."""
    count = 0
    for kind in range(first, last + 1):
        if parts_of[kind] > 1:
            count += parts_of[kind]
    return count


@kernel
def summarize_sets(canonical: Array, offsets: Array, words: Array, summary: SetSummary) -> None:
    """The summary of each canonical text.

    A bitmap holds the parity of 128 bits: one word more or less flips one. Those of two sets differ
    in at most as many bits as the sets in words.
    """
    hashes = words[0]
    sizes, bitmaps, contents = summary
    for row in range(len(offsets) - 1):
        count = split_words(canonical, offsets[row], offsets[row + 1], words)
        _describe(hashes, count, row, sizes, bitmaps, contents)


@inlined
def _describe(
    hashes: Array, count: Int, row: Int, sizes: Array, bitmaps: Array, contents: Array
) -> None:
    low, high, content = lanes(np.uint64(0)), lanes(np.uint64(0)), lanes(np.uint64(0))
    for i in range(0, count, LANES):
        some, there = load(hashes, i), first_lanes(count - i)
        # The word's bit in one half, none in the other.
        bit = lanes(np.uint64(1)) << (some & np.uint64(63))
        upper = (some >> np.uint64(6) & np.uint64(1)) == np.uint64(1)
        high = high ^ chosen(there & upper, bit)
        low = low ^ chosen(there & ~upper, bit)
        content = content + chosen(there, some)
    sizes[row] = count
    bitmaps[row, 0] = parity(low)
    bitmaps[row, 1] = parity(high)
    contents[row] = total(content)


@kernel
def emit_set_keys(
    canonical: Array,
    offsets: Array,
    row: Int,
    item: Int,
    scheme: Scheme,
    words: Array,
    sums: Array,
    summary: SetSummary,
    keys: Array,
    items: Array,
    counted: Array,
) -> Int:
    """`describe` and all keys of the canonical texts from `row` on; text i is set `item + i`.

    Stops before the row for which `keys` and `items` (uint64 and uint32) have no room, and returns
    it; `counted[0]` is how many keys are written.
    """
    at = counted[0]
    hashes = words[0]
    sizes, bitmaps, contents = summary
    parts_of, short, lower = scheme.parts, scheme.short, scheme.lower
    numerator, denominator = scheme.numerator, scheme.denominator
    while row < len(offsets) - 1:
        count = split_words(canonical, offsets[row], offsets[row + 1], words)
        first, last = _reach(numerator, denominator, short, lower, count)
        if at + key_count(parts_of, first, last) > len(keys):
            break
        _describe(hashes, count, row, sizes, bitmaps, contents)
        for kind in range(first, last + 1):
            parts = parts_of[kind]
            if parts > 1:
                sum_parts(hashes, count, parts, 0, sums)
                for part in range(parts):
                    keys[at] = part_key(sums[part], part, kind, 0)
                    items[at] = item + row
                    at += 1
        row += 1
    counted[0] = at
    return row


@inlined
def sum_parts(hashes: Array, count: Int, parts: Int, salt: Int, sums: Array) -> None:
    """The sum of the hashes in each part, into `sums`."""
    if parts <= LANES:
        # As they nearly always are: eight words at a time pay off, though once for each part.
        for part in range(parts):
            held = lanes(np.uint64(0))
            for i in range(0, count, LANES):
                some = load(hashes, i)
                inside = part_of(some, parts, salt) == np.uint64(part)
                held = held + chosen(inside & first_lanes(count - i), some)
            sums[part] = total(held)
    else:
        sums[:parts] = 0
        for i in range(count):
            sums[np.int64(part_of(hashes[i], parts, salt))] += hashes[i]


@kernel
def redistributed_keys(
    keys: Array,
    canonical: Array,
    ends: Array,
    scheme: Scheme,
    salt: Int,
    words: Array,
    sums: Array,
    out: Array,
) -> None:
    """New keys for sets that share a key: parts by other hashes, apart from those of other keys."""
    parts_of, hashes = scheme.parts, words[0]
    at = 0
    for row in range(len(keys)):
        count = split_words(canonical, ends[row], ends[row + 1], words)
        kind = np.int64(keys[row] & np.uint64(CLASS_MASK))
        parts = parts_of[kind]
        sum_parts(hashes, count, parts, salt, sums)
        bucket = mix64(keys[row])
        for part in range(parts):
            out[at] = part_key(sums[part] ^ bucket, part, kind, salt)
            at += 1


def sums_for(longest: int, scheme: Scheme) -> Array:
    """Room for the parts of a set whose canonical text has at most `longest` bytes."""
    most = int(most_words(longest))
    return np.empty(int(scheme.parts[int(class_of(scheme, most))]), np.uint64)
