"""Choice of survivors among near-duplicates: one greedy pass over the rows in priority order.

The survivors are the lexicographically first maximal independent set of the graph of near-duplicate
pairs: no two survivors form a pair, and every dropped row forms a pair with a survivor. Connected
components would also drop rows that are linked to the rest only by a chain of near-duplicates and
resemble no survivor; at a Jaccard threshold of 0.5 such chains swallow a good part of a hub.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.kernels.compile import Array, frozen, kernel

UNCLAIMED = np.uint32(0xFFFFFFFF)
"""Edge number of a set that no survivor has claimed."""


@dataclass(frozen=True, eq=False)
class Survivors:
    """Survivor of each of n rows.

    Args:
        row: Survivor of each row, int64, shape (n,); a kept row is its own survivor.
        similarity: Similarity of each row to its survivor, float64, shape (n,); 1 for a kept row.

    Example:
        >>> survivors = Survivors(np.array([0, 1, 0]), np.array([1.0, 1.0, 0.95]))
        >>> survivors.dropped().tolist()
        [2]
    """

    row: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]

    def dropped(self) -> npt.NDArray[np.int64]:
        """Return the rows that are not kept, ascending."""
        return np.flatnonzero(self.row != np.arange(len(self.row)))


def choose_survivors(
    sets: npt.NDArray[np.int64], edges: Edges, priority: npt.NDArray[np.generic] | None = None
) -> Survivors:
    """Choose which rows to keep, and a survivor for each dropped row.

    Rows are visited by ascending priority. The first row of a set decides for the whole set: it is
    kept unless the first row of a similar set was kept before. If it is dropped, its survivor is
    the most similar of those kept rows, or of equally similar rows the first visited, and all rows
    of the set share this survivor. If it is kept, it is the survivor of the other rows of its set.

    Guarantees:
        - Of two similar rows at most one is kept. Both are dropped if each has a survivor.
        - Only rows visited earlier decide about a row, so rows appended in the default order change
          no earlier decision.

    Args:
        sets: Set of each row, int64, shape (n,). Rows of the same set have similarity 1.
        edges: Pairs of similar sets. Sets without rows are ignored.
        priority: Priority of each row, shape (n,), ties broken by row; the row number by default.

    Raises:
        ValueError: `priority` has another shape or contains NaN.

    Example:
        Row 1 has the same set as row 0, and row 2 is similar to both.

        >>> sets, edges = np.array([0, 0, 2, 3]), Edges.from_pairs([0], [2], [0.95])
        >>> survivors = choose_survivors(sets, edges)
        >>> survivors.row.tolist(), survivors.similarity.tolist()
        ([0, 0, 0, 3], [1.0, 1.0, 0.95, 1.0])
    """
    n = len(sets)
    order = np.arange(n, dtype=np.uint32)
    if priority is not None:
        if priority.shape != (n,) or (priority != priority).any():
            raise ValueError(f"priority needs one value a row, {n} in all, and no NaN")
        order = np.argsort(priority, kind="stable").astype(np.uint32)
    set_count = 1 + max(int(sets.max(initial=-1)), int(edges.right.max(initial=-1)))
    rank, claims = np.full(set_count, n, np.uint32), np.full(set_count, UNCLAIMED)
    ends, by_rank = np.zeros(n, np.uint32), np.empty(len(edges), np.uint32)
    columns = frozen(edges.left), frozen(edges.right), frozen(edges.similarity)
    survivors = Survivors(np.empty(n, np.int64), np.empty(n))
    _rank_sets(frozen(sets), order, rank)
    _claim_sets(frozen(sets), order, rank, *columns, ends, by_rank, claims)
    _resolve_rows(frozen(sets), order, rank, *columns, claims, survivors.row, survivors.similarity)
    return survivors


@kernel
def _rank_sets(sets: Array, order: Array, rank: Array) -> None:
    """Write the position in `order` of the first row of each set."""
    for r in range(len(order) - 1, -1, -1):
        rank[sets[order[r]]] = r


@kernel
def _claim_sets(
    sets: Array,
    order: Array,
    rank: Array,
    left: Array,
    right: Array,
    similarity: Array,
    ends: Array,
    by_rank: Array,
    claims: Array,
) -> None:
    """Visit the sets by rank: keep each unclaimed set, and let it claim its later neighbours.

    A neighbour changes hands only if it is more similar to the new set than to its claimant.

    Args:
        ends: Zeros; on return, end in `by_rank` of the edges of each rank.
        by_rank: On return, edges grouped by the rank of their earlier set.
        claims: `UNCLAIMED`; on return, the edge by which each set was claimed.
    """
    n = len(order)
    for e in range(len(left)):
        if max(rank[left[e]], rank[right[e]]) < n:
            ends[min(rank[left[e]], rank[right[e]])] += 1
    total = 0
    for r in range(n):
        count = ends[r]
        ends[r] = total
        total += count
    for e in range(len(left)):
        if max(rank[left[e]], rank[right[e]]) < n:
            first = min(rank[left[e]], rank[right[e]])
            by_rank[ends[first]] = e
            ends[first] += 1
    begin = 0
    for r in range(n):
        stop = ends[r]
        if begin < stop:
            own = sets[order[r]]
            if claims[own] == UNCLAIMED:
                for i in range(begin, stop):
                    e = by_rank[i]
                    other = left[e] + right[e] - own
                    if claims[other] == UNCLAIMED or similarity[e] > similarity[claims[other]]:
                        claims[other] = e
        begin = stop


@kernel
def _resolve_rows(
    sets: Array,
    order: Array,
    rank: Array,
    left: Array,
    right: Array,
    similarity: Array,
    claims: Array,
    row: Array,
    row_similarity: Array,
) -> None:
    """Write the survivor of each row, and its similarity, from the claim on its set."""
    for i in range(len(sets)):
        own, e = sets[i], claims[sets[i]]
        if e == UNCLAIMED:
            row[i], row_similarity[i] = order[rank[own]], 1.0
        else:
            row[i] = order[rank[left[e] + right[e] - own]]
            row_similarity[i] = similarity[e]
