"""Recheck of pairs near the threshold: int8 vectors propose pairs, fp32 vectors decide.

fp32 vectors are stored by item, in columns beside those of the join. A text is embedded once,
whichever shard needs it, and its vector is discarded together with the items.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.index.shard_index import JoinedRows

BATCH = 4096
"""Texts embedded at a time; finished batches are kept if a later batch fails."""

CHUNK = 4096
"""Pairs compared at a time."""

Rows = npt.NDArray[np.int64]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Function from texts to fp32 vectors, shape (n, d)."""


@dataclass(frozen=True, eq=False)
class Rechecked:
    """Joined rows after the recheck.

    Args:
        joined: Joined rows without rejected pairs; a checked pair has the cosine of its fp32
            vectors.
        checked: Number of pairs decided by fp32 vectors.
        rejected: Number of checked pairs that are not above the threshold.
        embedded: Number of texts embedded.
    """

    joined: JoinedRows
    checked: int
    rejected: int
    embedded: int


class Recheck:
    """Recheck of pairs near the threshold by fp32 vectors.

    Args:
        columns: Opened columns, which include those of `shapes` and of the join.
        embed: Function that computes fp32 vectors of texts.
    """

    @staticmethod
    def shapes(dimensions: int) -> dict[str, Shape]:
        """Return the columns for fp32 vectors, which are stored as unit vectors in float16."""
        return {"checked_item": ("<i8", ()), "checked_vector": ("<f2", (dimensions,))}

    def __init__(self, columns: ColumnStore, embed: Embed) -> None:
        self._columns = columns
        self._embed = embed

    def decide(
        self,
        joined: JoinedRows,
        threshold: float,
        margin: float,
        texts: Callable[[Rows], Sequence[str]],
    ) -> Rechecked:
        """Decide the pairs near the threshold by the cosines of fp32 vectors.

        Pairs of items without rows are removed, and cost no embedding.

        Args:
            joined: Joined rows; pairs were found with a threshold lowered by `margin`.
            threshold: Cosine threshold.
            margin: Maximum error of a cosine of int8 vectors. Pairs with a cosine above
                `threshold + margin` need no check.
            texts: Function that returns the texts of given rows.
        """
        edges = joined.edges
        item_count = 1 + max(joined.sets.max(initial=-1), edges.right.max(initial=-1))
        has_rows = np.zeros(item_count, bool)
        has_rows[joined.sets] = True
        alive = has_rows[edges.left] & has_rows[edges.right]
        left, right, similarity = edges.left[alive], edges.right[alive], edges.similarity[alive]
        near = similarity <= threshold + margin
        items = np.union1d(left[near], right[near])
        missing = np.setdiff1d(items, self._columns["checked_item"])
        if len(missing):
            self._embed_items(missing, joined.sets, texts)
        similarity[near] = self._cosines(left[near], right[near])
        accepted = ~near | (similarity > threshold)
        decided = Edges(left[accepted], right[accepted], similarity[accepted])
        return Rechecked(
            replace(joined, edges=decided), int(near.sum()), int((~accepted).sum()), len(missing)
        )

    def _embed_items(
        self, missing: Rows, sets: Rows, texts: Callable[[Rows], Sequence[str]]
    ) -> None:
        """Embed the text of an item's first row, for each missing item, and commit each batch."""
        items, first = np.unique(sets, return_index=True)
        rows = first[np.searchsorted(items, missing)]
        self._columns.rollback()
        for start in range(0, len(missing), BATCH):
            vectors = self._embed(texts(rows[start : start + BATCH]))
            self._columns.append("checked_item", missing[start : start + BATCH])
            self._columns.append("checked_vector", _unit_halves(vectors))
            self._columns.commit(self._columns.state)

    def _cosines(self, left: Rows, right: Rows) -> npt.NDArray[np.float64]:
        """Compute cosines exactly, as in the join: float64 holds sums of products of halves."""
        items, vectors = self._columns["checked_item"], self._columns["checked_vector"]
        order = np.argsort(items)
        places = [order[np.searchsorted(items, side, sorter=order)] for side in (left, right)]
        result = np.zeros(len(left))
        for start in range(0, len(left), CHUNK):
            a, b = (vectors[rows[start : start + CHUNK]].astype(np.float64) for rows in places)
            dot, a_square, b_square = (
                np.einsum("ij,ij->i", *factors) for factors in ((a, b), (a, a), (b, b))
            )
            result[start : start + CHUNK] = dot / np.sqrt(a_square * b_square)
        return np.minimum(result, 1.0)


def _unit_halves(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Scale vectors to length 1 and round them to half precision, as the join does."""
    units = vectors.astype(np.float64)
    units *= 1 / np.linalg.norm(units, axis=1, keepdims=True)
    return units.astype(np.float32).astype(np.float16)
