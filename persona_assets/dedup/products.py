"""Pairs of vectors that may be near each other, by matrix products of all."""

from collections.abc import Iterator

import numpy as np

from persona_assets.dedup.edges import Rows
from persona_assets.dedup.units import Halves, sieve, singles

TILE = 1024  # rows on a side of a matrix product


def products(
    threshold: float, new: Halves, old: Halves, rows: range
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of any row and one of `rows` of `new` behind it that may be above the threshold.

    Rows of `old` are numbered first.
    """
    least = np.float32(sieve(threshold, new.shape[1]))
    mine = singles(new[rows.start : rows.stop])
    for base, others, stop in ((0, old, len(old)), (len(old), new, rows.stop)):
        for start in range(0, stop, TILE):
            product = singles(others[start : min(start + TILE, stop)]) @ mine.T
            left, right = np.nonzero(product > least)
            left += base + start
            right += len(old) + rows.start
            keep = left < right
            yield left[keep], right[keep]


def tiles(rows: int) -> list[range]:
    """So many rows in runs that make up a side of a matrix product."""
    return [range(start, min(start + TILE, rows)) for start in range(0, rows, TILE)]
