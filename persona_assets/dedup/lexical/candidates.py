"""Candidates: pairs of sets whose sizes and bitmaps do not rule out the threshold.

A candidate is a pair of set numbers in one uint64, the smaller number in the high half.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, inlined
from persona_assets.dedup.lexical.distinct_sets import DistinctSets
from persona_assets.dedup.lexical.partenum import Scheme, least_size

MAX_CANDIDATES = 1 << 28
"""Largest number of candidates in a join: 8 bytes each, and as much again to sort them."""

_SLACK = 1 << 22
"""Number of candidates, above twice the distinct candidates, at which repeats are dropped."""


class Candidates:
    """Collection of candidates in little more memory than the distinct candidates need.

    Long texts that are alike share many keys, and each of these keys proposes the same pairs.
    """

    def __init__(self) -> None:
        self._pieces: list[Array] = []
        self._count, self._limit = 0, _SLACK

    def add(self, pieces: Iterator[Array]) -> "Candidates":
        """Add all candidates of `pieces`.

        Raises:
            ValueError: The join has more than `MAX_CANDIDATES` candidates.
        """
        for piece in pieces:
            self._pieces.append(piece)
            self._count += len(piece)
            if self._count > self._limit:
                self._pieces = [self.distinct()]
                self._count = len(self._pieces[0])
                check_candidates(self._count)
                self._limit = 2 * self._count + _SLACK
        return self

    def pieces(self) -> Iterator[Array]:
        """Iterate over the collected candidates, which may repeat."""
        return iter(self._pieces)

    def distinct(self) -> Array:
        """Return the distinct candidates, ascending."""
        # np.unique would use a hash table and take ten times as long.
        candidates = np.concatenate([np.empty(0, np.uint64), *self._pieces])
        candidates.sort()
        first = np.ones(len(candidates), np.bool_)
        first[1:] = candidates[1:] != candidates[:-1]
        return candidates[first]


def check_candidates(count: int) -> None:
    """Check the number of candidates before their memory is allocated.

    Raises:
        ValueError: `count` exceeds `MAX_CANDIDATES`.
    """
    if count > MAX_CANDIDATES:
        raise ValueError(
            f"more than {MAX_CANDIDATES:,} pairs of texts share most of their words and would have "
            "to be compared: raise the threshold, or drop texts made from one template first"
        )


class SetsBySize(NamedTuple):
    """Sets ordered by size.

    Attributes:
        items: Set numbers.
        sizes: Number of words of each set, int64, ascending.
        low: First half of each set's bitmap, uint64.
        high: Second half of each set's bitmap, uint64.
    """

    items: Array
    sizes: Array
    low: Array
    high: Array


def order_by_size(sets: DistinctSets, items: Array) -> SetsBySize:
    """Order the sets with the given numbers by size."""
    is_known = items < len(sets.sizes)
    new = items[~is_known] - len(sets.sizes)
    sizes, bitmaps = np.empty(len(items), np.int64), np.empty((len(items), 2), np.uint64)
    sizes[is_known], sizes[~is_known] = sets.sizes[items[is_known]], sets.new_sizes[new]
    bitmaps[is_known], bitmaps[~is_known] = sets.bitmaps[items[is_known]], sets.new_bitmaps[new]
    order = np.argsort(sizes, kind="stable")
    return SetsBySize(items[order], sizes[order], *np.ascontiguousarray(bitmaps[order].T))


def compare_rows(scheme: Scheme, ordered: SetsBySize, rows: Array) -> Iterator[Array]:
    """Yield the candidates with at least one of the sets at positions `rows` of `ordered`."""

    def step(first: int, out: Array, counts: Array) -> int:
        next_row: int = compare_with_all(scheme, ordered, rows, first, out, counts)
        return next_row

    return collect_candidates(step, 0, len(rows))


def collect_candidates(
    step: Callable[[int, Array, Array], int], first: int, stop: int
) -> Iterator[Array]:
    """Yield the candidates of a kernel that stops whenever its output is full.

    Args:
        step: `step(first, out, counts)` writes `counts[0]` candidates to `out` and returns the next
            position.
        first: First position.
        stop: End of the positions.
    """
    capacity = 1 << 12
    counts = np.zeros(2, np.int64)
    while first < stop:
        out = np.empty(capacity, np.uint64)
        next_position = step(first, out, counts)
        if next_position == first:
            capacity *= 4
            check_candidates(capacity)
        yield out[: counts[0]].copy()
        first = next_position


@allocating
def compare_with_all(
    scheme: Scheme, ordered: SetsBySize, rows: Array, first: Int, out: Array, counts: Array
) -> Int:
    """Compare the sets at positions `rows[first:]` with all sets of a similar enough size.

    A pair of two sets in `rows` is compared once.

    Returns:
        Index of the first of `rows` for which `out` has no room, or the number of rows.
    """
    numerator, denominator = scheme.numerator, scheme.denominator
    sum_factor, difference_factor = denominator + numerator, denominator - numerator
    items, sizes, low, high = ordered.items, ordered.sizes, ordered.low, ordered.high
    plausible = np.empty(len(items), np.bool_)
    in_rows = np.zeros(len(items), np.bool_)
    for row in range(len(rows)):
        in_rows[rows[row]] = True
    candidate_count = 0
    counts[0] = 0
    for row in range(first, len(rows)):
        i = rows[row]
        begin = np.searchsorted(sizes, least_size(numerator, denominator, sizes[i]))
        end = np.searchsorted(sizes, sizes[i] * denominator // numerator, side="right")
        for j in range(begin, end):
            flipped = popcount(low[i] ^ low[j]) + popcount(high[i] ^ high[j])
            plausible[j] = is_plausible(sum_factor, difference_factor, sizes[i], sizes[j], flipped)
        for j in range(begin, end):
            if plausible[j] and j != i and (j > i or not in_rows[j]):
                if candidate_count == len(out):
                    return row
                out[candidate_count] = pack_candidate(np.int64(items[i]), np.int64(items[j]))
                candidate_count += 1
        counts[0] = candidate_count
    return len(rows)


@inlined
def is_plausible(
    sum_factor: Int, difference_factor: Int, size: Int, other: Int, flipped: Int
) -> bool:
    """Return True if sizes and bitmaps leave it possible that two sets reach the threshold t.

    Sets that differ in d words have sizes at most d apart and bitmaps that differ in at most d
    bits, and d is at most (1 - t) / (1 + t) * (|A| + |B|).

    Args:
        sum_factor: (1 + t), multiplied by the denominator of t.
        difference_factor: (1 - t), multiplied by the denominator of t.
        size: Number of words of the first set.
        other: Number of words of the second set.
        flipped: Number of bits in which the bitmaps differ.
    """
    return bool(
        max(np.int64(flipped), abs(size - other)) * sum_factor <= (size + other) * difference_factor
    )


@inlined
def pack_candidate(left: Int, right: Int) -> Int:
    """Pack a pair of set numbers into a uint64, the smaller number in the high half."""
    return np.uint64(min(left, right)) << np.uint64(32) | np.uint64(max(left, right))
