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
from persona_assets.dedup.folding import ROOM, Texts, canonical, texts_of
from persona_assets.dedup.identical import set_numbers
from persona_assets.dedup.join import every_pair, near, pairs
from persona_assets.dedup.kernels import Array, frozen
from persona_assets.dedup.minhash import band_keys, bands, signatures
from persona_assets.dedup.partenum import (
    CLASS_MASK,
    Scheme,
    describe,
    emit,
    scheme_of,
    sums_for,
)
from persona_assets.dedup.partitions import CHUNK, partition, runs, shared_keys
from persona_assets.dedup.sets import NO_KEYS, Keys, Sets, Summary, summary_for
from persona_assets.dedup.strings import Strings
from persona_assets.dedup.tokens import words_for

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
class Join:
    """The near-duplicates among n texts.

    `sets` is int64 of shape (n,): the number of the first text with the same word set. `edges` are
    the pairs of such numbers whose word sets are similar but not equal.
    """

    sets: npt.NDArray[np.int64]
    edges: Edges

    def pairs(self) -> Edges:
        """All pairs of texts. Raises ValueError for more than `MAX_EDGES`."""
        return self.edges.expanded(self.sets)


class Known(NamedTuple):
    """Distinct word sets that were joined before: as `Sets` has them, their contents and keys."""

    canonical: Array
    offsets: Array
    sizes: Array
    bitmaps: Array
    contents: Array
    keys: Keys

    def sets(self, texts: Texts, summary: Summary) -> Sets:
        """These, and behind them those of `texts`."""
        known = (self.canonical, self.offsets, self.sizes, self.bitmaps)
        return Sets(*known, texts, summary.sizes, summary.bitmaps)


NOTHING = Known(
    frozen(np.zeros(ROOM, np.uint8)),
    frozen(np.zeros(1, np.int64)),
    frozen(np.empty(0, np.uint32)),
    frozen(np.empty((0, 2), np.uint64)),
    frozen(np.empty(0, np.uint64)),
    NO_KEYS,
)


class Chunk(NamedTuple):
    """What is computed of rows [first, stop): keys, MinHash signatures if there are any."""

    first: int
    stop: int
    keys: Keys
    signatures: Array


def lexical_join(
    texts: Strings,
    threshold: Fraction = JACCARD_THRESHOLD,
    method: Method = "exact",
    threads: int = 1,
) -> Join:
    """The near-duplicates among `texts`: Jaccard similarity |A & B| / |A | B| >= `threshold`.

    Raises TypeError for a threshold that is not a Fraction (0.9 as a float is not nine tenths),
    ValueError for one outside (0, 1], for an unknown method, and for more pairs than `MAX_EDGES`.
    """
    check(threshold, method)
    joined = join_with(NOTHING, texts_of(texts, threads), threshold, method, threads)
    return Join(joined.numbers, joined.edges)


def lexical_edges(
    texts: Strings, threshold: Fraction, method: Method = "exact", threads: int = 1
) -> Edges:
    """All pairs of `texts` that `lexical_join` finds. Raises what it raises."""
    return lexical_join(texts, threshold, method, threads).pairs()


def method_for(rows: int, threshold: Fraction) -> Method:
    """The method that is right for so many texts: exact, unless that would compare all of many."""
    return "exact" if threshold >= LOWEST or rows <= EXACT_ROWS else "minhash"


def neighbours(texts: Strings, rows: Sequence[int], threshold: Fraction) -> Edges:
    """All pairs of `texts` that reach the threshold with one of them in `rows`.

    They are found by comparing bitmaps of all and then words, without any key: what an audit needs.
    Raises what `lexical_join` raises.
    """
    check(threshold, "exact")
    found = texts_of(texts)
    summary = summary_for(len(found))
    for bounds in runs(found.offsets, ROWS, CHUNK):
        _exact_chunk(found, 0, *bounds, summary, None)
    return near(NOTHING.sets(found, summary), scheme_of(threshold), np.asarray(rows, np.uint32))


def check(threshold: Fraction, method: str) -> None:
    """Raises TypeError or ValueError for a threshold or a method that there is not."""
    if not isinstance(threshold, Fraction):
        raise TypeError(f"threshold must be a Fraction such as Fraction(9, 10), not {threshold!r}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
    if threshold.denominator > LARGEST_DENOMINATOR:
        raise ValueError(f"{threshold} is needlessly exact: round it to thousandths")
    if method not in ("exact", "minhash"):
        raise ValueError(f"method must be 'exact' or 'minhash', not {method!r}")


class Joined(NamedTuple):
    """New texts joined with known sets and each other.

    `summary` and `chunks` are of the rows. `numbers` (int64) are their sets, `known + row` for a
    new one; `first` (bool) marks the first row of each new one. `edges` have at least one new set
    each.
    """

    summary: Summary
    numbers: npt.NDArray[np.int64]
    first: npt.NDArray[np.bool_]
    chunks: list[Chunk]
    edges: Edges


def join_with(
    known: Known,
    texts: Texts,
    threshold: Fraction,
    method: Method,
    threads: int,
    keep: bool = False,
) -> Joined:
    """Joins `texts` with sets known before and with each other; `keep` the chunks for next time."""
    scheme = scheme_of(threshold)
    if len(known.sizes) + len(texts) >= 1 << 32:
        raise ValueError("more than 4,294,967,295 texts: join them on Spark")
    count = len(known.sizes)
    with ThreadPoolExecutor(threads) as pool:
        summary = summary_for(len(texts))
        keyed = threshold >= LOWEST or method == "minhash"

        def work(bounds: tuple[int, int]) -> Chunk:
            if method == "minhash":
                return _minhash_chunk(texts, count, *bounds, summary, threshold, keep)
            return _exact_chunk(texts, count, *bounds, summary, scheme if keyed else None)

        chunks = list(pool.map(work, runs(texts.offsets, ROWS, CHUNK)))
        sets = known.sets(texts, summary)
        numbers = set_numbers(sets, known.contents, summary.contents, pool)
        first = numbers == np.arange(count, count + len(texts), dtype=np.uint32)
        if not keep:
            summary = summary._replace(contents=np.empty(0, np.uint64))
        if not keyed:
            edges = every_pair(sets, scheme, first, pool)
            return Joined(summary, numbers.astype(np.int64), first, chunks, edges)
        emitted = [chunk.keys for chunk in chunks]
        if not keep:
            chunks.clear()
        if count:
            emitted.append(shared_keys(known.keys, emitted))
        edges = pairs(sets, scheme, *partition(emitted, first, count, pool), pool)
        return Joined(summary, numbers.astype(np.int64), first, chunks, edges)


def _exact_chunk(
    texts: Texts, known: int, first: int, stop: int, summary: Summary, scheme: Scheme | None
) -> Chunk:
    """PartEnum's keys of the sets from `known + first` on; no keys without a scheme."""
    folded = canonical(texts, np.arange(first, stop))
    longest = folded.longest()
    words = words_for(longest)
    described = summary.rows(first, stop)
    if scheme is None:
        describe(*folded, words, described)
        return Chunk(first, stop, NO_KEYS, _UNSIGNED)
    sums = sums_for(longest, scheme)
    pieces: list[Keys] = []
    done, capacity = 0, 4 * (stop - first) + 1024
    while done < stop - first:
        keys = Keys(np.empty(capacity, np.uint64), np.empty(capacity, np.uint32))
        counted = np.zeros(1, np.int64)
        before = done
        done = emit(*folded, done, known + first, scheme, words, sums, described, *keys, counted)
        if done == before:
            capacity *= 4
        pieces.append(Keys(*(column[: counted[0]] for column in keys)))
    keys = Keys(*map(np.concatenate, zip(*pieces, strict=True)))
    return Chunk(first, stop, keys, _UNSIGNED)


_UNSIGNED = np.empty((0, 0), np.uint32)


def _minhash_chunk(
    texts: Texts,
    known: int,
    first: int,
    stop: int,
    summary: Summary,
    threshold: Fraction,
    keep: bool,
) -> Chunk:
    """As `_exact_chunk`, the keys of the bands of MinHash signatures, and these if to be kept."""
    folded = canonical(texts, np.arange(first, stop))
    describe(*folded, words_for(folded.longest()), summary.rows(first, stop))
    signed = signatures(*folded)
    found = band_keys(signed, *bands(threshold))
    items = np.arange(known + first, known + stop, dtype=np.uint32)
    # The highest bits stay a hash; in place of the band's number, which they depend on, the class.
    keys = (found.ravel() * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(CLASS_MASK)
    items = np.repeat(items, found.shape[1])
    return Chunk(first, stop, Keys(keys, items), signed if keep else _UNSIGNED)
