"""Pairs of vectors that may be near each other, by matrix products of all."""

from collections.abc import Iterator

import numpy as np

from persona_assets.dedup.edges import Rows
from persona_assets.dedup.semantic.half_precision import Halves, float32_threshold, to_float32

TILE = 1024  # rows on a side of a matrix product


def brute_force_pairs(
    threshold: float, new: Halves, old: Halves, rows: range
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of any row and one of `rows` of `new` behind it that may be above the threshold.

    Rows of `old` are numbered first.
    """
    least = np.float32(float32_threshold(threshold, new.shape[1]))
    mine = to_float32(new[rows.start : rows.stop])
    for base, others, stop in ((0, old, len(old)), (len(old), new, rows.stop)):
        for start in range(0, stop, TILE):
            product = to_float32(others[start : min(start + TILE, stop)]) @ mine.T
            left, right = np.nonzero(product > least)
            left += base + start
            right += len(old) + rows.start
            keep = left < right
            yield left[keep], right[keep]


def tile_rows(rows: int) -> list[range]:
    """So many rows in runs that make up a side of a matrix product."""
    return [range(start, min(start + TILE, rows)) for start in range(0, rows, TILE)]
