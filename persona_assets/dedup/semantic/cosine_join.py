"""Near-duplicates by meaning: all pairs of vectors whose cosine is above a threshold.

The cosine of two rows is computed from their vectors in half precision (`half_precision.py`), and
compared with the threshold without accumulated rounding error. Up to `EXACT` rows
(`sign_sketches.py`) all pairs are compared. Above that number sign sketches propose the pairs: a
pair at the threshold is found with probability `RECALL`, and a more
similar pair with a higher probability.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import EdgeBuilder, Edges, Rows
from persona_assets.dedup.semantic.brute_force import brute_force_pairs, tile_rows
from persona_assets.dedup.semantic.distinct_vectors import (
    DistinctVectors,
    no_vectors,
    number_vectors,
)
from persona_assets.dedup.semantic.half_precision import Halves, Matrix, cosines, unit_vectors
from persona_assets.dedup.semantic.lsh import near_sketches
from persona_assets.dedup.semantic.sign_sketches import Parameters, hyperplanes, sign_sketches
from persona_assets.dedup.semantic.sign_sketches import choose_parameters as parameters_for

COSINE_THRESHOLD = 0.9
"""Threshold of the paper (section 2.3), which suggests 0.5 for a smaller, more diverse hub."""

CHUNK = 1024
"""Rows that a thread sketches at a time."""


class Recall(NamedTuple):
    """Recall of a join, measured on a sample.

    Args:
        found: Number of the sample's true pairs that the join found.
        true: Number of true pairs of the sample.
    """

    found: int
    true: int


def cosine_edges(
    vectors: Matrix, threshold: float, threads: int = 1, parameters: Parameters | None = None
) -> Edges:
    """Find all pairs of rows with a cosine strictly above the threshold (section 2.3).

    A zero vector matches nothing. An embedding model that sees only unknown tokens gives unrelated
    texts the same vector, with cosine 1. Only its tokenizer knows these rows: set their vectors to
    zero before the join.

    Args:
        vectors: Vectors of any length, shape (n, d). A matrix mapped from a file is read once; the
            copy in memory has half precision.
        threshold: Cosine threshold from -1 to 1.
        threads: Number of threads.
        parameters: Parameters of the sketches; by default those for n rows.

    Returns:
        Pairs of rows and their cosines, deterministic for given parameters.

    Raises:
        ValueError: `vectors` is not a matrix of finite numbers, `threshold` is outside [-1, 1] or
            differs from that of `parameters`, or the result has more than `MAX_EDGES` pairs.

    Example:
        >>> vectors = np.array([[1, 0], [0, 1], [2, 0.1]], np.float32)
        >>> edges = cosine_edges(vectors, 0.9)
        >>> edges.left.tolist(), edges.right.tolist(), edges.similarity.round(3).tolist()
        ([0], [2], [0.999])
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n, d), not {vectors.shape}")
    rows, dimensions = vectors.shape
    chosen = parameters or parameters_for(rows, threshold, max(dimensions, 1))
    if not vectors.size:
        return Edges.from_pairs([], [], [])
    if (chosen.threshold, chosen.dimensions) != (threshold, dimensions):
        raise ValueError(f"for {dimensions} dimensions and threshold {threshold}, not {chosen}")
    items, new, edges = join_vectors(no_vectors(dimensions), vectors, chosen, threads)
    if len(new.units) == rows:
        return edges
    if threshold == 1:
        return Edges.from_pairs([], [], [])
    return edges.expanded(items)


def vector_neighbours(vectors: Matrix, rows: npt.ArrayLike, threshold: float) -> Edges:
    """Find all pairs that contain a given row, exactly, by matrix products.

    Args:
        vectors: Vectors of any length, shape (n, d).
        rows: Rows to compare with all rows.
        threshold: Cosine threshold.

    Raises:
        ValueError: As for `cosine_edges`.
    """
    with ThreadPoolExecutor(1) as pool:
        units = unit_vectors(vectors, pool)
    return _neighbours(units, np.unique(np.asarray(rows, np.int64)), threshold)


def sampled_recall(
    vectors: Matrix, edges: Edges, threshold: float, sample: int = 1000, seed: int = 0
) -> Recall:
    """Measure the recall of a join on randomly sampled rows.

    The sampled rows are compared with all rows; 1,000 among a million take seconds.

    Args:
        vectors: Vectors that were joined, shape (n, d).
        edges: Pairs that the join found.
        threshold: Cosine threshold of the join.
        sample: Number of rows to sample.
        seed: Seed of the sample.
    """
    with ThreadPoolExecutor(1) as pool:
        units = unit_vectors(vectors, pool)
    return sampled_recall_of_units(units, edges, threshold, sample, seed)


def sampled_recall_of_units(
    units: Halves, edges: Edges, threshold: float, sample: int, seed: int
) -> Recall:
    """Measure recall as `sampled_recall` does, for vectors that `unit_vectors` has rounded."""
    rows = np.random.default_rng(seed).permutation(len(units))[:sample]
    true_edges = _neighbours(units, np.sort(rows), threshold)
    return Recall(edges.count_shared(true_edges), len(true_edges))


def _neighbours(units: Halves, rows: Rows, threshold: float) -> Edges:
    """Find all pairs that contain a row of `rows`, which ascend."""
    builder = EdgeBuilder()
    chosen, is_chosen = units[rows], np.zeros(len(units), np.bool_)
    is_chosen[rows] = True
    for tile in tile_rows(len(rows)):
        for left, right in brute_force_pairs(threshold, chosen, units, tile):
            similarity = cosines(threshold, units, chosen, left, right)
            above = (similarity > threshold) & (left < len(units))
            a, b, similarity = left[above], rows[right[above] - len(units)], similarity[above]
            # A pair of two chosen rows is compared twice, and each chosen row with itself.
            once = (a < b) | ~is_chosen[a]
            if not builder.add(a[once], b[once], similarity[once]):
                break
    return builder.edges()


class VectorJoin(NamedTuple):
    """Join of new vectors with known items and with each other.

    Args:
        items: Item of each row, int64; known items are numbered first.
        new: Items that were not known.
        edges: Pairs of items that contain a new item.
    """

    items: Rows
    new: DistinctVectors
    edges: Edges


def join_vectors(
    old: DistinctVectors, vectors: Matrix, parameters: Parameters, threads: int, known: int = 0
) -> VectorJoin:
    """Join vectors with known items and with each other.

    Args:
        old: Known items.
        vectors: Vectors of any length, shape (n, d).
        parameters: Parameters of the join.
        threads: Number of threads.
        known: Number of pairs of known items, which count towards `MAX_EDGES`.

    Raises:
        ValueError: A vector is not finite, or there are more than `MAX_EDGES` pairs.
    """
    builder = EdgeBuilder(known)
    with ThreadPoolExecutor(threads) as pool:
        items, new = number_vectors(unit_vectors(vectors, pool), old)
        if parameters.tables:
            normals = hyperplanes(parameters.dimensions, parameters.seed)

            def sketch_chunk(start: int) -> None:
                chunk = slice(start, start + CHUNK)
                new.sketches[chunk] = sign_sketches(new.units[chunk], normals)

            list(pool.map(sketch_chunk, range(0, len(new.units), CHUNK)))

        def join_part(part: range) -> None:
            for left, right in _candidates(parameters, new, old, part):
                similarity = cosines(parameters.threshold, old.units, new.units, left, right)
                above = similarity > parameters.threshold
                if not builder.add(left[above], right[above], similarity[above]):
                    return

        list(pool.map(join_part, _split_work(parameters, len(new.units), threads)))
    return VectorJoin(items, new, builder.edges())


def _split_work(parameters: Parameters, rows: int, threads: int) -> Sequence[range]:
    """Split the join into parts for threads: tables, or without tables, new rows."""
    if parameters.tables and rows:
        return [range(k, parameters.tables, threads) for k in range(threads)]
    return tile_rows(rows)


def _candidates(
    parameters: Parameters, new: DistinctVectors, old: DistinctVectors, part: range
) -> Iterator[tuple[Rows, Rows]]:
    """Propose pairs for a part of the work: tables, or without tables, new rows."""
    if parameters.tables:
        return near_sketches(parameters, part, new.sketches, old.sketches)
    return brute_force_pairs(parameters.threshold, new.units, old.units, part)
