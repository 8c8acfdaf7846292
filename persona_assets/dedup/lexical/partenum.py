"""Keys that two word sets share if their Jaccard similarity reaches a threshold.

PartEnum (Arasu, Ganti, Kaushik: Efficient exact set-similarity joins, VLDB 2006), for short texts.
|A & B| / |A | B| >= t bounds the number of words in which A and B differ by
k = (1 - t) / (1 + t) * (|A| + |B|). The hash of a word assigns it to one of k + 1 parts: k
differences cannot touch all parts, so at least one part is equal in both sets, and a hash of this
part is the shared key. All arithmetic is in integers, with t = numerator / denominator.
"""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import mix64
from persona_assets.dedup.kernels.compile import Array, Int, frozen, inlined, kernel
from persona_assets.dedup.kernels.simd_u64 import (
    LANES,
    broadcast,
    first_lanes,
    load,
    select_lanes,
    sum_lanes,
    xor_lanes,
)
from persona_assets.dedup.lexical.distinct_sets import SetSummary
from persona_assets.dedup.text.word_hashes import max_words, split_words

MAX_WORDS = 1 << 31
"""Largest number of words in a text."""

WIDENING = 1.08
"""Ratio of sizes that share a class even if k differs, since long texts would need too many
classes."""

CLASS_MASK = 0xFF
"""Low bits of a key, which hold its size class."""

NO_CLASS = 0xFF
"""Size class of keys that have none, such as keys of MinHash bands."""

_TABULATED_SIZES = 256
"""Number of sizes, from 0 on, whose size classes are tabulated."""


class Scheme(NamedTuple):
    """Threshold and size classes. All arrays are int64.

    Attributes:
        numerator: Numerator of the threshold.
        denominator: Denominator of the threshold.
        lower: Smallest size of each class, in words.
        parts: k + 1 for a pair whose smaller set is in the class; 1 if only equal sets reach the
            threshold.
        class_ranges: `class_range` of small sizes, shape (2, n): first classes, last classes.
    """

    numerator: int
    denominator: int
    lower: Array
    parts: Array
    class_ranges: Array


@cache
def scheme_of(threshold: Fraction) -> Scheme:
    """Return the size classes for a threshold.

    Raises:
        ValueError: The threshold needs more than 255 classes.

    Example:
        >>> scheme = scheme_of(Fraction(9, 10))
        >>> scheme.lower[:4].tolist(), scheme.parts[:4].tolist()
        ([1, 9, 18, 27], [1, 2, 3, 4])
    """
    numerator, denominator = threshold.numerator, threshold.denominator

    def differences(size: int) -> int:
        """Return k for a pair whose smaller set has `size` words."""
        larger = size * denominator // numerator
        return (denominator - numerator) * (size + larger) // (denominator + numerator)

    lower: list[int] = []
    parts: list[int] = []
    start = 1
    while start <= MAX_WORDS:
        # Find the last size with the same k by bisection: k never falls as sizes grow.
        low, high = start, MAX_WORDS
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
    sizes = np.arange(_TABULATED_SIZES)
    least = (numerator * sizes + denominator - 1) // denominator
    class_ranges = np.searchsorted(lower, [least, sizes], side="right") - 1
    class_ranges[0, 0] = 0
    arrays = (np.array(lower), np.array(parts), class_ranges)
    return Scheme(numerator, denominator, *map(frozen, arrays))


@kernel
def class_of(scheme: Scheme, size: Int) -> Int:
    """Return the class of a size; -1 for a set without words."""
    return np.searchsorted(scheme.lower, size, side="right") - 1


@kernel
def class_range(scheme: Scheme, size: Int) -> tuple[Int, Int]:
    """Return the first and the last class that a set of `size` words needs keys for.

    These are the classes in which the set may be the smaller or the larger set of a pair. A set
    without words needs no keys: its last class is before its first class.
    """
    return _class_range(
        scheme.numerator, scheme.denominator, scheme.class_ranges, scheme.lower, size
    )


@inlined
def _class_range(
    numerator: Int, denominator: Int, class_ranges: Array, lower: Array, size: Int
) -> tuple[Int, Int]:
    """Return `class_range` from the members of a scheme."""
    if size < class_ranges.shape[1]:
        return class_ranges[0, size], class_ranges[1, size]
    least = least_size(numerator, denominator, size)
    return (
        np.searchsorted(lower, least, side="right") - 1,
        np.searchsorted(lower, size, side="right") - 1,
    )


@inlined
def least_size(numerator: Int, denominator: Int, size: Int) -> Int:
    """Return the smallest size that can reach the threshold with a set of `size` words."""
    return (numerator * size + denominator - 1) // denominator


@inlined
def part_of(value: Int, parts: Int, salt: Int) -> Int:
    """Return the part of a word, selected by its hash and the salt."""
    mixed = mix64(value + np.uint64(salt)) if salt else value
    return ((mixed >> np.uint64(32)) * np.uint64(parts)) >> np.uint64(32)


@inlined
def part_key(content: Int, part: Int, size_class: Int, salt: Int) -> Int:
    """Return the key of a part with the given sum of hashes."""
    tag = np.uint64(part) << np.uint64(32) | np.uint64(salt) << np.uint64(8) | np.uint64(size_class)
    mixed = mix64(content ^ tag * np.uint64(0x9E3779B97F4A7C15))
    return mixed & np.uint64(0xFFFFFFFFFFFFFF00) | np.uint64(size_class)


@inlined
def key_count(class_parts: Array, first: Int, last: Int) -> Int:
    """Return the number of keys of a set for the classes from `first` to `last`."""
    count = 0
    for size_class in range(first, last + 1):
        if class_parts[size_class] > 1:
            count += class_parts[size_class]
    return count


@kernel
def summarize_sets(canonical: Array, offsets: Array, words: Array, summary: SetSummary) -> None:
    """Summarize each canonical text.

    A bitmap holds the parities of 128 bits, and adding or removing a word flips a single bit. So
    the bitmaps of two sets differ in at most as many bits as the sets differ in words.

    Args:
        canonical: Canonical texts, padded, uint8.
        offsets: Bounds of the texts, int64 of shape (n + 1,).
        words: Scratch space for the longest text, see `empty_words`.
        summary: Output.
    """
    hashes = words[0]
    sizes, bitmaps, contents = summary
    for row in range(len(offsets) - 1):
        count = split_words(canonical, offsets[row], offsets[row + 1], words)
        _summarize_set(hashes, count, row, sizes, bitmaps, contents)


@inlined
def _summarize_set(
    hashes: Array, count: Int, row: Int, sizes: Array, bitmaps: Array, contents: Array
) -> None:
    """Write the summary of a set into row `row`."""
    low, high, content = broadcast(np.uint64(0)), broadcast(np.uint64(0)), broadcast(np.uint64(0))
    for i in range(0, count, LANES):
        block, valid = load(hashes, i), first_lanes(count - i)
        # A word flips a bit in either the high or the low half.
        bit = broadcast(np.uint64(1)) << (block & np.uint64(63))
        upper = (block >> np.uint64(6) & np.uint64(1)) == np.uint64(1)
        high = high ^ select_lanes(valid & upper, bit)
        low = low ^ select_lanes(valid & ~upper, bit)
        content = content + select_lanes(valid, block)
    sizes[row] = count
    bitmaps[row, 0] = xor_lanes(low)
    bitmaps[row, 1] = xor_lanes(high)
    contents[row] = sum_lanes(content)


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
    counts: Array,
) -> Int:
    """Summarize canonical texts from `row` on and emit all their keys; text i is set `item + i`.

    Args:
        canonical: Canonical texts, padded, uint8.
        offsets: Bounds of the texts, int64 of shape (n + 1,).
        row: First row.
        item: Set number of row 0.
        scheme: Threshold and size classes.
        words: Scratch space for the longest text, see `empty_words`.
        sums: Scratch space for the largest number of parts, see `empty_sums`.
        summary: Output: summary of each row.
        keys: Output, uint64: keys.
        items: Output, uint32: set number of each key.
        counts: Input and output: number of keys in `keys`.

    Returns:
        The first row for which `keys` has no room, or the number of rows.
    """
    at = counts[0]
    hashes = words[0]
    sizes, bitmaps, contents = summary
    class_parts, class_ranges, lower = scheme.parts, scheme.class_ranges, scheme.lower
    numerator, denominator = scheme.numerator, scheme.denominator
    while row < len(offsets) - 1:
        count = split_words(canonical, offsets[row], offsets[row + 1], words)
        first, last = _class_range(numerator, denominator, class_ranges, lower, count)
        if at + key_count(class_parts, first, last) > len(keys):
            break
        _summarize_set(hashes, count, row, sizes, bitmaps, contents)
        for size_class in range(first, last + 1):
            parts = class_parts[size_class]
            if parts > 1:
                sum_parts(hashes, count, parts, 0, sums)
                for part in range(parts):
                    keys[at] = part_key(sums[part], part, size_class, 0)
                    items[at] = item + row
                    at += 1
        row += 1
    counts[0] = at
    return row


@inlined
def sum_parts(hashes: Array, count: Int, parts: Int, salt: Int, sums: Array) -> None:
    """Write the sum of the hashes in each part into `sums`."""
    if parts <= LANES:
        # Nearly always: eight words at a time pay off, although each part takes a pass.
        for part in range(parts):
            part_sums = broadcast(np.uint64(0))
            for i in range(0, count, LANES):
                block = load(hashes, i)
                in_part = part_of(block, parts, salt) == np.uint64(part)
                part_sums = part_sums + select_lanes(in_part & first_lanes(count - i), block)
            sums[part] = sum_lanes(part_sums)
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
    """Write new keys for sets that share a key, from parts by other hashes.

    The new keys also depend on the old key, so that sets of different buckets do not meet.

    Args:
        keys: Shared key of each set, uint64 of shape (n,).
        canonical: Canonical texts of the sets, padded, uint8.
        ends: Bounds of the texts, int64 of shape (n + 1,).
        scheme: Threshold and size classes.
        salt: Selects the hashes.
        words: Scratch space for the longest text, see `empty_words`.
        sums: Scratch space for the largest number of parts.
        out: Output, uint64: the new keys, set by set, `scheme.parts[size_class]` per set.
    """
    class_parts, hashes = scheme.parts, words[0]
    at = 0
    for row in range(len(keys)):
        count = split_words(canonical, ends[row], ends[row + 1], words)
        size_class = np.int64(keys[row] & np.uint64(CLASS_MASK))
        parts = class_parts[size_class]
        sum_parts(hashes, count, parts, salt, sums)
        bucket = mix64(keys[row])
        for part in range(parts):
            out[at] = part_key(sums[part] ^ bucket, part, size_class, salt)
            at += 1


def empty_sums(longest: int, scheme: Scheme) -> Array:
    """Allocate the sums of a set's parts, for a canonical text of at most `longest` bytes."""
    word_limit = int(max_words(longest))
    return np.empty(int(scheme.parts[int(class_of(scheme, word_limit))]), np.uint64)
