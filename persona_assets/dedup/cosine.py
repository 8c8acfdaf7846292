"""Near-duplicates by meaning: all pairs of embeddings whose cosine is above a threshold."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.survivors import Edges, check_edge_count

COSINE_THRESHOLD = 0.9  # section 2.3; it names 0.5 for a smaller, more diverse hub
TILE = 2048
CHUNK = 16_384


def cosine_edges(
    vectors: npt.NDArray[np.floating],
    threshold: float,
    comparable: Callable[[int, int], bool] | None = None,
) -> Edges:
    """All pairs of rows of `vectors` (shape (n, d), any length) with cosine > `threshold`.

    Strictly above, as in the paper (section 2.3). A float32 matrix product by tiles proposes pairs;
    they are decided, and `similarity` given, in float64. A zero vector matches nothing.

    A model that sees only unknown tokens gives two unrelated texts the same vector, cosine 1, and
    only its tokenizer knows which rows those are. Zero their vectors, or, where what counts is the
    pair, pass `comparable(left, right)`: asked of each pair above the threshold, False refuses it.

    Raises ValueError if `vectors` is not a matrix of finite numbers, if the threshold is outside
    [-1, 1], and for more pairs than `MAX_EDGES`.
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n, d), not {vectors.shape}")
    if not -1 <= threshold <= 1:
        raise ValueError(f"a cosine threshold is between -1 and 1, not {threshold}")
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not np.isfinite(norms).all():
        row = int(np.flatnonzero(~np.isfinite(norms))[0])
        raise ValueError(f"vector {row} holds NaN, infinity or numbers too large: embed it again")
    rows = np.flatnonzero(norms)
    unit = (vectors[rows] / norms[rows, None]).astype(np.float32)
    # Rounding moves a float32 dot product of unit vectors by (d + 2) * 2**-24 at most; taken twice.
    sieve = np.float32(threshold - (unit.shape[1] + 4) * 2.0**-23)
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
    count = 0
    for top in range(0, len(rows), TILE):
        for start in range(top, len(rows), TILE):
            product = unit[top : top + TILE] @ unit[start : start + TILE].T
            i, j = np.nonzero(np.triu(product > sieve, k=1) if start == top else product > sieve)
            left, right = rows[i + top], rows[j + start]
            value = _cosines(vectors, norms, left, right)
            above = value > threshold
            found.append((left[above], right[above], value[above]))
            count += int(above.sum())
            check_edge_count(count)
    if not found:
        return Edges.of([], [], [])
    left, right, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if comparable is not None:
        pairs = zip(left.tolist(), right.tolist(), strict=True)
        keep = np.fromiter((comparable(i, j) for i, j in pairs), np.bool_, len(left))
        left, right, value = left[keep], right[keep], value[keep]
    return Edges.of(left, right, value)


def _cosines(
    vectors: npt.NDArray[np.floating],
    norms: npt.NDArray[np.float64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """float64 cosine of each pair, a chunk of pairs at a time."""
    value = np.empty(len(left))
    for start in range(0, len(left), CHUNK):
        i, j = left[start : start + CHUNK], right[start : start + CHUNK]
        dot = np.einsum("ij,ij->i", vectors[i], vectors[j], dtype=np.float64)
        value[start : start + CHUNK] = dot / (norms[i] * norms[j])
    return np.clip(value, -1, 1)
