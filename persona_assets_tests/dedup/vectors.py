"""Sample vectors, and comparisons of edges."""

import numpy as np

from persona_assets.dedup.edges import Edges


def pairs(edges: Edges) -> list[tuple[int, int]]:
    return list(zip(edges.left.tolist(), edges.right.tolist(), strict=True))


def equal_edges(a: Edges, b: Edges) -> bool:
    return pairs(a) == pairs(b) and a.similarity.tolist() == b.similarity.tolist()


def half_precision_units(vectors: np.ndarray) -> np.ndarray:
    """Return unit vectors rounded to half precision, as float64; zero vectors stay zero."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    units = vectors / np.where(lengths > 0, lengths, 1)[:, None]
    return units.astype(np.float32).astype(np.float16).astype(np.float64)


def clustered(rows: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Return vectors in pairs with cosines from 0.85 to 0.99, in random order."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(rows // 2, dimensions))
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    noise = rng.normal(size=half.shape)
    noise -= (noise * half).sum(axis=1, keepdims=True) * half
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    cosine = rng.uniform(0.85, 0.99, size=(rows // 2, 1))
    partners = cosine * half + np.sqrt(1 - cosine**2) * noise
    return np.concatenate([half, partners]).astype(np.float32)[rng.permutation(rows)]
