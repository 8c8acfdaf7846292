"""Vectors for the benchmark of cosines, some of them near-duplicates of others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers.compare import CACHE

CENTRES = 5000
BLOCK = 2048
"""Rows made at a time."""

Matrix = Any


def synthetic(rows: int, dimensions: int, seed: int) -> Path:
    """A file of float16 vectors, made if it is not there yet.

    Two rows have a median cosine of 0.1; those of one centre one of 0.1 to 0.8; one row in ten has
    a cosine of 0.85 to 0.99 to another.
    """
    return _made(f"vectors-{rows}-{dimensions}-{seed}", (rows, dimensions), seed, _scattered)


def cone(rows: int, dimensions: int, seed: int, cosine: float) -> Path:
    """A file of float16 vectors of which any two have about this cosine."""

    def fill(made: Matrix, rng: np.random.Generator) -> None:
        [axis] = _units(rng, 1, dimensions)
        for start in range(0, rows, BLOCK):
            block = made[start : start + BLOCK]
            origin = np.repeat(axis[None], len(block), axis=0)
            block[:] = _near(rng, origin, np.full(len(block), np.sqrt(cosine), np.float32))

    return _made(f"cone-{cosine}-{rows}-{dimensions}-{seed}", (rows, dimensions), seed, fill)


def _made(
    name: str,
    shape: tuple[int, int],
    seed: int,
    fill: Callable[[Matrix, np.random.Generator], None],
) -> Path:
    path = CACHE / f"{name}.npy"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".tmp.npy")
        made = np.lib.format.open_memmap(scratch, "w+", np.float16, shape)
        fill(made, np.random.default_rng(seed))
        made.flush()
        scratch.rename(path)
    return path


def _units(rng: np.random.Generator, count: int, dimensions: int) -> Matrix:
    vectors = rng.standard_normal((count, dimensions), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _near(rng: np.random.Generator, origin: Matrix, cosine: Matrix) -> Matrix:
    """Unit vectors at these cosines to others."""
    side = _units(rng, *origin.shape)
    side -= (side * origin).sum(axis=1, keepdims=True) * origin
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return cosine[:, None] * origin + np.sqrt(1 - cosine[:, None] ** 2) * side


def _scattered(made: Matrix, rng: np.random.Generator) -> None:
    rows, dimensions = made.shape
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
            sources = made[places[rng.integers(0, min(start, first), count)]].astype(np.float32)
            sources /= np.linalg.norm(sources, axis=1, keepdims=True)
            cosine = rng.uniform(0.85, 0.99, count).astype(np.float32)
            block[late] = _near(rng, sources, cosine)[late]
        made[places[start : start + count]] = block
