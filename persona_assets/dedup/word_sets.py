"""The distinct word sets of a hub and the pairs that are similar, remembered between runs."""

from fractions import Fraction
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.columns import Columns, Shape
from persona_assets.dedup.edges import Edges, check_edge_count
from persona_assets.dedup.folding import Texts, canonical, texts_of
from persona_assets.dedup.join import near
from persona_assets.dedup.kernels import Array
from persona_assets.dedup.lexical import (
    NOTHING,
    Joined,
    Known,
    Method,
    check,
    join_with,
)
from persona_assets.dedup.minhash import SIZE
from persona_assets.dedup.partenum import scheme_of
from persona_assets.dedup.sets import Keys, summary_for
from persona_assets.dedup.strings import Strings


class WordSets:
    """Word sets in columns: a new text is joined with all before it, these never again.

    With `minhash`, `columns["signatures"]` holds the signature of each set, for `minhash.lean`.
    """

    SHAPES: ClassVar[dict[str, Shape]] = {
        "text": ("u1", ()),
        "text_offsets": ("i8", ()),
        "sizes": ("u4", ()),
        "bitmaps": ("u8", (2,)),
        "contents": ("u8", ()),
        "signatures": ("u4", (SIZE,)),
        "keys": ("u8", ()),
        "key_sets": ("u4", ()),
        "edge_left": ("i8", ()),
        "edge_right": ("i8", ()),
        "edge_similarity": ("f8", ()),
    }

    def __init__(self, columns: Columns, threshold: Fraction, method: Method, threads: int) -> None:
        check(threshold, method)
        self._columns = columns
        self._threshold = threshold
        self._method = method
        self._threads = threads

    def add(self, texts: Strings) -> npt.NDArray[np.int64]:
        """The set of each text, int64 of shape (n,): a number, new ones in order of appearance.

        What is new is appended to the columns; the caller commits it.
        """
        known = self._known()
        found = texts_of(texts, self._threads)
        joined = join_with(known, found, self._threshold, self._method, self._threads, keep=True)
        check_edge_count(len(self._columns["edge_left"]) + len(joined.edges))
        count = len(known.sizes)
        # New sets are numbered without gaps from here on.
        new = count + np.cumsum(joined.first) - 1
        self._append(found, joined, new, count)
        return renumbered(joined.numbers, new, count)

    def edges(self) -> Edges:
        """All pairs of sets that are near-duplicates."""
        columns = self._columns
        return Edges.of(columns["edge_left"], columns["edge_right"], columns["edge_similarity"])

    def sampled_recall(self, sample: int, seed: int = 0) -> tuple[int, int]:
        """(found, true): of the pairs of a random sample of sets with all others, how many there
        are, and how many of them `edges` has."""
        known = self._known()
        count = len(known.sizes)
        chosen = np.random.default_rng(seed).permutation(count)[:sample]
        sets = known.sets(texts_of([]), summary_for(0))
        true = near(sets, scheme_of(self._threshold), chosen.astype(np.uint32))
        return self.edges().shared(true), len(true)

    def _known(self) -> Known:
        columns = self._columns
        if len(columns["sizes"]) == 0:
            return NOTHING
        return Known(
            columns["text"],
            columns["text_offsets"],
            columns["sizes"],
            columns["bitmaps"],
            columns["contents"],
            Keys(columns["keys"], columns["key_sets"]),
        )

    def _append(self, texts: Texts, joined: Joined, new: Array, count: int) -> None:
        columns, first = self._columns, joined.first
        end = columns["text_offsets"][-1:]
        if not len(end):
            end = np.zeros(1, np.int64)
            columns.append("text_offsets", end)
        for chunk in joined.chunks:
            rows = chunk.first + np.flatnonzero(first[chunk.first : chunk.stop])
            data, ends = canonical(texts, rows)
            columns.append("text", data[: ends[-1]])
            columns.append("text_offsets", end + ends[1:])
            end = end + ends[-1]
            if chunk.signatures.size:
                columns.append("signatures", chunk.signatures[rows - chunk.first])
            kept = first[chunk.keys.item - np.uint32(count)]
            columns.append("keys", chunk.keys.key[kept])
            own = new[chunk.keys.item[kept] - np.uint32(count)]
            columns.append("key_sets", own.astype(np.uint32))
        columns.append("sizes", joined.summary.sizes[first])
        columns.append("bitmaps", joined.summary.bitmaps[first])
        columns.append("contents", joined.summary.contents[first])
        columns.append("edge_left", renumbered(joined.edges.left, new, count))
        columns.append("edge_right", renumbered(joined.edges.right, new, count))
        columns.append("edge_similarity", joined.edges.similarity)


def renumbered(items: Array, new: Array, known: int) -> npt.NDArray[np.int64]:
    """`items`, of which those from `known` on are rows with the numbers `new`."""
    numbers: npt.NDArray[np.int64] = items.astype(np.int64)
    added = numbers >= known
    numbers[added] = new[numbers[added] - known]
    return numbers
