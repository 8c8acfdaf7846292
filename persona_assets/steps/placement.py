"""Placement of personas on the map by their nearest landmarks.

numpy and faiss are imported inside functions: Dagster loads this module at every start.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from persona_assets.steps.landmarks import SAMPLED, Tables

if TYPE_CHECKING:
    import numpy as np

NEIGHBOURS = 4
"""Number of landmarks among which a persona is placed."""

PROBED = 8
"""Number of clusters, the nearest ones, whose landmarks are searched."""

LEAST_DISTANCE = 1e-4
"""Distance below which a landmark decides a place alone."""

LEAST_COSINE = 0.9
"""Median cosine between a persona's vectors then and now below which the model is another one."""

_BLOCK = 4096


@dataclass(frozen=True)
class Placed:
    """Places of personas.

    Attributes:
        xy: Coordinates, float64, shape (rows, 2).
        clusters: Number of the nearest cluster, shape (rows,).
        cosines: Cosine to the centre of that cluster, shape (rows,).
    """

    xy: "np.ndarray"
    clusters: "np.ndarray"
    cosines: "np.ndarray"


class Landmarks:
    """Landmarks of a map, to place other personas by.

    A persona is placed at the mean of its nearest landmarks, each weighed by the inverse square of
    its cosine distance (Shepard, "A two-dimensional interpolation function", 1968). A row's result
    depends on its vector and the landmarks, and on no other row.

    Args:
        table: Rows of LANDMARKS, at least one.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        import faiss
        import numpy as np

        from persona_assets.dedup.index.vector_index import to_matrix

        self._ids = table["persona_id"]
        self._vectors = to_matrix(table["vector"])
        self._xy = table.select("x", "y").to_numpy()
        members = table["cluster"].to_numpy().astype(np.int64)
        count, dimensions = int(members.max()) + 1, self._vectors.shape[1]
        centres = np.zeros((count, dimensions))
        np.add.at(centres, members, self._vectors.astype(np.float64))
        # Opposite vectors have no mean direction.
        self._centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
        self._quantizer = faiss.IndexFlatIP(dimensions)
        self._quantizer.add(self._centres.astype(np.float32))
        self._index: Any = faiss.IndexIVFFlat(
            self._quantizer, dimensions, count, faiss.METRIC_INNER_PRODUCT
        )
        # The lists of the index are the clusters, so that none is empty.
        numbers = np.arange(len(members), dtype=np.int64)
        pointers = map(faiss.swig_ptr, (self._vectors, numbers, members))
        self._index.add_core(len(members), *pointers)
        self._index.nprobe = min(PROBED, count)

    def place(self, vectors: "np.ndarray") -> Placed:
        """Place personas by their unit vectors, float32, shape (rows, dimensions).

        Raises:
            ValueError: The vectors have other dimensions than those of the landmarks.
        """
        import numpy as np

        xy = np.empty((len(vectors), 2))
        clusters = np.empty(len(vectors), np.int64)
        cosines = np.empty(len(vectors))
        for start in range(0, len(vectors), _BLOCK):
            rows = slice(start, start + _BLOCK)
            found, near, order = self._search(vectors[rows])
            weights = np.where(found < 0, 0.0, np.maximum(1 - near, LEAST_DISTANCE) ** -2.0)
            total = (weights[:, :, None] * self._xy[found]).sum(axis=1)
            xy[rows] = total / weights.sum(axis=1, keepdims=True)
            clusters[rows] = order[0][:, 0]
            cosines[rows] = order[1][:, 0]
        return Placed(xy.round(4), clusters, cosines.round(6))

    def mean_distance(self, personas: pl.DataFrame) -> float | None:
        """Return the mean cosine distance of personas to the nearest landmark but themselves.

        Args:
            personas: Columns `persona_id` and `vector`.

        Returns:
            A number of [0, 2]; None where there is no such landmark.
        """
        import numpy as np

        from persona_assets.dedup.index.vector_index import to_matrix

        if personas.is_empty():
            return None
        own = personas.select("persona_id").join(
            self._ids.to_frame().with_row_index("own"),
            on="persona_id",
            how="left",
            maintain_order="left",
        )["own"]
        found, near, _ = self._search(to_matrix(personas["vector"]))
        others = (found >= 0) & (found != own.fill_null(2**32 - 1).to_numpy()[:, None])
        nearest = np.where(others, near, -np.inf).max(axis=1)
        nearest = nearest[np.isfinite(nearest)]
        return float(1 - nearest.mean()) if len(nearest) else None

    def are_of_other_vectors(self, tables: Tables) -> bool:
        """Return True if the hub has vectors of another model than the landmarks."""
        import numpy as np

        from persona_assets.dedup.index.vector_index import to_matrix

        known = self._ids.head(SAMPLED).to_frame().with_row_index("row").lazy()
        cosines: list[float] = []
        for _, embeddings in tables():
            rows = embeddings.join(known, on="persona_id").select("row", "vector").collect()
            if rows.is_empty():
                continue
            now, then = to_matrix(rows["vector"]), self._vectors[rows["row"].to_numpy()]
            if now.shape != then.shape:
                return True
            cosines += np.einsum("rd,rd->r", now, then, dtype=np.float64).tolist()
        return bool(cosines) and float(np.median(cosines)) < LEAST_COSINE

    def _search(
        self, vectors: "np.ndarray"
    ) -> tuple["np.ndarray", "np.ndarray", tuple["np.ndarray", "np.ndarray"]]:
        """Return the nearest landmarks, -1 for none, their cosines, and the nearest centres."""
        import numpy as np

        if vectors.shape[1] != self._vectors.shape[1]:
            raise ValueError(
                f"the map has landmarks of {self._vectors.shape[1]} dimensions and personas have "
                f"vectors of {vectors.shape[1]}: materialize map_landmarks again"
            )
        exact = vectors.astype(np.float64)
        # Rounded, as a product of matrices depends in its last digits on the rows beside a row.
        to_centres = (exact @ self._centres.T).round(9)
        nearest = np.argsort(-to_centres, axis=1, kind="stable")[:, : self._index.nprobe]
        cosines = np.take_along_axis(to_centres, nearest, axis=1)
        _, found = self._index.search_preassigned(
            np.ascontiguousarray(vectors), NEIGHBOURS, nearest, cosines.astype(np.float32)
        )
        near = np.einsum("rkd,rd->rk", self._vectors[found].astype(np.float64), exact)
        return found, near, (nearest, cosines)
