"""Candidate pairs by matrix products: every vector is compared with every other."""

from collections.abc import Iterator

import numpy as np

from persona_assets.dedup.edges import Rows
from persona_assets.dedup.semantic.half_precision import Halves, float32_threshold, to_float32

TILE = 1024
"""Rows on each side of a matrix product."""


def brute_force_pairs(
    threshold: float, new: Halves, old: Halves, rows: range
) -> Iterator[tuple[Rows, Rows]]:
    """Yield all pairs of a row and a later row in `rows` that may be above the threshold.

    Rows of `old` are numbered first, rows of `new` after them. float32 proposes the pairs, so the
    caller must verify the cosines.

    Args:
        threshold: Cosine threshold.
        new: Unit vectors in half precision, shape (n, d).
        old: Unit vectors in half precision, shape (m, d).
        rows: Rows of `new` on the right of each pair.

    Yields:
        Left and right rows, int64.
    """
    minimum = np.float32(float32_threshold(threshold, new.shape[1]))
    right_vectors = to_float32(new[rows.start : rows.stop])
    for base, vectors, stop in ((0, old, len(old)), (len(old), new, rows.stop)):
        for start in range(0, stop, TILE):
            product = to_float32(vectors[start : min(start + TILE, stop)]) @ right_vectors.T
            left, right = np.nonzero(product > minimum)
            left += base + start
            right += len(old) + rows.start
            ordered = left < right
            yield left[ordered], right[ordered]


def tile_rows(rows: int) -> list[range]:
    """Split a number of rows into ranges of at most `TILE` rows.

    Example:
        >>> tile_rows(1500)
        [range(0, 1024), range(1024, 1500)]
    """
    return [range(start, min(start + TILE, rows)) for start in range(0, rows, TILE)]
