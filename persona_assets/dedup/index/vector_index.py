"""Incremental index of distinct vectors and their near-duplicate pairs, stored in columns."""

import numpy as np
import numpy.typing as npt
import polars as pl

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.semantic.cosine_join import Recall, join_vectors, sampled_recall_of_units
from persona_assets.dedup.semantic.distinct_vectors import DistinctVectors
from persona_assets.dedup.semantic.half_precision import Matrix
from persona_assets.dedup.semantic.sign_sketches import WORDS, Parameters


class VectorIndex:
    """Incremental index of vectors.

    Items and pairs depend on the vectors and the parameters alone, neither on the split into
    batches nor on the number of threads. So the parameters must be part of the fingerprint of the
    columns.

    Args:
        columns: Opened columns, which include those of `shapes`.
        parameters: Parameters of the join.
        threads: Number of threads.
    """

    def __init__(self, columns: ColumnStore, parameters: Parameters, threads: int = 1) -> None:
        self._columns = columns
        self._parameters = parameters
        self._threads = threads

    @staticmethod
    def shapes(dimensions: int) -> dict[str, Shape]:
        """Return the required columns: 808 bytes per vector in 384 dimensions, 24 per pair."""
        return {
            "vector": ("<f2", (dimensions,)),
            "vector_hash": ("<u8", ()),
            "sketch": ("<u8", (WORDS,)),
            "edge_left": ("<i8", ()),
            "edge_right": ("<i8", ()),
            "edge_similarity": ("<f8", ()),
        }

    def add(self, vectors: Matrix | pl.Series) -> npt.NDArray[np.int64]:
        """Add vectors, and find the pairs that contain a new item.

        Items are numbered by first appearance. Vectors that are equal in half precision share an
        item, but each zero vector is an item of its own. New items and pairs are appended to the
        columns; the caller must commit them before the next `add`.

        Args:
            vectors: Vectors of any length, as a matrix of shape (n, d) or a column of lists.

        Returns:
            Item of each vector, int64, shape (n,).

        Raises:
            ValueError: As for `cosine_edges`, or the dimensions differ.
        """
        dimensions = self._parameters.dimensions
        matrix = vectors if isinstance(vectors, np.ndarray) else to_matrix(vectors, dimensions)
        if matrix.ndim != 2 or matrix.shape[1] != dimensions:
            raise ValueError(f"vectors must have shape (n, {dimensions}), not {matrix.shape}")
        columns = self._columns
        old = DistinctVectors(columns["vector"], columns["vector_hash"], columns["sketch"])
        known = len(columns["edge_left"])
        items, new, edges = join_vectors(old, matrix, self._parameters, self._threads, known)
        for name, values in (
            ("vector", new.units),
            ("vector_hash", new.hashes),
            ("sketch", new.sketches),
            ("edge_left", edges.left),
            ("edge_right", edges.right),
            ("edge_similarity", edges.similarity),
        ):
            columns.append(name, values)
        return items

    def edges(self) -> Edges:
        """Return all committed pairs of items."""
        names = ("edge_left", "edge_right", "edge_similarity")
        return Edges.from_pairs(*(self._columns[name] for name in names))

    def sampled_recall(self, sample: int = 1000, seed: int = 0) -> Recall:
        """Measure the recall of the committed pairs on randomly sampled items."""
        units = self._columns["vector"]
        return sampled_recall_of_units(
            units, self.edges(), self._parameters.threshold, sample, seed
        )


def to_matrix(vectors: pl.Series, dimensions: int | None = None) -> Matrix:
    """Convert a column of lists or arrays of numbers to a matrix.

    Args:
        vectors: Column of n vectors.
        dimensions: Required dimensions; by default any, if they are equal.

    Raises:
        ValueError: Vectors differ in dimensions, because they come from different models.

    Example:
        >>> to_matrix(pl.Series([[1.0, 0.0], [0.6, 0.8]])).shape
        (2, 2)
    """
    lists = vectors.arr.to_list() if isinstance(vectors.dtype, pl.Array) else vectors
    lengths = set(lists.list.len().fill_null(0))
    if dimensions is not None:
        lengths.add(dimensions)
    if len(lengths) > 1:
        listed = " and ".join(map(str, sorted(lengths)))
        raise ValueError(
            f"vectors have {listed} dimensions: embed all with one model "
            "(materialize persona_embeddings of all shards)"
        )
    return lists.explode().to_numpy().reshape(len(vectors), max(lengths, default=0))
