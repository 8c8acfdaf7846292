"""Near-duplicates by words: all pairs of texts whose word sets have Jaccard similarity >= t.

Keys propose candidates among the distinct word sets, and the words themselves decide, in integers:
every pair is right. PartEnum's keys (`exact`) also miss none; MinHash's (`minhash`, the paper's
method, section 2.3) find a pair at the threshold with probability >= 0.99, and one above it more
surely. Texts without words are duplicates of each other and of nothing else (the Jaccard similarity
of two empty sets is taken as 1).
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
from persona_assets.dedup.kernels.radix_partition import (
    CHUNK,
    radix_partition,
    shared_keys,
    split_runs,
)
from persona_assets.dedup.lexical.distinct_sets import (
    NO_KEYS,
    DistinctSets,
    SetKeys,
    SetSummary,
    empty_summary,
)
from persona_assets.dedup.lexical.equal_sets import set_numbers
from persona_assets.dedup.lexical.minhash import band_keys, bands, signatures
from persona_assets.dedup.lexical.partenum import (
    CLASS_MASK,
    Scheme,
    emit_set_keys,
    scheme_of,
    summarize_sets,
    sums_for,
)
from persona_assets.dedup.lexical.similar_pairs import (
    pairs_by_bitmap,
    pairs_by_key,
    pairs_of_chosen,
)
from persona_assets.dedup.text.folding import ROOM, TextBuffers, fold_texts, text_buffers
from persona_assets.dedup.text.utf8_buffers import Strings
from persona_assets.dedup.text.word_hashes import empty_words

JACCARD_THRESHOLD = Fraction(9, 10)  # section 2.3
LOWEST = Fraction(3, 4)
"""Below it PartEnum's keys hold a word or none and tell nothing: `exact` compares all bitmaps."""

LARGEST_DENOMINATOR = 1_000_000
"""Of a threshold: with it, sizes of texts and sums of two stay below 2^63."""

ROWS = 1 << 14
"""Most rows that a thread takes at a time."""

EXACT_ROWS = 300_000
"""Texts up to which `auto` compares all bitmaps at such a threshold: minutes of one processor."""

Method = Literal["exact", "minhash"]


@dataclass(frozen=True, eq=False)
class LexicalJoin:
    """The near-duplicates among n texts.

    `sets` is int64 of shape (n,): the number of the first text with the same word set. `edges` are
    the pairs of such numbers whose word sets are similar but not equal.
    """

    sets: npt.NDArray[np.int64]
    edges: Edges

    def pairs(self) -> Edges:
        """All pairs of texts. Raises ValueError for more than `MAX_EDGES`."""
        return self.edges.expanded(self.sets)


class KnownSets(NamedTuple):
    """Distinct word sets that were joined before: as `Sets` has them, their contents and keys."""

    canonical: Array
    offsets: Array
    sizes: Array
    bitmaps: Array
    contents: Array
    keys: SetKeys

    def sets(self, texts: TextBuffers, summary: SetSummary) -> DistinctSets:
        """These, and behind them those of `texts`."""
        known = (self.canonical, self.offsets, self.sizes, self.bitmaps)
        return DistinctSets(*known, texts, summary.sizes, summary.bitmaps)


NO_KNOWN_SETS = KnownSets(
    frozen(np.zeros(ROOM, np.uint8)),
    frozen(np.zeros(1, np.int64)),
    frozen(np.empty(0, np.uint32)),
    frozen(np.empty((0, 2), np.uint64)),
    frozen(np.empty(0, np.uint64)),
    NO_KEYS,
)


class JoinChunk(NamedTuple):
    """What is computed of rows [first, stop): keys, MinHash signatures if there are any."""

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
    """The near-duplicates among `texts`: Jaccard similarity |A & B| / |A | B| >= `threshold`.

    Raises TypeError for a threshold that is not a Fraction (0.9 as a float is not nine tenths),
    ValueError for one outside (0, 1], for an unknown method, and for more pairs than `MAX_EDGES`.
    """
    check_join_options(threshold, method)
    joined = join_word_sets(NO_KNOWN_SETS, text_buffers(texts, threads), threshold, method, threads)
    return LexicalJoin(joined.numbers, joined.edges)


def lexical_edges(
    texts: Strings, threshold: Fraction, method: Method = "exact", threads: int = 1
) -> Edges:
    """All pairs of `texts` that `lexical_join` finds. Raises what it raises."""
    return lexical_join(texts, threshold, method, threads).pairs()


def method_for(rows: int, threshold: Fraction) -> Method:
    """The method that is right for so many texts: exact, unless that would compare all of many."""
    return "exact" if threshold >= LOWEST or rows <= EXACT_ROWS else "minhash"


def lexical_neighbours(texts: Strings, rows: Sequence[int], threshold: Fraction) -> Edges:
    """All pairs of `texts` that reach the threshold with one of them in `rows`.

    They are found by comparing bitmaps of all and then words, without any key: what an audit needs.
    Raises what `lexical_join` raises.
    """
    check_join_options(threshold, "exact")
    found = text_buffers(texts)
    summary = empty_summary(len(found))
    for bounds in split_runs(found.offsets, ROWS, CHUNK):
        _exact_chunk(found, 0, *bounds, summary, None)
    return pairs_of_chosen(
        NO_KNOWN_SETS.sets(found, summary), scheme_of(threshold), np.asarray(rows, np.uint32)
    )


def check_join_options(threshold: Fraction, method: str) -> None:
    """Raises TypeError or ValueError for a threshold or a method that there is not."""
    if not isinstance(threshold, Fraction):
        raise TypeError(f"threshold must be a Fraction such as Fraction(9, 10), not {threshold!r}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
    if threshold.denominator > LARGEST_DENOMINATOR:
        raise ValueError(f"{threshold} is needlessly exact: round it to thousandths")
    if method not in ("exact", "minhash"):
        raise ValueError(f"method must be 'exact' or 'minhash', not {method!r}")


class WordSetJoin(NamedTuple):
    """New texts joined with known sets and each other.

    `summary` and `chunks` are of the rows. `numbers` (int64) are their sets, `known + row` for a
    new one; `first` (bool) marks the first row of each new one. `edges` have at least one new set
    each.
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
    """Joins `texts` with sets known before and with each other; `keep` the chunks for next time."""
    scheme = scheme_of(threshold)
    if len(known.sizes) + len(texts) >= 1 << 32:
        raise ValueError("more than 4,294,967,295 texts: join them on Spark")
    count = len(known.sizes)
    with ThreadPoolExecutor(threads) as pool:
        summary = empty_summary(len(texts))
        keyed = threshold >= LOWEST or method == "minhash"

        def work(bounds: tuple[int, int]) -> JoinChunk:
            if method == "minhash":
                return _minhash_chunk(texts, count, *bounds, summary, threshold, keep)
            return _exact_chunk(texts, count, *bounds, summary, scheme if keyed else None)

        chunks = list(pool.map(work, split_runs(texts.offsets, ROWS, CHUNK)))
        sets = known.sets(texts, summary)
        numbers = set_numbers(sets, known.contents, summary.contents, pool)
        first = numbers == np.arange(count, count + len(texts), dtype=np.uint32)
        if not keep:
            summary = summary._replace(contents=np.empty(0, np.uint64))
        if not keyed:
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
    """PartEnum's keys of the sets from `known + first` on; no keys without a scheme."""
    folded = fold_texts(texts, np.arange(first, stop))
    longest = folded.longest()
    words = empty_words(longest)
    described = summary.rows(first, stop)
    if scheme is None:
        summarize_sets(*folded, words, described)
        return JoinChunk(first, stop, NO_KEYS, _UNSIGNED)
    sums = sums_for(longest, scheme)
    pieces: list[SetKeys] = []
    done, capacity = 0, 4 * (stop - first) + 1024
    while done < stop - first:
        keys = SetKeys(np.empty(capacity, np.uint64), np.empty(capacity, np.uint32))
        counted = np.zeros(1, np.int64)
        before = done
        done = emit_set_keys(
            *folded, done, known + first, scheme, words, sums, described, *keys, counted
        )
        if done == before:
            capacity *= 4
        pieces.append(SetKeys(*(column[: counted[0]] for column in keys)))
    keys = SetKeys(*map(np.concatenate, zip(*pieces, strict=True)))
    return JoinChunk(first, stop, keys, _UNSIGNED)


_UNSIGNED = np.empty((0, 0), np.uint32)


def _minhash_chunk(
    texts: TextBuffers,
    known: int,
    first: int,
    stop: int,
    summary: SetSummary,
    threshold: Fraction,
    keep: bool,
) -> JoinChunk:
    """As `_exact_chunk`, the keys of the bands of MinHash signatures, and these if to be kept."""
    folded = fold_texts(texts, np.arange(first, stop))
    summarize_sets(*folded, empty_words(folded.longest()), summary.rows(first, stop))
    signed = signatures(*folded)
    found = band_keys(signed, *bands(threshold))
    items = np.arange(known + first, known + stop, dtype=np.uint32)
    # The highest bits stay a hash; in place of the band's number, which they depend on, the class.
    keys = (found.ravel() * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(CLASS_MASK)
    items = np.repeat(items, found.shape[1])
    return JoinChunk(first, stop, SetKeys(keys, items), signed if keep else _UNSIGNED)
