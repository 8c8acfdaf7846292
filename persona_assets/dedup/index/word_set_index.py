"""Incremental index of distinct word sets and their near-duplicate pairs, stored in columns."""

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
    """Incremental index of word sets: a new text is joined with all known texts, each pair once.

    Args:
        columns: Opened columns, which include `SHAPES`. With the method "minhash",
            `columns["signatures"]` holds the MinHash signature of each set, which
            datasketch can read.
        threshold: Jaccard threshold.
        method: Method of the join.
        threads: Number of threads.
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
        """Add texts, and find the pairs that contain a new word set.

        Sets are numbered by first appearance. New sets and pairs are appended to the columns; the
        caller must commit them before the next `add`.

        Returns:
            Set of each text, int64, shape (n,).
        """
        known = self._known_sets()
        buffers = text_buffers(texts, self._threads)
        joined = join_word_sets(
            known, buffers, self._threshold, self._method, self._threads, keep=True
        )
        check_edge_count(len(self._columns["edge_left"]) + len(joined.edges))
        count = len(known.sizes)
        # The join numbers a new set by its first row; in the columns numbers have no gaps.
        new = count + np.cumsum(joined.first) - 1
        self._append(buffers, joined, new, count)
        return renumber_sets(joined.numbers, new, count)

    def edges(self) -> Edges:
        """Return all committed pairs of sets."""
        columns = self._columns
        return Edges.from_pairs(
            columns["edge_left"], columns["edge_right"], columns["edge_similarity"]
        )

    def sampled_recall(self, sample: int, seed: int = 0) -> tuple[int, int]:
        """Measure the recall of the committed pairs on randomly sampled sets.

        The sampled sets are compared with all sets.

        Returns:
            Number of the sample's true pairs that were found, and number of its true pairs.
        """
        known = self._known_sets()
        count = len(known.sizes)
        chosen = np.random.default_rng(seed).permutation(count)[:sample]
        sets = known.sets(text_buffers([]), empty_summary(0))
        true_edges = pairs_of_chosen(sets, scheme_of(self._threshold), chosen.astype(np.uint32))
        return self.edges().count_shared(true_edges), len(true_edges)

    def _known_sets(self) -> KnownSets:
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
        """Append new sets, their keys and their pairs; `new` is the set number by row."""
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
            of_new_set = first[chunk.keys.item - np.uint32(count)]
            columns.append("keys", chunk.keys.key[of_new_set])
            key_sets = new[chunk.keys.item[of_new_set] - np.uint32(count)]
            columns.append("key_sets", key_sets.astype(np.uint32))
        columns.append("sizes", joined.summary.sizes[first])
        columns.append("bitmaps", joined.summary.bitmaps[first])
        columns.append("contents", joined.summary.contents[first])
        columns.append("edge_left", renumber_sets(joined.edges.left, new, count))
        columns.append("edge_right", renumber_sets(joined.edges.right, new, count))
        columns.append("edge_similarity", joined.edges.similarity)


def renumber_sets(items: Array, new: Array, known: int) -> npt.NDArray[np.int64]:
    """Replace items that are row numbers by the numbers of their sets.

    Args:
        items: Numbers of sets below `known`, and `known` plus a row number for new sets.
        new: Set number by row.
        known: Number of known sets.

    Example:
        >>> renumber_sets(np.array([0, 5, 7]), np.array([5, 5, 6]), 5).tolist()
        [0, 5, 6]
    """
    numbers: npt.NDArray[np.int64] = items.astype(np.int64)
    is_row = numbers >= known
    numbers[is_row] = new[numbers[is_row] - known]
    return numbers
