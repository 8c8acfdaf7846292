"""The distinct vectors of a hub and the pairs that are similar, remembered between runs."""

import numpy as np
import numpy.typing as npt
import polars as pl

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.semantic.cosine_join import Recall, join_vectors, recall_of
from persona_assets.dedup.semantic.distinct_vectors import DistinctVectors
from persona_assets.dedup.semantic.half_precision import Matrix
from persona_assets.dedup.semantic.sign_sketches import WORDS, Parameters


class VectorIndex:
    """An index that vectors are added to, over opened columns of `shapes(dimensions)`.

    What was found so far depends on the vectors and the parameters alone, not on how the rows were
    split nor on the threads: give the columns the parameters as their fingerprint.
    """

    def __init__(self, columns: ColumnStore, parameters: Parameters, threads: int = 1) -> None:
        self._columns = columns
        self._parameters = parameters
        self._threads = threads

    @staticmethod
    def shapes(dimensions: int) -> dict[str, Shape]:
        """The columns that it needs: 808 bytes a vector of 384 dimensions, 24 bytes a pair."""
        return {
            "vector": ("<f2", (dimensions,)),
            "vector_hash": ("<u8", ()),
            "sketch": ("<u8", (WORDS,)),
            "edge_left": ("<i8", ()),
            "edge_right": ("<i8", ()),
            "edge_similarity": ("<f8", ()),
        }

    def add(self, vectors: Matrix | pl.Series) -> npt.NDArray[np.int64]:
        """The number of each vector's item, int64 of shape (n,); pairs with new ones are found.

        Items are numbered in the order in which they come. Rows whose vectors are the same in half
        precision are one item, but each zero vector is one of its own. All is appended to the
        columns, where the caller commits it before the next `add`.

        Raises what `cosine_edges` raises.
        """
        dimensions = self._parameters.dimensions
        matrix = vectors if isinstance(vectors, np.ndarray) else to_matrix(vectors, dimensions)
        if matrix.ndim != 2 or matrix.shape[1] != dimensions:
            raise ValueError(f"vectors must have shape (n, {dimensions}), not {matrix.shape}")
        columns = self._columns
        old = DistinctVectors(columns["vector"], columns["vector_hash"], columns["sketch"])
        known = len(columns["edge_left"])
        numbers, new, edges = join_vectors(old, matrix, self._parameters, self._threads, known)
        for name, values in (
            ("vector", new.units),
            ("vector_hash", new.hashes),
            ("sketch", new.sketches),
            ("edge_left", edges.left),
            ("edge_right", edges.right),
            ("edge_similarity", edges.similarity),
        ):
            columns.append(name, values)
        return numbers

    def edges(self) -> Edges:
        """All pairs of items found so far, as far as they are committed."""
        names = ("edge_left", "edge_right", "edge_similarity")
        return Edges.of(*(self._columns[name] for name in names))

    def sampled_recall(self, sample: int = 1000, seed: int = 0) -> Recall:
        """How many of the pairs of some items, chosen at random, are among `edges`."""
        units = self._columns["vector"]
        return recall_of(units, self.edges(), self._parameters.threshold, sample, seed)


def to_matrix(vectors: pl.Series, dimensions: int | None = None) -> Matrix:
    """A column of lists or arrays of numbers as a matrix, of the `dimensions` given or any.

    Raises ValueError for vectors of different dimensions, which are of different models.
    """
    listed = vectors.arr.to_list() if isinstance(vectors.dtype, pl.Array) else vectors
    found = set(listed.list.len().fill_null(0))
    if dimensions is not None:
        found.add(dimensions)
    if len(found) > 1:
        several = " and ".join(map(str, sorted(found)))
        raise ValueError(
            f"vectors have {several} dimensions: embed all with one model "
            "(materialize persona_embeddings of all shards)"
        )
    return listed.explode().to_numpy().reshape(len(vectors), max(found, default=0))
