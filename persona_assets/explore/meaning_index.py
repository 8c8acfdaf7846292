"""Index of the vectors of all personas: the nearest to a vector, exactly.

A flat index in half precision: a million vectors of 384 dimensions take 768 MB.
"""

from typing import Any, Self

import numpy as np
import polars as pl

from persona_assets.dedup.index.vector_index import to_matrix


class MeaningIndex:
    """Index of vectors by row, filled shard by shard."""

    def __init__(self) -> None:
        self._index: Any = None
        self._parts: list[np.ndarray] = []
        self._rows = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @property
    def dimensions(self) -> int:
        """Length of a vector; 0 without vectors."""
        return 0 if self._index is None else int(self._index.d)

    def add(self, ids: pl.Series, vectors: pl.DataFrame, first_row: int) -> None:
        """Add the vectors of a shard; rows without a vector, or with zeros alone, are left off.

        Args:
            ids: Ids of the rows of the shard.
            vectors: Columns of the id and of `vector`.
            first_row: Row of the first id.

        Raises:
            ValueError: Vectors differ in dimensions, because they come from different models.
        """
        import faiss

        numbered = ids.to_frame().with_row_index("row", first_row)
        found = numbered.join(vectors, on=ids.name, maintain_order="left").drop_nulls("vector")
        if found.is_empty():
            return
        units = np.ascontiguousarray(to_matrix(found["vector"]), np.float32)
        has_meaning = units.any(axis=1)
        units = units[has_meaning]
        if self._index is None:
            self._index = faiss.IndexScalarQuantizer(
                units.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
        if units.shape[1] != self.dimensions:
            raise ValueError(
                f"vectors have {self.dimensions} and {units.shape[1]} dimensions: embed all with "
                "one model (materialize persona_embeddings of all shards)"
            )
        self._index.add(units)
        self._parts.append(found["row"].to_numpy()[has_meaning].astype(np.int64))

    def finished(self, size: int) -> Self:
        """Return the index, ready for searches, given the number of rows."""
        self._rows = np.concatenate([self._rows, *self._parts])
        self._places = np.full(size, -1)
        self._places[self._rows] = np.arange(len(self._rows))
        return self

    def has_vector(self, size: int) -> np.ndarray:
        """Return a mask of the rows that have a vector, of the length `size`."""
        mask = np.zeros(size, bool)
        for part in self._parts:
            mask[part] = True
        return mask

    def vector(self, row: int) -> np.ndarray | None:
        """Return the vector of a row, float32; None if it has none."""
        place = int(self._places[row])
        if place < 0:
            return None
        found: np.ndarray = self._index.reconstruct(place)
        return found

    def nearest(
        self, vector: np.ndarray, number: int, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest rows and their cosines, the nearest first.

        Args:
            vector: Unit vector of the dimensions of the index.
            number: Number of rows; fewer, if there are fewer.
            mask: True for rows that may be found.
        """
        import faiss

        if self._index is None:
            return np.empty(0, np.int64), np.empty(0)
        parameters = None
        if mask is not None:
            bits = np.packbits(mask[self._rows], bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        query = np.ascontiguousarray(vector, np.float32).reshape(1, -1)
        cosines, places = self._index.search(query, min(number, len(self._rows)), params=parameters)
        is_found = places[0] >= 0
        return self._rows[places[0][is_found]], cosines[0][is_found]
