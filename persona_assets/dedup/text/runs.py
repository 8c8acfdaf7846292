"""Runs of rows: texts cut into chunks whose bytes stay in a CPU cache."""

from itertools import pairwise

import numpy as np

from persona_assets.dedup.kernels.compile import Array

CHUNK_BYTES = 1 << 20
"""Approximate number of bytes of text per chunk: the text and its results stay in the cache."""


def split_runs(ends: Array, rows: int, size: int) -> list[tuple[int, int]]:
    """Split rows into runs of at most `rows` rows and of about `size` bytes.

    Args:
        ends: Offset of each row in bytes, ascending, shape (n + 1,).
        rows: Largest number of rows per run.
        size: Approximate number of bytes per run.

    Returns:
        (first, stop) of each run.

    Example:
        >>> split_runs(np.array([0, 4, 8, 12, 16]), rows=3, size=8)
        [(0, 2), (2, 3), (3, 4)]
    """
    count = len(ends) - 1
    cuts = np.searchsorted(ends, np.arange(ends[0], ends[-1], size))
    bounds = np.unique(np.concatenate([[0, count], cuts, np.arange(0, count, rows)]))
    return list(pairwise(bounds[bounds <= count].tolist()))


def split_runs_by_size(lengths: Array, rows: int, size: int) -> list[tuple[int, int]]:
    """Split rows of the given lengths in bytes into runs, as `split_runs` does.

    Example:
        >>> split_runs_by_size(np.array([4, 4, 4, 4]), rows=3, size=8)
        [(0, 2), (2, 3), (3, 4)]
    """
    return split_runs(np.concatenate([[0], np.cumsum(lengths)]), rows, size)
