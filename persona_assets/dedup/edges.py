"""Pairs of near-duplicates: which rows, and how similar they are.

A pair is also one number, the smaller row in its high half: smaller to keep, and quicker to sort.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels.compile import Array, frozen, kernel

MAX_EDGES = 100_000_000
"""Most pairs that one join may return: 24 bytes each, 34 while they are found and sorted."""

HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)

Rows: TypeAlias = npt.NDArray[np.int64]
Similarity: TypeAlias = npt.NDArray[np.float64]
Packed: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs of near-duplicate rows, by position, ascending by (left, right) and without repeats.

    `left` and `right` are int64 with left < right, `similarity` is float64; all of shape (m,).
    Build one with `Edges.of`. Raises ValueError if the arrays do not fit that description.
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
    def of(cls, a: npt.ArrayLike, b: npt.ArrayLike, similarity: npt.ArrayLike) -> Self:
        """Edges from pairs (a[k], b[k]) in any order and either orientation, each named once.

        Positions are below 2**32.
        """
        a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
        similarity = np.asarray(similarity, np.float64)
        _check_shapes(a, b, similarity)
        return cls.packed(pack(a, b), similarity)

    @classmethod
    def packed(cls, pairs: Packed, similarity: Similarity) -> Self:
        """Edges from pairs in any order, each named once; `pairs` is used up."""
        similarity = similarity[np.argsort(pairs)]
        pairs.sort()
        left = pairs >> HALF
        pairs &= LOW
        return cls(left.view(np.int64), pairs.view(np.int64), similarity)

    def shared(self, other: "Edges") -> int:
        """How many pairs are in both."""
        mine, others = (pack(edges.left, edges.right) for edges in (self, other))
        place = np.searchsorted(mine, others)
        inside = place < len(mine)
        return int((mine[place[inside]] == others[inside]).sum())

    def expanded(self, sets: npt.NDArray[np.int64]) -> "Edges":
        """Pairs of rows, where these are pairs of sets: `sets` (shape (n,)) is the set of each row.

        Rows of one set are pairs of similarity 1; sets without rows count for nothing. Raises
        ValueError for more than `MAX_EDGES`.
        """
        number = 1 + max(int(sets.max(initial=-1)), int(self.right.max(initial=-1)))
        order = np.argsort(sets, kind="stable")
        count = np.bincount(sets, minlength=number)
        same = int((count * (count - 1) // 2).sum())
        total = same + int((count[self.left] * count[self.right]).sum())
        check_edge_count(total, int(count.max(initial=1)) - 1)
        pairs, similarity = np.empty(total, np.uint64), np.ones(total)
        ends = np.cumsum(count)
        columns = frozen(self.left), frozen(self.right), frozen(self.similarity)
        _expand(order, ends - count, ends, *columns, pairs, similarity)
        return Edges.packed(pairs, similarity)


class EdgeBuilder:
    """Pairs as they are found, by several threads, in any order, each once.

    So many were `known` before: with them they may be `MAX_EDGES`.
    """

    def __init__(self, known: int = 0) -> None:
        self._lock = Lock()
        self._count = known
        self._pairs: list[Packed] = []
        self._similarity: list[Similarity] = []

    def add(self, a: Rows, b: Rows, similarity: Similarity) -> bool:
        """Takes pairs in either orientation; False if there are too many, and more are no use."""
        pairs = pack(a, b)
        with self._lock:
            self._count += len(pairs)
            self._pairs.append(pairs)
            self._similarity.append(similarity)
            return self._count <= MAX_EDGES

    def edges(self) -> Edges:
        """All that were found, which it then no longer has.

        Raises ValueError for more than `MAX_EDGES`.
        """
        pairs = np.concatenate([np.empty(0, np.uint64), *self._pairs])
        self._pairs.clear()
        if self._count > MAX_EDGES:
            check_edge_count(self._count, _most(pairs))
        similarity = np.concatenate([np.empty(0), *self._similarity])
        self._similarity.clear()
        return Edges.packed(pairs, similarity)


def check_edge_count(count: int, most: int = 0) -> None:
    """Raises ValueError above `MAX_EDGES`, before the memory for the pairs is taken.

    So many at the `most` are known to have one row in common.
    """
    if count > MAX_EDGES:
        centre = f" ({most:,} of them, or more, with one and the same row)" if most else ""
        raise ValueError(
            f"more than {MAX_EDGES:,} pairs are near-duplicates{centre}: raise the threshold, or "
            "drop identical and empty texts, and those of one template, first (k texts that are "
            "all alike make k * (k - 1) / 2 pairs)"
        )


def pack(a: Rows, b: Rows) -> Packed:
    """Pairs in either orientation as numbers. Raises ValueError for what is no position."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    if len(low) and (low.min() < 0 or high.max() >= 1 << 32):
        raise ValueError("an edge joins two positions, which are at least 0 and below 2^32")
    pairs = low.view(np.uint64)
    pairs <<= HALF
    pairs |= high.view(np.uint64)
    return pairs


def _most(pairs: Packed) -> int:
    """The most pairs that have one row in common."""
    number = 1 + int((pairs & LOW).max())
    count = np.bincount((pairs >> HALF).view(np.int64), minlength=number)
    count += np.bincount((pairs & LOW).view(np.int64), minlength=number)
    return int(count.max())


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
    likeness: Array,
    pairs: Array,
    similarity: Array,
) -> None:
    """Pairs within each set, whose similarity stays what it is, then those of two sets.

    `order[begin[s] : end[s]]` are the rows of a set, ascending.
    """
    at = 0
    for s in range(len(begin)):
        for j in range(begin[s], end[s]):
            for i in range(begin[s], j):
                pairs[at] = np.uint64(order[i]) << HALF | np.uint64(order[j])
                at += 1
    for e in range(len(left)):
        for i in range(begin[left[e]], end[left[e]]):
            for j in range(begin[right[e]], end[right[e]]):
                low, high = min(order[i], order[j]), max(order[i], order[j])
                pairs[at] = np.uint64(low) << HALF | np.uint64(high)
                similarity[at] = likeness[e]
                at += 1
