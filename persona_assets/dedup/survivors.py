"""Which of the near-duplicates stay: edges, and one greedy pass over them in priority order.

The survivors are the lexicographically first maximal independent set of the graph of pairs: no two
of them are joined, and every row that goes is joined to one that stays. Connected components would
also drop rows that merely hang on a chain of near-duplicates and resemble no survivor; at a Jaccard
threshold of 0.5 such chains swallow a good part of a hub.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels import Array, kernel

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

    @classmethod
    def distinct(cls, a: npt.ArrayLike, b: npt.ArrayLike, similarity: npt.ArrayLike) -> Self:
        """Edges from pairs in any order and orientation, each named once or more often."""
        a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
        left, right = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((right, left))
        left, right = left[order], right[order]
        first = np.ones(len(left), np.bool_)
        first[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
        return cls(left[first], right[first], np.asarray(similarity, np.float64)[order][first])

    def expanded(self, sets: npt.NDArray[np.int64]) -> "Edges":
        """Pairs of rows, where these are pairs of sets: `sets` (shape (n,)) is the set of each row.

        Rows of one set are pairs of similarity 1; sets without rows count for nothing. Raises
        ValueError for more than `MAX_EDGES`.
        """
        order = np.argsort(sets, kind="stable")
        numbers, first, count = np.unique(sets[order], return_index=True, return_counts=True)
        alive = np.isin(self.left, numbers) & np.isin(self.right, numbers)
        left = np.searchsorted(numbers, self.left[alive])
        right = np.searchsorted(numbers, self.right[alive])
        check_edge_count(
            int((count * (count - 1) // 2).sum()) + int((count[left] * count[right]).sum())
        )
        groups = np.split(order, first[1:])
        a, b, same = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
        for group in groups:
            if len(group) > 1:
                rows, columns = np.triu_indices(len(group), k=1)
                a.append(group[rows])
                b.append(group[columns])
                same += len(rows)
        for i, j in zip(left.tolist(), right.tolist(), strict=True):
            a.append(np.repeat(groups[i], len(groups[j])))
            b.append(np.tile(groups[j], len(groups[i])))
        similarity = np.repeat(self.similarity[alive], count[left] * count[right])
        return Edges.of(
            np.concatenate(a), np.concatenate(b), np.concatenate([np.ones(same), similarity])
        )


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


@dataclass(frozen=True, eq=False)
class Survivors:
    """What became of n rows, each of shape (n,).

    `row` (int64) is the row that stands for each: itself, if it is kept. `similarity` (float64) is
    that of the two, 1 for a kept row.
    """

    row: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]

    def gone(self) -> npt.NDArray[np.int64]:
        """The rows that are not kept, ascending."""
        return np.flatnonzero(self.row != np.arange(len(self.row)))


def survivors(
    sets: npt.NDArray[np.int64], edges: Edges, priority: npt.NDArray[np.generic] | None = None
) -> Survivors:
    """Which of n rows stay, and for each that goes the one that stands for it.

    `sets` (int64, shape (n,)) is the set of each row: rows of one set are pairs of similarity 1,
    and `edges` are the pairs of sets. Rows are taken by ascending `priority` (shape (n,), ties by
    row; default: row order). The first row of a set speaks for all of it: it is kept unless that of
    a neighbouring set was kept before, and its survivor is then the most similar of those (ties:
    the first taken); its other rows go the same way, or to it. Only rows taken earlier decide, so
    rows appended in the default order change nothing before them. Of two similar rows at most one
    is kept; neither is if each has a survivor of its own. Sets without rows count for nothing.

    Raises ValueError for a priority of another shape or with NaN.
    """
    n = len(sets)
    order = np.arange(n)
    if priority is not None:
        if priority.shape != (n,) or (priority != priority).any():
            raise ValueError(f"priority needs one value a row, {n} in all, and no NaN")
        order = np.argsort(priority, kind="stable")
    count = 1 + max(int(sets.max(initial=-1)), int(edges.right.max(initial=-1)))
    # When these are written from the last row taken to the first, the first one stays.
    rank = np.full(count, n, np.int64)
    rank[sets[order[::-1]]] = np.arange(n)[::-1]
    alive = (rank[edges.left] < n) & (rank[edges.right] < n)
    left, right, similarity = edges.left[alive], edges.right[alive], edges.similarity[alive]
    swap = rank[left] > rank[right]
    earlier, later = np.where(swap, right, left), np.where(swap, left, right)
    # In this order all edges of an earlier set come before any edge in which it is the earlier one,
    # and the first kept neighbour that a set meets is its survivor.
    by_rank = np.lexsort((rank[earlier], -similarity, rank[later]))
    chosen, likeness = np.arange(count), np.ones(count)
    _take(later[by_rank], earlier[by_rank], similarity[by_rank], chosen, likeness)
    row = order[rank[chosen[sets]]]
    return Survivors(row, likeness[sets])


@kernel
def _take(later: Array, earlier: Array, similarity: Array, chosen: Array, likeness: Array) -> None:
    for i in range(len(later)):
        one, other = later[i], earlier[i]
        if chosen[one] == one and chosen[other] == other:
            chosen[one] = other
            likeness[one] = similarity[i]
