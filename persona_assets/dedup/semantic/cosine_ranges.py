"""Pairs of vectors whose cosine is in a given range, the requested number of each range.

Rows are compared by matrix products, block by block, until every range is full: a few thousand
rows hold enough pairs that are not rare. A range of high cosines that the first `EXACT` rows leave
short is searched by the sign sketches of the cosine join, over all rows. They miss a pair with a
probability of at most 1 - `RECALL`; while the range stays short, further hyperplanes search again,
up to `PASSES` times. Sketches cannot tell low cosines apart, so a range of these goes on by blocks.
Memory does not depend on the number of pairs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Rows, Similarity
from persona_assets.dedup.semantic.brute_force import TILE, tile_rows
from persona_assets.dedup.semantic.half_precision import (
    Halves,
    cosines,
    float32_threshold,
    to_float32,
)
from persona_assets.dedup.semantic.lsh import near_sketches
from persona_assets.dedup.semantic.sign_sketches import (
    EXACT,
    Parameters,
    Sketches,
    choose_parameters,
    hyperplanes,
    sign_sketches,
)

SKETCHED = 0.5
"""Lower end from which a range is searched by sketches: below it they cost more than products."""

PASSES = 3
"""Searches with hyperplanes of their own: a pair is missed by all with a probability of 2e-7."""

PENDING = 1 << 16
"""Pairs of a range that wait before the first are chosen."""

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
    missed a pair in all passes. Pairs of earlier blocks of rows come first, and within a block
    those with the lowest hashes; for the sketches, the rows after the first `EXACT` are a single
    block. So a larger number of pairs includes every smaller number.

    Args:
        units: Unit vectors as `unit_vectors` rounds them, shape (n, d).
        hashes: Hash of each row, uint64, shape (n,), which together with that of the other row
            decides the place of a pair in its block. The order of rows decides the orientation of
            a pair, and which blocks come first.
        ranges: Ranges, which may overlap.
        first: Number of rows whose pairs with each other are left out.
        threads: Number of threads.
        parameters: Parameters of the sketches; by default those for n rows.

    Returns:
        Pairs of each range in that order, deterministic for given rows, hashes and parameters.

    Example:
        >>> units = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0.01]], np.float16)
        >>> [drawn] = pairs_in_ranges(units, np.arange(4).astype("u8"), [CosineRange(0.7, 0.9, 9)])
        >>> drawn.left.tolist(), drawn.right.tolist(), drawn.similarity.round(2).tolist()
        ([1], [2], [0.8])
    """
    drawn = [_Range(each, hashes, first) for each in ranges]
    sketched = len(units) > EXACT or parameters is not None
    rows = 0 if parameters is not None else min(EXACT, len(units))
    low = [each for each in drawn if each.wanted.low < SKETCHED]
    high = [each for each in drawn if each.wanted.low >= SKETCHED]
    _scan(units, range(rows), drawn)
    if sketched:
        _scan(units, range(rows, len(units)), low)
        _search(units, high, threads, parameters)
    return [each.pairs() for each in drawn]


class _Range:
    """The first pairs of a range among those added, by block and hash.

    Args:
        wanted: Range.
        hashes: Hash of each row.
        first: Number of rows whose pairs with each other are left out.
    """

    def __init__(self, wanted: CosineRange, hashes: Hashes, first: int) -> None:
        self.wanted = wanted
        self._hashes = hashes
        self._first = first
        # Sketches do not find pairs block by block.
        self._last_block = EXACT // TILE if wanted.low >= SKETCHED else len(hashes)
        self._parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        self._pending = 0
        self._lock = Lock()

    def add(self, left: Rows, right: Rows, similarity: Similarity) -> None:
        """Add the pairs that are in the range; a pair that is added twice counts once."""
        inside = (similarity >= self.wanted.low) & (similarity <= self.wanted.high)
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

    def is_short(self) -> bool:
        """Return True if the range has fewer pairs than requested."""
        return len(self.pairs().left) < self.wanted.most

    def _choose(self) -> None:
        left, right, similarity = (
            np.concatenate(column) for column in zip(*self._parts, strict=True)
        )
        blocks = np.minimum(right // TILE, self._last_block)
        ranks = _pair_hashes(self._hashes[left], self._hashes[right])
        order = np.lexsort((right, left, ranks, blocks))
        left, right = left[order], right[order]
        repeated = np.zeros(len(left), np.bool_)
        repeated[1:] = (left[1:] == left[:-1]) & (right[1:] == right[:-1])
        chosen = np.flatnonzero(~repeated)[: self.wanted.most]
        self._parts = [(left[chosen], right[chosen], similarity[order][chosen])]
        self._pending = 0


def _scan(units: Halves, rows: range, drawn: Sequence[_Range]) -> None:
    """Compare blocks of rows with all rows before them, until every range is full."""
    margin = 1 - float32_threshold(1, units.shape[1])
    for start in range(rows.start, rows.stop, TILE):
        short = [each for each in drawn if each.is_short()]
        if not short:
            return
        stop = min(start + TILE, rows.stop)
        right_vectors = to_float32(units[start:stop])
        for tile in tile_rows(stop):
            product = to_float32(units[tile.start : tile.stop]) @ right_vectors.T
            for each in short:
                low, high = each.wanted.low - margin, each.wanted.high + margin
                left, right = np.nonzero((product >= low) & (product <= high))
                left, right = left + tile.start, right + start
                ordered = left < right
                left, right = left[ordered], right[ordered]
                threshold = float(np.nextafter(each.wanted.low, -2))
                each.add(left, right, cosines(threshold, units[:0], units, left, right))


def _search(
    units: Halves, drawn: Sequence[_Range], threads: int, parameters: Parameters | None
) -> None:
    """Search all rows by sketches, pass by pass, until every range is full."""
    with ThreadPoolExecutor(threads) as pool:
        for number in range(PASSES):
            short = [each for each in drawn if each.is_short()]
            if not short:
                return
            # The join looks for cosines above its threshold, a range begins with its lower end.
            threshold = float(np.nextafter(min(each.wanted.low for each in short), -1))
            chosen = parameters or choose_parameters(len(units), threshold, units.shape[1])
            chosen = replace(chosen, threshold=threshold, seed=chosen.seed + number)
            sketches = _sketches(units, chosen, pool)
            join = partial(_join, units, sketches, chosen, short)
            list(pool.map(join, [range(k, chosen.tables, threads) for k in range(threads)]))


def _join(
    units: Halves,
    sketches: Sketches,
    parameters: Parameters,
    drawn: Sequence[_Range],
    tables: range,
) -> None:
    """Add the pairs above the threshold that share a key in one of the tables."""
    for left, right in near_sketches(parameters, tables, sketches, sketches[:0]):
        similarity = cosines(parameters.threshold, units[:0], units, left, right)
        # A copy: the columns of a batch are overwritten by the next one.
        above = np.flatnonzero(similarity > parameters.threshold)
        for each in drawn:
            each.add(left[above], right[above], similarity[above])


def _sketches(units: Halves, parameters: Parameters, pool: ThreadPoolExecutor) -> Sketches:
    normals = hyperplanes(parameters.dimensions, parameters.seed)
    chunks = (units[start : start + CHUNK] for start in range(0, len(units), CHUNK))
    return np.concatenate(list(pool.map(lambda chunk: sign_sketches(chunk, normals), chunks)))


def _pair_hashes(left: Hashes, right: Hashes) -> Hashes:
    """Mix the hashes of two rows (the finalizer of SplitMix64)."""
    mixed = left * np.uint64(0x9E3779B97F4A7C15) + right
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
