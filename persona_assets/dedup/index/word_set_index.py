"""The distinct word sets of a hub and the pairs that are similar, remembered between runs."""

from fractions import Fraction
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Edges, check_edge_count
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.kernels.compile import Array
from persona_assets.dedup.lexical.distinct_sets import SetKeys, empty_summary
from persona_assets.dedup.lexical.lexical_join import (
    NO_KNOWN_SETS,
    KnownSets,
    Method,
    WordSetJoin,
    check_join_options,
    join_word_sets,
)
from persona_assets.dedup.lexical.minhash import SIZE
from persona_assets.dedup.lexical.partenum import scheme_of
from persona_assets.dedup.lexical.similar_pairs import pairs_of_chosen
from persona_assets.dedup.text.folding import TextBuffers, fold_texts, text_buffers
from persona_assets.dedup.text.utf8_buffers import Strings


class WordSetIndex:
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

    def __init__(
        self, columns: ColumnStore, threshold: Fraction, method: Method, threads: int
    ) -> None:
        check_join_options(threshold, method)
        self._columns = columns
        self._threshold = threshold
        self._method = method
        self._threads = threads

    def add(self, texts: Strings) -> npt.NDArray[np.int64]:
        """The set of each text, int64 of shape (n,): a number, new ones in order of appearance.

        What is new is appended to the columns; the caller commits it.
        """
        known = self._known()
        found = text_buffers(texts, self._threads)
        joined = join_word_sets(
            known, found, self._threshold, self._method, self._threads, keep=True
        )
        check_edge_count(len(self._columns["edge_left"]) + len(joined.edges))
        count = len(known.sizes)
        # New sets are numbered without gaps from here on.
        new = count + np.cumsum(joined.first) - 1
        self._append(found, joined, new, count)
        return renumber_sets(joined.numbers, new, count)

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
        sets = known.sets(text_buffers([]), empty_summary(0))
        true = pairs_of_chosen(sets, scheme_of(self._threshold), chosen.astype(np.uint32))
        return self.edges().shared(true), len(true)

    def _known(self) -> KnownSets:
        columns = self._columns
        if len(columns["sizes"]) == 0:
            return NO_KNOWN_SETS
        return KnownSets(
            columns["text"],
            columns["text_offsets"],
            columns["sizes"],
            columns["bitmaps"],
            columns["contents"],
            SetKeys(columns["keys"], columns["key_sets"]),
        )

    def _append(self, texts: TextBuffers, joined: WordSetJoin, new: Array, count: int) -> None:
        columns, first = self._columns, joined.first
        end = columns["text_offsets"][-1:]
        if not len(end):
            end = np.zeros(1, np.int64)
            columns.append("text_offsets", end)
        for chunk in joined.chunks:
            rows = chunk.first + np.flatnonzero(first[chunk.first : chunk.stop])
            data, ends = fold_texts(texts, rows)
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
        columns.append("edge_left", renumber_sets(joined.edges.left, new, count))
        columns.append("edge_right", renumber_sets(joined.edges.right, new, count))
        columns.append("edge_similarity", joined.edges.similarity)


def renumber_sets(items: Array, new: Array, known: int) -> npt.NDArray[np.int64]:
    """`items`, of which those from `known` on are rows with the numbers `new`."""
    numbers: npt.NDArray[np.int64] = items.astype(np.int64)
    added = numbers >= known
    numbers[added] = new[numbers[added] - known]
    return numbers
