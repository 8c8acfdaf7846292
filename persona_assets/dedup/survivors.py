"""Which of the near-duplicates stay: edges, and one greedy pass over them in priority order.

The survivors are the lexicographically first maximal independent set of the graph of pairs: no two
of them are joined, and every row that goes is joined to one that stays. Connected components would
also drop rows that merely hang on a chain of near-duplicates and resemble no survivor; at a Jaccard
threshold of 0.5 such chains swallow a good part of a hub.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

MAX_EDGES = 20_000_000
"""Most pairs that one join may return: 24 bytes each, and twice as much again to sort them."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs of near-duplicate rows, by position, ascending by (left, right) and without repeats.

    `left` and `right` are int64 with left < right, `similarity` is float64; all of shape (m,).
    Build one with `Edges.of`. Raises ValueError if the arrays do not fit that description.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        _check_shapes(self.left, self.right, self.similarity)
        if (self.left < 0).any() or (self.left >= self.right).any():
            raise ValueError("an edge joins two positions, the smaller one on the left")
        step_left, step_right = np.diff(self.left), np.diff(self.right)
        if not ((step_left > 0) | ((step_left == 0) & (step_right > 0))).all():
            raise ValueError("edges ascend by (left, right) and name each pair once")

    def __len__(self) -> int:
        return len(self.left)

    @classmethod
    def of(cls, a: npt.ArrayLike, b: npt.ArrayLike, similarity: npt.ArrayLike) -> Self:
        """Edges from pairs (a[k], b[k]) in any order and either orientation, each named once."""
        a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
        similarity = np.asarray(similarity, np.float64)
        _check_shapes(a, b, similarity)
        left, right = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((right, left))
        return cls(left[order], right[order], similarity[order])


def _check_shapes(*columns: npt.NDArray[np.generic]) -> None:
    if any(column.shape != (columns[0].size,) for column in columns):
        raise ValueError("edges need three one-dimensional arrays of one length")


def check_edge_count(count: int) -> None:
    """Raises ValueError above `MAX_EDGES`, before the memory for the pairs is taken."""
    if count > MAX_EDGES:
        raise ValueError(
            f"more than {MAX_EDGES:,} pairs are near-duplicates: raise the threshold, or drop "
            "identical and empty texts first (k identical texts make k * (k - 1) / 2 pairs)"
        )


def survivors(
    n: int, edges: Edges, priority: npt.NDArray[np.generic] | None = None
) -> npt.NDArray[np.int64]:
    """The survivor of each of `n` rows, int64 of shape (n,): `result[i] == i` if row i is kept.

    Rows are taken by ascending `priority` (shape (n,), ties by row; default: row order). A row is
    kept unless a row kept before it is its neighbour; its survivor is then the most similar of
    those (ties: the first taken). Only rows taken earlier decide, so rows appended in the default
    order change nothing before them. Of two neighbours at most one is kept; neither is if each
    has a survivor of its own.

    Raises ValueError for a priority of another shape or with NaN, or an edge beyond the last row.
    """
    if len(edges) and int(edges.right.max()) >= n:
        raise ValueError(f"an edge names row {int(edges.right.max())}, but there are {n} rows")
    rank = np.arange(n)
    if priority is not None:
        if priority.shape != (n,) or (priority != priority).any():
            raise ValueError(f"priority needs one value a row, {n} in all, and no NaN")
        rank[np.argsort(priority, kind="stable")] = np.arange(n)
    swap = rank[edges.left] > rank[edges.right]
    earlier = np.where(swap, edges.right, edges.left)
    later = np.where(swap, edges.left, edges.right)
    # In this order all edges of an earlier row come before any edge in which it is the earlier one,
    # and the first kept neighbour that a row meets is its survivor.
    order = np.lexsort((rank[earlier], -edges.similarity, rank[later]))
    survivor = list(range(n))
    for i, j in zip(later[order].data, earlier[order].data, strict=True):
        if survivor[i] == i and survivor[j] == j:
            survivor[i] = j
    return np.array(survivor, dtype=np.int64)


def duplicates(
    ids: Sequence[str], edges: Edges, survivors: npt.NDArray[np.int64]
) -> list[tuple[str, str, float]]:
    """(id, survivor's id, similarity) of each row that goes, in row order.

    `survivors` is the result of the function of that name on the same `edges` and `len(ids)` rows.
    Raises ValueError if it is not: of another length, or a row's survivor is not its neighbour.
    """
    if survivors.shape != (len(ids),):
        raise ValueError(f"{len(ids)} ids, but survivors of shape {survivors.shape}")
    similarity: dict[int, float] = {}
    for row, other in ((edges.left, edges.right), (edges.right, edges.left)):
        chosen = survivors[row] == other
        similarity.update(zip(row[chosen].tolist(), edges.similarity[chosen].tolist(), strict=True))
    gone = np.flatnonzero(survivors != np.arange(len(ids))).tolist()
    if gone != sorted(similarity):
        raise ValueError("a dropped row has no edge to its survivor: these edges are not its own")
    return [(ids[i], ids[int(survivors[i])], similarity[i]) for i in gone]
