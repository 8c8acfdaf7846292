"""Pairs of sets that may be similar: sizes and bitmaps do not rule them out.

A candidate is a pair of sets as one uint64, the smaller number in the high half.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, inlined
from persona_assets.dedup.lexical.distinct_sets import DistinctSets
from persona_assets.dedup.lexical.partenum import Scheme, least_size

MAX_CANDIDATES = 1 << 28
"""Most candidates that one join may have: 8 bytes each, and as much again to sort them."""

_SLACK = 1 << 22


class Candidates:
    """Candidates as they are found, in little more room than each of them takes once.

    Long texts that are alike share many keys, and are found anew by each.
    """

    def __init__(self) -> None:
        self._pieces: list[Array] = []
        self._count, self._most = 0, _SLACK

    def add(self, pieces: Iterator[Array]) -> "Candidates":
        """Takes them all. Raises ValueError for more than `MAX_CANDIDATES`."""
        for piece in pieces:
            self._pieces.append(piece)
            self._count += len(piece)
            if self._count > self._most:
                self._pieces = [self.distinct()]
                self._count = len(self._pieces[0])
                check_candidates(self._count)
                self._most = 2 * self._count + _SLACK
        return self

    def pieces(self) -> Iterator[Array]:
        """What is held, each named once or more often."""
        return iter(self._pieces)

    def distinct(self) -> Array:
        """Each once, ascending."""
        # np.unique would take a hash table, and ten times as long.
        every = np.concatenate([np.empty(0, np.uint64), *self._pieces])
        every.sort()
        first = np.ones(len(every), np.bool_)
        first[1:] = every[1:] != every[:-1]
        return every[first]


def check_candidates(count: int) -> None:
    """Raises ValueError above `MAX_CANDIDATES`, before the memory for them is taken."""
    if count > MAX_CANDIDATES:
        raise ValueError(
            f"more than {MAX_CANDIDATES:,} pairs of texts share most of their words and would have "
            "to be compared: raise the threshold, or drop texts made from one template first"
        )


class SetsBySize(NamedTuple):
    """Sets by ascending number of words, with it and both halves of their bitmaps."""

    items: Array
    sizes: Array
    low: Array
    high: Array


def order_by_size(sets: DistinctSets, items: Array) -> SetsBySize:
    """The sets with these numbers, by size."""
    old = items < len(sets.sizes)
    new = items[~old] - len(sets.sizes)
    sizes, bitmaps = np.empty(len(items), np.int64), np.empty((len(items), 2), np.uint64)
    sizes[old], sizes[~old] = sets.sizes[items[old]], sets.new_sizes[new]
    bitmaps[old], bitmaps[~old] = sets.bitmaps[items[old]], sets.new_bitmaps[new]
    order = np.argsort(sizes, kind="stable")
    return SetsBySize(items[order], sizes[order], *np.ascontiguousarray(bitmaps[order].T))


def compare_places(scheme: Scheme, ordered: SetsBySize, rows: Array) -> Iterator[Array]:
    """The candidates among sets by size of which one is at one of the places `rows`."""

    def step(first: int, out: Array, counted: Array) -> int:
        done: int = compare_with_all(scheme, ordered, rows, first, out, counted)
        return done

    return collect_candidates(step, 0, len(rows))


def collect_candidates(
    step: Callable[[int, Array, Array], int], first: int, stop: int
) -> Iterator[Array]:
    """Candidates of a kernel that goes from `first` to `stop` and halts where its output is full.

    `step(first, out, counted)` writes `counted[0]` candidates and returns where to go on.
    """
    capacity = 1 << 12
    counted = np.zeros(2, np.int64)
    while first < stop:
        out = np.empty(capacity, np.uint64)
        done = step(first, out, counted)
        if done == first:
            capacity *= 4
            check_candidates(capacity)
        yield out[: counted[0]].copy()
        first = done


@allocating
def compare_with_all(
    scheme: Scheme, ordered: SetsBySize, rows: Array, first: Int, out: Array, counted: Array
) -> Int:
    """Compares the sets at the places `rows[first:]` with all of a size that allows it.

    Returns the first of `rows` for which `out` has no room. Two of `rows` are compared once.
    """
    numerator, denominator = scheme.numerator, scheme.denominator
    more, less = denominator + numerator, denominator - numerator
    items, sizes, low, high = ordered.items, ordered.sizes, ordered.low, ordered.high
    near = np.empty(len(items), np.bool_)
    asked = np.zeros(len(items), np.bool_)
    for row in range(len(rows)):
        asked[rows[row]] = True
    written = 0
    counted[0] = 0
    for row in range(first, len(rows)):
        i = rows[row]
        begin = np.searchsorted(sizes, least_size(numerator, denominator, sizes[i]))
        end = np.searchsorted(sizes, sizes[i] * denominator // numerator, side="right")
        for j in range(begin, end):
            flipped = popcount(low[i] ^ low[j]) + popcount(high[i] ^ high[j])
            near[j] = is_plausible(more, less, sizes[i], sizes[j], flipped)
        for j in range(begin, end):
            if near[j] and j != i and (j > i or not asked[j]):
                if written == len(out):
                    return row
                out[written] = pack_candidate(np.int64(items[i]), np.int64(items[j]))
                written += 1
        counted[0] = written
    return len(rows)


@inlined
def is_plausible(more: Int, less: Int, size: Int, other: Int, flipped: Int) -> bool:
    """Whether sizes and bitmaps leave it possible that two sets reach the threshold t.

    Sets that differ in d words have sizes at most d apart and bitmaps that differ in d bits at
    most, and d is at most (1 - t) / (1 + t) * (|A| + |B|). `more` is (1 + t) times the denominator
    of t, and `less` (1 - t) times.
    """
    return bool(max(np.int64(flipped), abs(size - other)) * more <= (size + other) * less)


@inlined
def pack_candidate(one: Int, two: Int) -> Int:
    """A pair of sets as one number: the smaller one in the high half."""
    return np.uint64(min(one, two)) << np.uint64(32) | np.uint64(max(one, two))
