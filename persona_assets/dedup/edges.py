"""Edges of the near-duplicate graph: pairs of rows and their similarity.

A pair also fits into a uint64, with the smaller row in the high half. Packed pairs need less
memory and sort faster than two columns.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels.compile import Array, frozen, kernel

MAX_EDGES = 100_000_000
"""Maximum number of pairs in a join: 24 bytes each, 34 while they are collected and sorted."""

HIGH_SHIFT = np.uint64(32)
LOW_MASK = np.uint64(0xFFFFFFFF)

Rows: TypeAlias = npt.NDArray[np.int64]
Similarity: TypeAlias = npt.NDArray[np.float64]
Packed: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Edges:
    """Distinct pairs of near-duplicate rows, sorted by (left, right).

    Build an instance with `Edges.from_pairs`, which sorts.

    Args:
        left: Smaller row of each pair, int64, shape (m,).
        right: Larger row of each pair, int64, shape (m,).
        similarity: Similarity of each pair, float64, shape (m,).

    Raises:
        ValueError: The arrays differ in shape, a row is negative, `left >= right`, or the pairs
            are not in strictly ascending order.

    Example:
        >>> import numpy as np
        >>> edges = Edges(np.array([0, 0]), np.array([1, 2]), np.array([0.95, 1.0]))
        >>> len(edges)
        2
    """

    left: Rows
    right: Rows
    similarity: Similarity

    def __post_init__(self) -> None:
        left, right = self.left, self.right
        _check_shapes(left, right, self.similarity)
        if (left < 0).any() or (left >= right).any():
            raise ValueError("an edge joins two positions, the smaller one on the left")
        ascending = (left[1:] == left[:-1]) & (right[1:] > right[:-1])
        ascending |= left[1:] > left[:-1]
        if not ascending.all():
            raise ValueError("edges ascend by (left, right) and name each pair once")

    def __len__(self) -> int:
        return len(self.left)

    @classmethod
    def from_pairs(cls, a: npt.ArrayLike, b: npt.ArrayLike, similarity: npt.ArrayLike) -> Self:
        """Build edges from distinct pairs in any order and either orientation.

        Args:
            a: A row of each pair, below 2**32.
            b: The other row of each pair, below 2**32.
            similarity: Similarity of each pair.

        Raises:
            ValueError: The columns differ in length, a row is out of range or paired with itself,
                or a pair is repeated.

        Example:
            >>> edges = Edges.from_pairs([3, 0], [1, 2], [0.9, 1.0])
            >>> edges.left.tolist(), edges.right.tolist(), edges.similarity.tolist()
            ([0, 1], [2, 3], [1.0, 0.9])
        """
        a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
        similarity = np.asarray(similarity, np.float64)
        _check_shapes(a, b, similarity)
        return cls.from_packed(pack(a, b), similarity)

    @classmethod
    def from_packed(cls, pairs: Packed, similarity: Similarity) -> Self:
        """Build edges from distinct packed pairs in any order.

        Args:
            pairs: Pairs as `pack` returns them; the array is overwritten.
            similarity: Similarity of each pair.
        """
        similarity = similarity[np.argsort(pairs)]
        pairs.sort()
        left = pairs >> HIGH_SHIFT
        pairs &= LOW_MASK
        return cls(left.view(np.int64), pairs.view(np.int64), similarity)

    def count_shared(self, other: "Edges") -> int:
        """Count the pairs that are also in `other`.

        Example:
            >>> edges = Edges.from_pairs([0, 1], [2, 3], [1.0, 0.9])
            >>> edges.count_shared(Edges.from_pairs([3], [1], [0.8]))
            1
        """
        own_pairs, other_pairs = (pack(edges.left, edges.right) for edges in (self, other))
        places = np.searchsorted(own_pairs, other_pairs)
        inside = places < len(own_pairs)
        return int((own_pairs[places[inside]] == other_pairs[inside]).sum())

    def expanded(self, sets: npt.NDArray[np.int64]) -> "Edges":
        """Expand pairs of sets to pairs of rows.

        Two rows of the same set form a pair with similarity 1. Sets without rows add no pair.

        Args:
            sets: Set of each row, int64, shape (n,).

        Raises:
            ValueError: The result has more than `MAX_EDGES` pairs.
        """
        set_count = 1 + max(int(sets.max(initial=-1)), int(self.right.max(initial=-1)))
        order = np.argsort(sets, kind="stable")
        row_counts = np.bincount(sets, minlength=set_count)
        total = int((row_counts * (row_counts - 1) // 2).sum())
        total += int((row_counts[self.left] * row_counts[self.right]).sum())
        check_edge_count(total, int(row_counts.max(initial=1)) - 1)
        pairs, similarity = np.empty(total, np.uint64), np.ones(total)
        ends = np.cumsum(row_counts)
        columns = frozen(self.left), frozen(self.right), frozen(self.similarity)
        _expand(order, ends - row_counts, ends, *columns, pairs, similarity)
        return Edges.from_packed(pairs, similarity)


class EdgeBuilder:
    """Thread-safe collector of distinct pairs that arrive in any order.

    Args:
        known: Number of pairs known before, which count towards `MAX_EDGES`.
    """

    def __init__(self, known: int = 0) -> None:
        self._lock = Lock()
        self._count = known
        self._pairs: list[Packed] = []
        self._similarity: list[Similarity] = []

    def add(self, a: Rows, b: Rows, similarity: Similarity) -> bool:
        """Add pairs in either orientation.

        Returns:
            False once there are more than `MAX_EDGES` pairs, so that the caller can stop early.
        """
        pairs = pack(a, b)
        with self._lock:
            self._count += len(pairs)
            self._pairs.append(pairs)
            self._similarity.append(similarity)
            return self._count <= MAX_EDGES

    def edges(self) -> Edges:
        """Return all collected pairs, and empty the builder to free their memory.

        Raises:
            ValueError: More than `MAX_EDGES` pairs were added.
        """
        pairs = np.concatenate([np.empty(0, np.uint64), *self._pairs])
        self._pairs.clear()
        if self._count > MAX_EDGES:
            check_edge_count(self._count, _max_degree(pairs))
        similarity = np.concatenate([np.empty(0), *self._similarity])
        self._similarity.clear()
        return Edges.from_packed(pairs, similarity)


def check_edge_count(count: int, degree: int = 0) -> None:
    """Reject a join with too many pairs before memory for them is allocated.

    Args:
        count: Number of pairs.
        degree: Number of pairs, or a lower bound, of the row with most pairs; 0 if unknown.

    Raises:
        ValueError: `count` exceeds `MAX_EDGES`.
    """
    if count > MAX_EDGES:
        centre = f" ({degree:,} of them, or more, with one and the same row)" if degree else ""
        raise ValueError(
            f"more than {MAX_EDGES:,} pairs are near-duplicates{centre}: raise the threshold, or "
            "drop identical and empty texts, and those of one template, first (k texts that are "
            "all alike make k * (k - 1) / 2 pairs)"
        )


def pack(a: Rows, b: Rows) -> Packed:
    """Pack pairs of rows, in either orientation, into a uint64 each.

    Raises:
        ValueError: A row is negative or at least 2**32.

    Example:
        >>> [hex(pair) for pair in pack(np.array([3]), np.array([1])).tolist()]
        ['0x100000003']
    """
    low, high = np.minimum(a, b), np.maximum(a, b)
    if len(low) and (low.min() < 0 or high.max() >= 1 << 32):
        raise ValueError("an edge joins two positions, which are at least 0 and below 2^32")
    pairs = low.view(np.uint64)
    pairs <<= HIGH_SHIFT
    pairs |= high.view(np.uint64)
    return pairs


def _max_degree(pairs: Packed) -> int:
    """Return the number of pairs of the row that has most."""
    row_count = 1 + int((pairs & LOW_MASK).max())
    degrees = np.bincount((pairs >> HIGH_SHIFT).view(np.int64), minlength=row_count)
    degrees += np.bincount((pairs & LOW_MASK).view(np.int64), minlength=row_count)
    return int(degrees.max())


def _check_shapes(*columns: npt.NDArray[np.generic]) -> None:
    if any(column.shape != (columns[0].size,) for column in columns):
        raise ValueError("edges need three one-dimensional arrays of one length")


@kernel
def _expand(
    order: Array,
    begin: Array,
    end: Array,
    left: Array,
    right: Array,
    set_similarity: Array,
    pairs: Array,
    similarity: Array,
) -> None:
    """Write the pairs of rows within each set, then those between two similar sets.

    `order[begin[s] : end[s]]` are the rows of set s, ascending. Pairs within a set keep the
    similarity that the caller filled in.
    """
    at = 0
    for s in range(len(begin)):
        for j in range(begin[s], end[s]):
            for i in range(begin[s], j):
                pairs[at] = np.uint64(order[i]) << HIGH_SHIFT | np.uint64(order[j])
                at += 1
    for e in range(len(left)):
        for i in range(begin[left[e]], end[left[e]]):
            for j in range(begin[right[e]], end[right[e]]):
                low, high = min(order[i], order[j]), max(order[i], order[j])
                pairs[at] = np.uint64(low) << HIGH_SHIFT | np.uint64(high)
                similarity[at] = set_similarity[e]
                at += 1
