"""Near-duplicates by meaning: all pairs of vectors whose cosine is above a threshold.

The cosine of two rows is that of their vectors in half precision (`units`), and it is decided
without a rounding error. Up to `signs.EXACT` rows all pairs are compared. Of more, sign sketches
propose the pairs, and one at the threshold is found with probability `signs.RECALL`, those above it
more surely.
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

COSINE_THRESHOLD = 0.9  # section 2.3; it names 0.5 for a smaller, more diverse hub
CHUNK = 1024  # rows that are sketched at a time


class Recall(NamedTuple):
    """Of the `true` pairs of a sample so many were `found`."""

    found: int
    true: int


def cosine_edges(
    vectors: Matrix, threshold: float, threads: int = 1, parameters: Parameters | None = None
) -> Edges:
    """All pairs of rows of `vectors` (shape (n, d), any length) with cosine > `threshold`.

    Strictly above, as in the paper (section 2.3). A zero vector matches nothing. The matrix may be
    mapped from a file: it is read once, and a copy in half precision is kept in memory.
    `parameters` are those for n rows unless given.

    A model that sees only unknown tokens gives unrelated texts the same vector, cosine 1, and only
    its tokenizer knows which rows those are: zero their vectors.

    Raises ValueError if `vectors` is not a matrix of finite numbers, if the threshold is outside
    [-1, 1] or not that of the parameters, and for more pairs than `MAX_EDGES`.
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n, d), not {vectors.shape}")
    rows, dimensions = vectors.shape
    chosen = parameters or parameters_for(rows, threshold, max(dimensions, 1))
    if not vectors.size:
        return Edges.of([], [], [])
    if (chosen.threshold, chosen.dimensions) != (threshold, dimensions):
        raise ValueError(f"for {dimensions} dimensions and threshold {threshold}, not {chosen}")
    numbers, new, edges = join_vectors(no_vectors(dimensions), vectors, chosen, threads)
    if len(new.units) == rows:
        return edges
    if threshold == 1:
        return Edges.of([], [], [])
    return edges.expanded(numbers)


def vector_neighbours(vectors: Matrix, rows: npt.ArrayLike, threshold: float) -> Edges:
    """All pairs with cosine > `threshold` that have one of `rows` in them, by matrix products.

    Raises ValueError as `cosine_edges` does.
    """
    with ThreadPoolExecutor(1) as one:
        return _neighbours(
            unit_vectors(vectors, one), np.unique(np.asarray(rows, np.int64)), threshold
        )


def sampled_recall(
    vectors: Matrix, edges: Edges, threshold: float, sample: int = 1000, seed: int = 0
) -> Recall:
    """How many of the pairs of some rows, chosen at random, are among `edges`.

    The rows are compared with all others; 1,000 among a million take seconds.
    """
    with ThreadPoolExecutor(1) as one:
        return recall_of(unit_vectors(vectors, one), edges, threshold, sample, seed)


def recall_of(units: Halves, edges: Edges, threshold: float, sample: int, seed: int) -> Recall:
    """`sampled_recall` of vectors that are rounded already."""
    rows = np.random.default_rng(seed).permutation(len(units))[:sample]
    true = _neighbours(units, np.sort(rows), threshold)
    return Recall(edges.shared(true), len(true))


def _neighbours(units: Halves, rows: Rows, threshold: float) -> Edges:
    found = EdgeBuilder()
    chosen, asked = units[rows], np.zeros(len(units), np.bool_)
    asked[rows] = True
    for tile in tile_rows(len(rows)):
        for left, right in brute_force_pairs(threshold, chosen, units, tile):
            similarity = cosines(threshold, units, chosen, left, right)
            above = (similarity > threshold) & (left < len(units))
            one, other, similarity = left[above], rows[right[above] - len(units)], similarity[above]
            # Two rows that are both asked for are compared twice, and a row with itself.
            once = (one < other) | ~asked[one]
            if not found.add(one[once], other[once], similarity[once]):
                break
    return found.edges()


class VectorJoin(NamedTuple):
    """The item of each row, the new items, and all pairs of items with one of these."""

    numbers: Rows
    new: DistinctVectors
    edges: Edges


def join_vectors(
    old: DistinctVectors, vectors: Matrix, parameters: Parameters, threads: int, known: int = 0
) -> VectorJoin:
    """Joins vectors with items known before and with each other; `known` pairs are known."""
    found = EdgeBuilder(known)
    with ThreadPoolExecutor(threads) as pool:
        numbers, new = number_vectors(unit_vectors(vectors, pool), old)
        if parameters.tables:
            normals = hyperplanes(parameters.dimensions, parameters.seed)

            def sketch(start: int) -> None:
                chunk = slice(start, start + CHUNK)
                new.sketches[chunk] = sign_sketches(new.units[chunk], normals)

            list(pool.map(sketch, range(0, len(new.units), CHUNK)))

        def task(part: range) -> None:
            for left, right in _candidates(parameters, new, old, part):
                similarity = cosines(parameters.threshold, old.units, new.units, left, right)
                above = similarity > parameters.threshold
                if not found.add(left[above], right[above], similarity[above]):
                    return

        list(pool.map(task, _tasks(parameters, len(new.units), threads)))
    return VectorJoin(numbers, new, found.edges())


def _tasks(parameters: Parameters, rows: int, threads: int) -> Sequence[range]:
    """What threads share: tables, or if there are none, new rows."""
    if parameters.tables and rows:
        return [range(k, parameters.tables, threads) for k in range(threads)]
    return tile_rows(rows)


def _candidates(
    parameters: Parameters, new: DistinctVectors, old: DistinctVectors, part: range
) -> Iterator[tuple[Rows, Rows]]:
    if parameters.tables:
        return near_sketches(parameters, part, new.sketches, old.sketches)
    return brute_force_pairs(parameters.threshold, new.units, old.units, part)
