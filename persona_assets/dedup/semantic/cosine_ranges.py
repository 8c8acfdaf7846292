"""Pairs of vectors whose cosine is in a given range: of each range those with the lowest hashes.

A range of high cosines is searched by the sign sketches of the cosine join, over all rows. They
miss a pair with a probability of at most 1 - `RECALL`; where a range stays short, further
hyperplanes search again, up to `PASSES` times. A range of low cosines holds a large share of all
pairs, which sketches cannot tell apart: rows are compared by matrix products, block by block, until
it is full. Memory does not depend on the number of pairs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Rows, Similarity
from persona_assets.dedup.semantic.brute_force import brute_force_pairs, tile_rows
from persona_assets.dedup.semantic.half_precision import (
    Halves,
    cosines,
    float32_threshold,
    to_float32,
)
from persona_assets.dedup.semantic.lsh import near_sketches
from persona_assets.dedup.semantic.sign_sketches import (
    Parameters,
    choose_parameters,
    hyperplanes,
    sign_sketches,
)

SKETCHED = 0.5
"""Lower end from which a range is searched by sketches: below it they cost more than products."""

PASSES = 3
"""Searches with hyperplanes of their own: a pair is missed by all with a probability of 2e-7."""

PENDING = 1 << 16
"""Pairs of a range that wait before the lowest are chosen."""

CHUNK = 1024
"""Rows that a thread sketches at a time."""

Hashes = npt.NDArray[np.uint64]


class CosineRange(NamedTuple):
    """Range of cosines.

    Args:
        low: Least cosine.
        high: Greatest cosine.
        most: Number of pairs to draw.
    """

    low: float
    high: float
    most: int


class DrawnPairs(NamedTuple):
    """Pairs of a range, by ascending hash: rows, the smaller on the left, and cosines."""

    left: Rows
    right: Rows
    similarity: Similarity


def pairs_in_ranges(
    units: Halves,
    hashes: Hashes,
    ranges: Sequence[CosineRange],
    *,
    first: int = 0,
    threads: int = 1,
    parameters: Parameters | None = None,
) -> list[DrawnPairs]:
    """Draw pairs of rows from each range of cosines.

    A range has fewer pairs than requested only if the rows have no more of them, or the sketches
    missed a pair in all passes. Drawn are those with the lowest hashes: of a range of high cosines
    among all pairs, of a range of low cosines among those of the first rows that suffice.

    Args:
        units: Unit vectors as `unit_vectors` rounds them, shape (n, d).
        hashes: Hash of each row, uint64, shape (n,), which together with that of the other row
            decides the place of a pair. The order of rows decides the orientation of a pair, and
            which blocks come first.
        ranges: Ranges, which may overlap.
        first: Number of rows whose pairs with each other are left out.
        threads: Number of threads.
        parameters: Parameters of the sketches; by default those for n rows.

    Returns:
        Pairs of each range, deterministic for given rows, hashes and parameters.

    Example:
        >>> units = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0.01]], np.float16)
        >>> [drawn] = pairs_in_ranges(units, np.arange(4).astype("u8"), [CosineRange(0.7, 0.9, 9)])
        >>> drawn.left.tolist(), drawn.right.tolist(), drawn.similarity.round(2).tolist()
        ([1], [2], [0.8])
    """
    drawn = [_Lowest(each, hashes, first) for each in ranges]
    high = [each for each in drawn if each.range.low >= SKETCHED and each.range.most]
    low = [each for each in drawn if each.range.low < SKETCHED and each.range.most]
    if high and len(units):
        _search(units, high, threads, parameters)
    if low and len(units):
        _scan(units, low)
    return [each.pairs() for each in drawn]


class _Lowest:
    """Pairs of a range with the lowest hashes among those added.

    Args:
        wanted: Range.
        hashes: Hash of each row.
        first: Number of rows whose pairs with each other are left out.
    """

    def __init__(self, wanted: CosineRange, hashes: Hashes, first: int) -> None:
        self.range = wanted
        self._hashes = hashes
        self._first = first
        self._parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        self._pending = 0
        self._lock = Lock()

    def add(self, left: Rows, right: Rows, similarity: Similarity) -> None:
        """Add the pairs that are in the range; a pair that is added twice counts once."""
        inside = (similarity >= self.range.low) & (similarity <= self.range.high)
        inside &= right >= self._first
        if not inside.any():
            return
        with self._lock:
            self._parts.append((left[inside], right[inside], similarity[inside]))
            self._pending += len(self._parts[-1][0])
            if self._pending > PENDING:
                self._choose()

    def pairs(self) -> DrawnPairs:
        """Return the chosen pairs."""
        self._choose()
        return DrawnPairs(*self._parts[0])

    def is_full(self) -> bool:
        """Return True if the range has as many pairs as requested."""
        return len(self.pairs().left) >= self.range.most

    def _choose(self) -> None:
        left, right, similarity = (
            np.concatenate(column) for column in zip(*self._parts, strict=True)
        )
        ranks = _pair_hashes(self._hashes[left], self._hashes[right])
        order = np.lexsort((right, left, ranks))
        left, right = left[order], right[order]
        repeated = np.zeros(len(left), np.bool_)
        repeated[1:] = (left[1:] == left[:-1]) & (right[1:] == right[:-1])
        chosen = np.flatnonzero(~repeated)[: self.range.most]
        self._parts = [(left[chosen], right[chosen], similarity[order][chosen])]
        self._pending = 0


def _search(
    units: Halves, drawn: Sequence[_Lowest], threads: int, parameters: Parameters | None
) -> None:
    """Add the pairs at or above the lowest range, proposed by sketches or, of few rows, by all."""
    # The join looks for cosines above its threshold, a range begins with its lower end.
    threshold = float(np.nextafter(min(each.range.low for each in drawn), -1))
    first_pass = parameters or choose_parameters(len(units), threshold, units.shape[1])
    with ThreadPoolExecutor(threads) as pool:

        def add(left: Rows, right: Rows) -> None:
            similarity = cosines(threshold, units[:0], units, left, right)
            # The columns of a batch are overwritten by the next one.
            above = np.flatnonzero(similarity > threshold)
            for each in drawn:
                each.add(left[above], right[above], similarity[above])

        if not first_pass.tables:

            def compare(tile: range) -> None:
                for left, right in brute_force_pairs(threshold, units, units[:0], tile):
                    add(left, right)

            list(pool.map(compare, tile_rows(len(units))))
            return
        for number in range(PASSES):
            chosen = replace(first_pass, seed=first_pass.seed + number)
            sketches = _sketches(units, chosen, pool)

            def join(
                tables: range, chosen: Parameters = chosen, sketches: Hashes = sketches
            ) -> None:
                for left, right in near_sketches(chosen, tables, sketches, sketches[:0]):
                    add(left, right)

            list(pool.map(join, [range(k, chosen.tables, threads) for k in range(threads)]))
            if all(each.is_full() for each in drawn):
                return


def _sketches(units: Halves, parameters: Parameters, pool: ThreadPoolExecutor) -> Hashes:
    normals = hyperplanes(parameters.dimensions, parameters.seed)
    chunks = (units[start : start + CHUNK] for start in range(0, len(units), CHUNK))
    return np.concatenate(list(pool.map(lambda chunk: sign_sketches(chunk, normals), chunks)))


def _scan(units: Halves, drawn: Sequence[_Lowest]) -> None:
    """Add pairs block by block, until every range is full or all rows are compared."""
    margin = 1 - float32_threshold(1, units.shape[1])
    open_ranges = list(drawn)
    for right_tile in tile_rows(len(units)):
        right_vectors = to_float32(units[right_tile.start : right_tile.stop])
        for left_tile in tile_rows(right_tile.stop):
            product = to_float32(units[left_tile.start : left_tile.stop]) @ right_vectors.T
            for each in open_ranges:
                low, high = (
                    np.float32(each.range.low - margin),
                    np.float32(each.range.high + margin),
                )
                left, right = np.nonzero((product >= low) & (product <= high))
                left, right = left + left_tile.start, right + right_tile.start
                ordered = left < right
                left, right = left[ordered], right[ordered]
                threshold = float(np.nextafter(each.range.low, -2))
                each.add(left, right, cosines(threshold, units[:0], units, left, right))
        open_ranges = [each for each in open_ranges if not each.is_full()]
        if not open_ranges:
            return


def _pair_hashes(left: Hashes, right: Hashes) -> Hashes:
    """Mix the hashes of two rows (the finalizer of SplitMix64)."""
    mixed = left * np.uint64(0x9E3779B97F4A7C15) + right
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
