"""Near-duplicates by words: all pairs of texts whose word sets have Jaccard similarity >= t.

Keys propose candidates among the distinct word sets, and the words decide, in integers: every pair
is right. PartEnum's keys (`exact`) also miss no pair; MinHash's (`minhash`, the paper's method,
section 2.3) find a pair at the threshold with probability >= 0.99, and a pair above the threshold
with a higher probability. Texts without words are duplicates of each other and of no other text
(the Jaccard similarity of two empty sets is defined as 1).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.kernels.compile import Array, frozen
from persona_assets.dedup.lexical.distinct_sets import (
    NO_KEYS,
    DistinctSets,
    SetKeys,
    SetSummary,
    empty_summary,
)
from persona_assets.dedup.lexical.equal_sets import set_numbers
from persona_assets.dedup.lexical.minhash import band_keys, choose_bands, signatures
from persona_assets.dedup.lexical.partenum import (
    CLASS_MASK,
    Scheme,
    emit_set_keys,
    empty_sums,
    scheme_of,
    summarize_sets,
)
from persona_assets.dedup.lexical.radix_partition import radix_partition, shared_keys
from persona_assets.dedup.lexical.similar_pairs import (
    pairs_by_bitmap,
    pairs_by_key,
    pairs_of_chosen,
)
from persona_assets.dedup.text.folding import PADDING, TextBuffers, fold_texts, text_buffers
from persona_assets.dedup.text.runs import CHUNK_BYTES, split_runs
from persona_assets.dedup.text.utf8_buffers import Strings
from persona_assets.dedup.text.word_hashes import empty_words

JACCARD_THRESHOLD = Fraction(9, 10)
"""Threshold of the paper, section 2.3."""

MIN_PARTENUM_THRESHOLD = Fraction(3, 4)
"""Lowest threshold at which `exact` uses PartEnum's keys. Below it a key covers at most a word and
excludes hardly any pair, so `exact` compares all bitmaps."""

MAX_DENOMINATOR = 1_000_000
"""Largest denominator of a threshold: products with sums of two sizes stay below 2^63."""

CHUNK_ROWS = 1 << 14
"""Largest number of rows that a thread processes at a time."""

MAX_EXACT_ROWS = 300_000
"""Number of texts up to which `auto` compares all bitmaps below `MIN_PARTENUM_THRESHOLD`, which
takes minutes on a single processor."""

Method = Literal["exact", "minhash"]
"""How a join finds candidates: by PartEnum's keys, or by MinHash."""


@dataclass(frozen=True, eq=False)
class LexicalJoin:
    """Near-duplicates among n texts.

    Attributes:
        sets: int64 of shape (n,): number of the first text with the same word set.
        edges: Pairs of such numbers whose word sets are similar but not equal.
    """

    sets: npt.NDArray[np.int64]
    edges: Edges

    def pairs(self) -> Edges:
        """Return all pairs of near-duplicate texts.

        Raises:
            ValueError: More pairs than `MAX_EDGES`.
        """
        return self.edges.expanded(self.sets)


class KnownSets(NamedTuple):
    """Distinct word sets of earlier joins.

    Attributes:
        canonical: Canonical texts, see `DistinctSets`.
        offsets: Bounds of the canonical texts, see `DistinctSets`.
        sizes: See `SetSummary`.
        bitmaps: See `SetSummary`.
        contents: See `SetSummary`.
        keys: Keys of the sets.
    """

    canonical: Array
    offsets: Array
    sizes: Array
    bitmaps: Array
    contents: Array
    keys: SetKeys

    def sets(self, texts: TextBuffers, summary: SetSummary) -> DistinctSets:
        """Return the known sets followed by the sets of `texts`."""
        known = (self.canonical, self.offsets, self.sizes, self.bitmaps)
        return DistinctSets(*known, texts, summary.sizes, summary.bitmaps)


NO_KNOWN_SETS = KnownSets(
    frozen(np.zeros(PADDING, np.uint8)),
    frozen(np.zeros(1, np.int64)),
    frozen(np.empty(0, np.uint32)),
    frozen(np.empty((0, 2), np.uint64)),
    frozen(np.empty(0, np.uint64)),
    NO_KEYS,
)


_NO_SIGNATURES = np.empty((0, 0), np.uint32)


class JoinChunk(NamedTuple):
    """Keys of rows [first, stop), and their MinHash signatures or an empty array."""

    first: int
    stop: int
    keys: SetKeys
    signatures: Array


def lexical_join(
    texts: Strings,
    threshold: Fraction = JACCARD_THRESHOLD,
    method: Method = "exact",
    threads: int = 1,
) -> LexicalJoin:
    """Find the near-duplicates among `texts`: Jaccard similarity |A & B| / |A | B| >= `threshold`.

    Args:
        texts: A sequence of str or None, or an Arrow array or polars column of strings.
        threshold: Exact fraction in (0, 1]; 0.9 as a float is not nine tenths.
        method: `exact` finds every pair; `minhash` finds a pair at the threshold with probability
            >= 0.99.
        threads: Number of threads.

    Raises:
        TypeError: The threshold is not a Fraction, or `texts` are not texts.
        ValueError: The threshold is outside (0, 1], too low for `minhash`, or its denominator is
            too large; the method is unknown; or the join has more pairs than `MAX_EDGES`.

    Example:
        join = lexical_join(["A nurse.", "a nurse", "a pilot"], Fraction(9, 10))
        join.sets.tolist()  # [0, 0, 2]
    """
    check_join_options(threshold, method)
    joined = join_word_sets(NO_KNOWN_SETS, text_buffers(texts, threads), threshold, method, threads)
    return LexicalJoin(joined.numbers, joined.edges)


def lexical_edges(
    texts: Strings, threshold: Fraction, method: Method = "exact", threads: int = 1
) -> Edges:
    """Return all pairs of `texts` that `lexical_join` finds, with the same arguments and errors.

    Example:
        edges = lexical_edges(["A nurse.", "a nurse", "a pilot"], Fraction(9, 10))
        edges.left.tolist(), edges.right.tolist()  # ([0], [1])
    """
    return lexical_join(texts, threshold, method, threads).pairs()


def method_for(rows: int, threshold: Fraction) -> Method:
    """Return the method for n texts: exact, unless many texts would all have to be compared.

    Example:
        >>> method_for(10**9, Fraction(9, 10)), method_for(10**9, Fraction(1, 2))
        ('exact', 'minhash')
    """
    return "exact" if threshold >= MIN_PARTENUM_THRESHOLD or rows <= MAX_EXACT_ROWS else "minhash"


def lexical_neighbours(texts: Strings, rows: Sequence[int], threshold: Fraction) -> Edges:
    """Find all pairs of `texts` that reach the threshold and contain a text in `rows`.

    The search compares the bitmaps of all texts and then words, without keys, so an audit can rely
    on it. Raises the errors of `lexical_join`.
    """
    check_join_options(threshold, "exact")
    buffers = text_buffers(texts)
    summary = empty_summary(len(buffers))
    for bounds in split_runs(buffers.offsets, CHUNK_ROWS, CHUNK_BYTES):
        _exact_chunk(buffers, 0, *bounds, summary, None)
    return pairs_of_chosen(
        NO_KNOWN_SETS.sets(buffers, summary), scheme_of(threshold), np.asarray(rows, np.uint32)
    )


def check_join_options(threshold: Fraction, method: str) -> None:
    """Check a threshold and a method.

    Raises:
        TypeError: The threshold is not a Fraction.
        ValueError: The threshold is outside (0, 1], its denominator exceeds `MAX_DENOMINATOR`, or
            the method is unknown.
    """
    if not isinstance(threshold, Fraction):
        raise TypeError(f"threshold must be a Fraction such as Fraction(9, 10), not {threshold!r}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
    if threshold.denominator > MAX_DENOMINATOR:
        raise ValueError(f"{threshold} is needlessly exact: round it to thousandths")
    if method not in ("exact", "minhash"):
        raise ValueError(f"method must be 'exact' or 'minhash', not {method!r}")


class WordSetJoin(NamedTuple):
    """New texts joined with known sets and with each other.

    Attributes:
        summary: Size, bitmap and, if kept, hash sum of each row.
        numbers: Set number of each row, int64; `known + row` for a new set.
        first: bool mask of the rows that are the first row of a new set.
        chunks: Keys and signatures of the rows, if kept.
        edges: Similar pairs of sets, at least one of them new.
    """

    summary: SetSummary
    numbers: npt.NDArray[np.int64]
    first: npt.NDArray[np.bool_]
    chunks: list[JoinChunk]
    edges: Edges


def join_word_sets(
    known: KnownSets,
    texts: TextBuffers,
    threshold: Fraction,
    method: Method,
    threads: int,
    keep: bool = False,
) -> WordSetJoin:
    """Join `texts` with known sets and with each other.

    Args:
        known: Sets of earlier joins.
        texts: New texts.
        threshold: Jaccard similarity.
        method: How to find candidates.
        threads: Number of threads.
        keep: Return the chunks and hash sums, for later joins to use.
    """
    scheme = scheme_of(threshold)
    if len(known.sizes) + len(texts) >= 1 << 32:
        raise ValueError("more than 4,294,967,295 texts: join them on Spark")
    count = len(known.sizes)
    with ThreadPoolExecutor(threads) as pool:
        summary = empty_summary(len(texts))
        uses_keys = threshold >= MIN_PARTENUM_THRESHOLD or method == "minhash"

        def chunk_of(bounds: tuple[int, int]) -> JoinChunk:
            if method == "minhash":
                return _minhash_chunk(texts, count, *bounds, summary, threshold, keep)
            return _exact_chunk(texts, count, *bounds, summary, scheme if uses_keys else None)

        chunks = list(pool.map(chunk_of, split_runs(texts.offsets, CHUNK_ROWS, CHUNK_BYTES)))
        sets = known.sets(texts, summary)
        numbers = set_numbers(sets, known.contents, summary.contents, pool)
        first = numbers == np.arange(count, count + len(texts), dtype=np.uint32)
        if not keep:
            summary = summary._replace(contents=np.empty(0, np.uint64))
        if not uses_keys:
            edges = pairs_by_bitmap(sets, scheme, first, pool)
            return WordSetJoin(summary, numbers.astype(np.int64), first, chunks, edges)
        emitted = [chunk.keys for chunk in chunks]
        if not keep:
            chunks.clear()
        if count:
            emitted.append(shared_keys(known.keys, emitted))
        edges = pairs_by_key(sets, scheme, *radix_partition(emitted, first, count, pool), pool)
        return WordSetJoin(summary, numbers.astype(np.int64), first, chunks, edges)


def _exact_chunk(
    texts: TextBuffers,
    known: int,
    first: int,
    stop: int,
    summary: SetSummary,
    scheme: Scheme | None,
) -> JoinChunk:
    """Summarize rows [first, stop) and return their PartEnum keys; no keys without a scheme."""
    folded = fold_texts(texts, np.arange(first, stop))
    longest = folded.longest()
    words = empty_words(longest)
    chunk_summary = summary.rows(first, stop)
    if scheme is None:
        summarize_sets(*folded, words, chunk_summary)
        return JoinChunk(first, stop, NO_KEYS, _NO_SIGNATURES)
    sums = empty_sums(longest, scheme)
    pieces: list[SetKeys] = []
    next_row, capacity = 0, 4 * (stop - first) + 1024
    while next_row < stop - first:
        keys = SetKeys(np.empty(capacity, np.uint64), np.empty(capacity, np.uint32))
        counts = np.zeros(1, np.int64)
        previous_row = next_row
        next_row = emit_set_keys(
            *folded, next_row, known + first, scheme, words, sums, chunk_summary, *keys, counts
        )
        if next_row == previous_row:
            capacity *= 4
        pieces.append(SetKeys(*(column[: counts[0]] for column in keys)))
    keys = SetKeys(*map(np.concatenate, zip(*pieces, strict=True)))
    return JoinChunk(first, stop, keys, _NO_SIGNATURES)


def _minhash_chunk(
    texts: TextBuffers,
    known: int,
    first: int,
    stop: int,
    summary: SetSummary,
    threshold: Fraction,
    keep: bool,
) -> JoinChunk:
    """Summarize rows [first, stop) and return their band keys, and their signatures if kept."""
    folded = fold_texts(texts, np.arange(first, stop))
    summarize_sets(*folded, empty_words(folded.longest()), summary.rows(first, stop))
    chunk_signatures = signatures(*folded)
    hashes = band_keys(chunk_signatures, *choose_bands(threshold))
    items = np.arange(known + first, known + stop, dtype=np.uint32)
    # Multiplication mixes the band's number into the highest bits. The class replaces the low bits.
    keys = (hashes.ravel() * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(CLASS_MASK)
    items = np.repeat(items, hashes.shape[1])
    return JoinChunk(
        first, stop, SetKeys(keys, items), chunk_signatures if keep else _NO_SIGNATURES
    )
