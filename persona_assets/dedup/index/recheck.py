"""Pairs near the threshold, decided anew: int8 vectors find them, fp32 vectors of the texts decide.

The fp32 vectors lie in columns beside those of the join, by item: each is made once, whichever
shard needs it, and is forgotten with the items.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.index.shard_index import JoinedRows

BATCH = 4096
"""Texts that are embedded at a time; what is done is kept if the next batch fails."""

CHUNK = 4096
"""Pairs that are compared at a time."""

Rows = npt.NDArray[np.int64]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Rechecked:
    """What was found, without the pairs that fell, and how many were `checked`, `fell`, `embedded`.

    A pair that was checked has the cosine of its fp32 vectors.
    """

    found: JoinedRows
    checked: int
    fell: int
    embedded: int


class Recheck:
    """Decides pairs anew, over opened columns that have SHAPES beside those of the join."""

    @staticmethod
    def shapes(dimensions: int) -> dict[str, Shape]:
        """Columns of fp32 vectors of that many dimensions."""
        return {"checked_item": ("<i8", ()), "checked_vector": ("<f2", (dimensions,))}

    def __init__(self, columns: ColumnStore, embed: Embed) -> None:
        self._columns = columns
        self._embed = embed

    def decide(
        self,
        found: JoinedRows,
        threshold: float,
        margin: float,
        texts: Callable[[Rows], Sequence[str]],
    ) -> Rechecked:
        """Pairs of items that rows belong to, those at most `margin` from the threshold decided by
        fp32. `texts` gives the texts of some rows.
        """
        edges = found.edges
        has_rows = np.zeros(1 + max(found.sets.max(initial=-1), edges.right.max(initial=-1)), bool)
        has_rows[found.sets] = True
        alive = has_rows[edges.left] & has_rows[edges.right]
        left, right, similarity = edges.left[alive], edges.right[alive], edges.similarity[alive]
        near = similarity <= threshold + margin
        items = np.union1d(left[near], right[near])
        missing = np.setdiff1d(items, self._columns["checked_item"])
        if len(missing):
            self._add(missing, found.sets, texts)
        similarity[near] = self._cosines(left[near], right[near])
        stays = ~near | (similarity > threshold)
        decided = Edges(left[stays], right[stays], similarity[stays])
        return Rechecked(
            replace(found, edges=decided), int(near.sum()), int((~stays).sum()), len(missing)
        )

    def _add(self, missing: Rows, sets: Rows, texts: Callable[[Rows], Sequence[str]]) -> None:
        items, first = np.unique(sets, return_index=True)
        rows = first[np.searchsorted(items, missing)]
        self._columns.rollback()
        for start in range(0, len(missing), BATCH):
            vectors = self._embed(texts(rows[start : start + BATCH]))
            self._columns.append("checked_item", missing[start : start + BATCH])
            self._columns.append("checked_vector", _rounded(vectors))
            self._columns.commit(self._columns.state)

    def _cosines(self, left: Rows, right: Rows) -> npt.NDArray[np.float64]:
        """Exact, as in the join: float64 holds any sum of products of halves without error."""
        items, vectors = self._columns["checked_item"], self._columns["checked_vector"]
        order = np.argsort(items)
        places = [order[np.searchsorted(items, side, sorter=order)] for side in (left, right)]
        result = np.zeros(len(left))
        for start in range(0, len(left), CHUNK):
            a, b = (vectors[rows[start : start + CHUNK]].astype(np.float64) for rows in places)
            products = [np.einsum("ij,ij->i", *both) for both in ((a, b), (a, a), (b, b))]
            result[start : start + CHUNK] = products[0] / np.sqrt(products[1] * products[2])
        return np.minimum(result, 1.0)


def _rounded(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Vectors of length 1 in half precision, as the join keeps them."""
    exact = vectors.astype(np.float64)
    exact *= 1 / np.linalg.norm(exact, axis=1, keepdims=True)
    return exact.astype(np.float32).astype(np.float16)
