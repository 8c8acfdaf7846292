"""From keys to pairs: sets that share a key are compared, and those that are similar remain.

Keys are dealt out to partitions that fit a processor's cache, by their highest bits; threads take
partitions. Of the sets in one bucket (those that share a key) sizes and bitmaps leave few pairs,
the candidates; each is decided once, by the words. A bucket of very many sets (a part that is
empty, or holds stop words alone) is dealt out anew by other hashes, which by PartEnum's argument
loses no pair.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from persona_assets.dedup.kernels import Array, Int, inlined, kernel, popcount
from persona_assets.dedup.partenum import (
    CLASS_MASK,
    NO_CLASS,
    Scheme,
    deal,
)
from persona_assets.dedup.partitions import table_size, tasks, widest
from persona_assets.dedup.sets import Keys, Sets, canonical_of
from persona_assets.dedup.survivors import Edges, check_edge_count
from persona_assets.dedup.tokens import words_for
from persona_assets.dedup.verify import candidate, similarities

HOT = 1 << 9
"""Sets in a bucket above which dealing them out anew costs less than comparing their bitmaps."""

BLOCK = 256
"""Sets that a thread compares with all others at a time."""


def pairs(
    sets: Sets, scheme: Scheme, keys: Keys, bounds: Array, threads: ThreadPoolExecutor
) -> Edges:
    """All pairs of sets, at least one of them new, that share a key and reach the threshold.

    `keys` are in partitions with these `bounds`. Raises ValueError for more pairs than `MAX_EDGES`.
    """
    ends = tasks(bounds)

    def task(first: int, stop: int) -> list[Array]:
        found: list[Array] = []
        hot: list[Keys] = []

        def partitions(first: int, out: Array, counted: Array) -> int:
            most = int(widest(bounds, first, stop))
            buckets = Keys(np.empty(most, np.uint64), np.empty(most, np.uint32))
            done: int = join_partitions(
                sets, scheme, keys, bounds, first, stop, out, buckets, counted
            )
            hot.append(Keys(*(column[: counted[1]].copy() for column in buckets)))
            return done

        found += collected(partitions, first, stop)
        for bucket, kind in buckets_of(hot):
            found += compare_bucket(sets, scheme, bucket, kind, 1)
        return found

    return decided(sets, scheme, threads.map(task, ends[:-1], ends[1:]), threads)


def every_pair(sets: Sets, scheme: Scheme, first: Array, threads: ThreadPoolExecutor) -> Edges:
    """As `pairs`, by comparing the bitmaps of all: for thresholds at which no key tells much.

    `first` (bool) marks the new rows that are the first of their set.
    """
    known = len(sets.sizes)
    items = np.concatenate([np.arange(known), known + np.flatnonzero(first)]).astype(np.uint32)
    ordered = by_size(sets, items)
    rows = np.flatnonzero(ordered.items >= known)

    def task(start: int) -> list[Array]:
        return compared(scheme, ordered, rows[start : start + BLOCK])

    return decided(sets, scheme, threads.map(task, range(0, len(rows), BLOCK)), threads)


def near(sets: Sets, scheme: Scheme, chosen: Array) -> Edges:
    """All pairs of sets that reach the threshold with one of them in `chosen`, by comparing all."""
    ordered = by_size(sets, np.arange(len(sets.sizes) + len(sets.new_sizes), dtype=np.uint32))
    rows = np.flatnonzero(np.isin(ordered.items, chosen))
    with ThreadPoolExecutor(1) as one:
        return decided(sets, scheme, iter([compared(scheme, ordered, rows)]), one)


class Ordered(NamedTuple):
    """Sets by ascending number of words, with it and both halves of their bitmaps."""

    items: Array
    sizes: Array
    low: Array
    high: Array


def by_size(sets: Sets, items: Array) -> Ordered:
    """The sets with these numbers, by size."""
    old = items < len(sets.sizes)
    new = items[~old] - len(sets.sizes)
    sizes, bitmaps = np.empty(len(items), np.int64), np.empty((len(items), 2), np.uint64)
    sizes[old], sizes[~old] = sets.sizes[items[old]], sets.new_sizes[new]
    bitmaps[old], bitmaps[~old] = sets.bitmaps[items[old]], sets.new_bitmaps[new]
    order = np.argsort(sizes, kind="stable")
    return Ordered(items[order], sizes[order], *np.ascontiguousarray(bitmaps[order].T))


def compared(scheme: Scheme, ordered: Ordered, rows: Array) -> list[Array]:
    """The candidates among sets by size of which one is at one of the places `rows`."""

    def step(first: int, out: Array, counted: Array) -> int:
        done: int = compare(scheme, ordered, rows, first, out, counted)
        return done

    return collected(step, 0, len(rows))


def collected(step: Callable[[int, Array, Array], int], first: int, stop: int) -> list[Array]:
    """Candidates of a kernel that goes from `first` to `stop` and halts where its output is full.

    `step(first, out, counted)` writes `counted[0]` candidates and returns where to go on.
    """
    found: list[Array] = []
    capacity = 1 << 12
    counted = np.zeros(2, np.int64)
    while first < stop:
        out = np.empty(capacity, np.uint64)
        done = step(first, out, counted)
        if done == first:
            capacity *= 4
            check_edge_count(capacity // 16)
        found.append(out[: counted[0]].copy())
        first = done
    return found


def decided(
    sets: Sets, scheme: Scheme, found: Iterator[list[Array]], threads: ThreadPoolExecutor
) -> Edges:
    """The candidates, each named once or more often, that reach the threshold."""
    pieces: list[Array] = []
    for piece in found:
        pieces += piece
        check_edge_count(sum(map(len, pieces)) // 16)
    candidates = np.unique(np.concatenate([np.empty(0, np.uint64), *pieces]))
    similarity = similarities(sets, scheme, candidates, threads)
    near = similarity >= 0
    left, right = candidates[near] >> np.uint64(32), candidates[near] & np.uint64(0xFFFFFFFF)
    check_edge_count(len(left))
    return Edges(left.astype(np.int64), right.astype(np.int64), similarity[near])


@kernel
def join_partitions(
    sets: Sets,
    scheme: Scheme,
    keys: Keys,
    bounds: Array,
    first: Int,
    stop: Int,
    out: Array,
    hot: Keys,
    counted: Array,
) -> Int:
    """Joins whole partitions from `first` on; returns the first for which an output has no room.

    `counted` gets the number of candidates in `out` and of keys in `hot`: those of buckets that are
    too large to be compared, bucket by bucket.
    """
    known = len(sets.sizes)
    known_sizes, new_sizes = sets.sizes, sets.new_sizes
    known_bitmaps, new_bitmaps = sets.bitmaps, sets.new_bitmaps
    key, item, hot_key, hot_item = keys.key, keys.item, hot.key, hot.item
    more, less = scheme.denominator + scheme.numerator, scheme.denominator - scheme.numerator
    most = widest(bounds, first, stop)
    table = np.empty(table_size(most), np.int32)
    head = np.empty(most, np.int32)
    count = np.empty(most, np.int32)
    end = np.empty(most, np.int64)
    members = np.empty(most, np.uint32)
    sizes = np.empty(most, np.int64)
    low, high = np.empty(most, np.uint64), np.empty(most, np.uint64)
    written, kept = 0, 0
    counted[0], counted[1] = 0, 0
    for part in range(first, stop):
        begin = bounds[part]
        length = bounds[part + 1] - begin
        mask = table_size(length) - 1
        table[: mask + 1] = -1
        for e in range(length):
            wanted = key[begin + e]
            slot = np.int64(wanted >> np.uint64(16)) & mask
            while table[slot] >= 0 and key[begin + table[slot]] != wanted:
                slot = (slot + 1) & mask
            count[e] = 0
            if table[slot] < 0:
                table[slot] = e
            head[e] = table[slot]
            count[head[e]] += 1
        at = 0
        for e in range(length):
            if count[head[e]] > 1:
                if head[e] == e:
                    end[e] = at
                    at += count[e]
                members[end[head[e]]] = item[begin + e]
                end[head[e]] += 1
        for e in range(length):
            if count[e] < 2:
                continue
            size = np.int64(count[e])
            base = end[e] - size
            if size > HOT and key[begin + e] & np.uint64(CLASS_MASK) != np.uint64(NO_CLASS):
                if kept + size > len(hot_key):
                    return part
                for i in range(size):
                    hot_key[kept] = key[begin + e]
                    hot_item[kept] = members[base + i]
                    kept += 1
                continue
            for i in range(size):
                one = np.int64(members[base + i])
                if one < known:
                    sizes[i] = known_sizes[one]
                    low[i], high[i] = known_bitmaps[one, 0], known_bitmaps[one, 1]
                else:
                    sizes[i] = new_sizes[one - known]
                    low[i], high[i] = new_bitmaps[one - known, 0], new_bitmaps[one - known, 1]
            for i in range(size):
                for j in range(i + 1, size):
                    flipped = popcount(low[i] ^ low[j]) + popcount(high[i] ^ high[j])
                    if not plausible(more, less, sizes[i], sizes[j], flipped):
                        continue
                    one, two = np.int64(members[base + i]), np.int64(members[base + j])
                    if one < known and two < known:
                        continue
                    if written == len(out):
                        return part
                    out[written] = candidate(one, two)
                    written += 1
        counted[0], counted[1] = written, kept
    return stop


@inlined
def plausible(more: Int, less: Int, size: Int, other: Int, flipped: Int) -> bool:
    """Whether sizes and bitmaps leave it possible that two sets reach the threshold t.

    Sets that differ in d words have sizes at most d apart and bitmaps that differ in d bits at
    most, and d is at most (1 - t) / (1 + t) * (|A| + |B|). `more` is (1 + t) times the denominator
    of t, and `less` (1 - t) times.
    """
    return bool(max(np.int64(flipped), abs(size - other)) * more <= (size + other) * less)


def buckets_of(hot: Sequence[Keys]) -> Iterator[tuple[Array, int]]:
    """The sets of each bucket, and the class of its key."""
    for keys in hot:
        cuts = np.flatnonzero(np.diff(keys.key)) + 1
        for items, key in zip(
            np.split(keys.item, cuts), keys.key[[0, *cuts]] if len(keys.key) else [], strict=False
        ):
            yield items, int(key) & CLASS_MASK


def compare_bucket(sets: Sets, scheme: Scheme, bucket: Array, kind: int, salt: int) -> list[Array]:
    """The candidates of a bucket of class `kind`, dealt out anew where that helps."""
    if len(bucket) > HOT:
        dealt = deal_again(sets, scheme, bucket, kind, salt)
        order = np.argsort(dealt.key, kind="stable")
        cuts = np.flatnonzero(np.diff(dealt.key[order])) + 1
        smaller = np.split(dealt.item[order], cuts)
        # Where many stay together they are alike, and will stay together however they are dealt.
        if max(map(len, smaller)) <= len(bucket) // 2:
            return [
                piece
                for part in smaller
                if len(part) > 1
                for piece in compare_bucket(sets, scheme, part, kind, salt + 1)
            ]

    ordered = by_size(sets, bucket)
    return compared(scheme, ordered, np.flatnonzero(ordered.items >= len(sets.sizes)))


@kernel
def compare(
    scheme: Scheme, ordered: Ordered, rows: Array, first: Int, out: Array, counted: Array
) -> Int:
    """Compares the sets at the places `rows[first:]` with all of a size that allows it.

    Returns the first of `rows` for which `out` has no room. Two of `rows` are compared once.
    """
    numerator, denominator = scheme.numerator, scheme.denominator
    more, less = denominator + numerator, denominator - numerator
    items, sizes, low, high = ordered.items, ordered.sizes, ordered.low, ordered.high
    near = np.empty(len(items), np.bool_)
    asked = np.zeros(len(items), np.bool_)
    for row in range(len(rows)):
        asked[rows[row]] = True
    written = 0
    counted[0] = 0
    for row in range(first, len(rows)):
        i = rows[row]
        least = (sizes[i] * numerator + denominator - 1) // denominator
        begin = np.searchsorted(sizes, least)
        end = np.searchsorted(sizes, sizes[i] * denominator // numerator, side="right")
        for j in range(begin, end):
            flipped = popcount(low[i] ^ low[j]) + popcount(high[i] ^ high[j])
            near[j] = plausible(more, less, sizes[i], sizes[j], flipped)
        for j in range(begin, end):
            if near[j] and j != i and (j > i or not asked[j]):
                if written == len(out):
                    return row
                out[written] = candidate(np.int64(items[i]), np.int64(items[j]))
                written += 1
        counted[0] = written
    return len(rows)


def deal_again(sets: Sets, scheme: Scheme, bucket: Array, kind: int, salt: int) -> Keys:
    """The keys of a bucket's sets under other hashes, `scheme.parts[kind]` for each."""
    texts, parts = canonical_of(sets, bucket.astype(np.int64)), int(scheme.parts[kind])
    dealt = Keys(np.empty(len(bucket) * parts, np.uint64), np.repeat(bucket, parts))
    keys, sums = np.full(len(bucket), kind, np.uint64), np.empty(parts, np.uint64)
    deal(keys, *texts, scheme, salt, words_for(texts.longest()), sums, dealt.key)
    return dealt
