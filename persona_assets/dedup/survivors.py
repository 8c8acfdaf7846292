"""Which of the near-duplicates stay: edges, and one greedy pass over them in priority order.

The survivors are the lexicographically first maximal independent set of the graph of pairs: no two
of them are joined, and every row that goes is joined to one that stays. Connected components would
also drop rows that merely hang on a chain of near-duplicates and resemble no survivor; at a Jaccard
threshold of 0.5 such chains swallow a good part of a hub.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.kernels.compile import Array, frozen, kernel

KEPT = np.uint32(0xFFFFFFFF)
"""No edge: nothing claims that set."""


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


def choose_survivors(
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
    order = np.arange(n, dtype=np.uint32)
    if priority is not None:
        if priority.shape != (n,) or (priority != priority).any():
            raise ValueError(f"priority needs one value a row, {n} in all, and no NaN")
        order = np.argsort(priority, kind="stable").astype(np.uint32)
    count = 1 + max(int(sets.max(initial=-1)), int(edges.right.max(initial=-1)))
    rank, claims = np.full(count, n, np.uint32), np.full(count, KEPT)
    ends, place = np.zeros(n, np.uint32), np.empty(len(edges), np.uint32)
    columns = frozen(edges.left), frozen(edges.right), frozen(edges.similarity)
    found = Survivors(np.empty(n, np.int64), np.empty(n))
    _rank(frozen(sets), order, rank)
    _take(frozen(sets), order, rank, *columns, ends, place, claims)
    _tell(frozen(sets), order, rank, *columns, claims, found.row, found.similarity)
    return found


@kernel
def _rank(sets: Array, order: Array, rank: Array) -> None:
    """The place in `order` of the first row of each set."""
    for r in range(len(order) - 1, -1, -1):
        rank[sets[order[r]]] = r


@kernel
def _take(
    sets: Array,
    order: Array,
    rank: Array,
    left: Array,
    right: Array,
    similarity: Array,
    ends: Array,
    place: Array,
    claims: Array,
) -> None:
    """Takes the sets by rank: one that none has claimed is kept, and claims its later neighbours.

    Those are then its own that no kept one resembled more before. `claims` gets the edge by which
    each set was claimed, `place` the edges by the rank of the set taken first, and `ends` where
    those of each rank end.
    """
    n = len(order)
    for e in range(len(left)):
        if max(rank[left[e]], rank[right[e]]) < n:
            ends[min(rank[left[e]], rank[right[e]])] += 1
    total = 0
    for r in range(n):
        own = ends[r]
        ends[r] = total
        total += own
    for e in range(len(left)):
        if max(rank[left[e]], rank[right[e]]) < n:
            first = min(rank[left[e]], rank[right[e]])
            place[ends[first]] = e
            ends[first] += 1
    begin = 0
    for r in range(n):
        stop = ends[r]
        if begin < stop:
            one = sets[order[r]]
            if claims[one] == KEPT:
                for i in range(begin, stop):
                    e = place[i]
                    other = left[e] + right[e] - one
                    if claims[other] == KEPT or similarity[e] > similarity[claims[other]]:
                        claims[other] = e
        begin = stop


@kernel
def _tell(
    sets: Array,
    order: Array,
    rank: Array,
    left: Array,
    right: Array,
    similarity: Array,
    claims: Array,
    row: Array,
    likeness: Array,
) -> None:
    """What became of each row, from what became of its set."""
    for i in range(len(sets)):
        one, e = sets[i], claims[sets[i]]
        if e == KEPT:
            row[i], likeness[i] = order[rank[one]], 1.0
        else:
            row[i], likeness[i] = order[rank[left[e] + right[e] - one]], similarity[e]
