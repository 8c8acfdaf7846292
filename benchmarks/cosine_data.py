"""Vectors for the benchmark of cosines, some of them near-duplicates."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers.environments import CACHE

CENTRES = 5000
BLOCK = 2048
"""Rows per write."""

Matrix = Any


def synthetic(rows: int, dimensions: int, seed: int) -> Path:
    """Return a file of float16 vectors scattered around centres, shape (rows, dimensions).

    The median cosine of two rows is 0.1. Two rows of the same centre have a cosine of 0.1 to 0.8.
    One row in ten has a cosine of 0.85 to 0.99 to another row.
    """
    return _cached(f"vectors-{rows}-{dimensions}-{seed}", (rows, dimensions), seed, _scattered)


def cone(rows: int, dimensions: int, seed: int, cosine: float) -> Path:
    """Return a file of float16 vectors whose cosine to each other is about `cosine`."""

    def fill(matrix: Matrix, rng: np.random.Generator) -> None:
        [axis] = _units(rng, 1, dimensions)
        for start in range(0, rows, BLOCK):
            block = matrix[start : start + BLOCK]
            origin = np.repeat(axis[None], len(block), axis=0)
            block[:] = _near(rng, origin, np.full(len(block), np.sqrt(cosine), np.float32))

    return _cached(f"cone-{cosine}-{rows}-{dimensions}-{seed}", (rows, dimensions), seed, fill)


def _cached(
    name: str,
    shape: tuple[int, int],
    seed: int,
    fill: Callable[[Matrix, np.random.Generator], None],
) -> Path:
    """Return the file of a matrix, filled unless it exists. Its name holds this module's hash."""
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = CACHE / f"{name}-{source}.npy"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".tmp.npy")
        matrix = np.lib.format.open_memmap(scratch, "w+", np.float16, shape)
        fill(matrix, np.random.default_rng(seed))
        matrix.flush()
        scratch.rename(path)
    return path


def _units(rng: np.random.Generator, count: int, dimensions: int) -> Matrix:
    vectors = rng.standard_normal((count, dimensions), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _near(rng: np.random.Generator, origin: Matrix, cosine: Matrix) -> Matrix:
    """Return unit vectors at the given cosines to the rows of `origin`."""
    side = _units(rng, *origin.shape)
    side -= (side * origin).sum(axis=1, keepdims=True) * origin
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return cosine[:, None] * origin + np.sqrt(1 - cosine[:, None] ** 2) * side


def _scattered(matrix: Matrix, rng: np.random.Generator) -> None:
    rows, dimensions = matrix.shape
    axis = np.repeat(_units(rng, 1, dimensions), CENTRES, axis=0)
    centres = _near(rng, axis, np.full(CENTRES, 0.32, np.float32))
    tight = rng.uniform(0.32, 0.9, CENTRES).astype(np.float32)
    places, first = rng.permutation(rows), rows - rows // 10
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        chosen = rng.integers(0, CENTRES, count)
        block = _near(rng, centres[chosen], tight[chosen])
        late = np.arange(start, start + count) >= first
        if late.any():
            sources = matrix[places[rng.integers(0, min(start, first), count)]].astype(np.float32)
            sources /= np.linalg.norm(sources, axis=1, keepdims=True)
            cosine = rng.uniform(0.85, 0.99, count).astype(np.float32)
            block[late] = _near(rng, sources, cosine)[late]
        matrix[places[start : start + count]] = block
