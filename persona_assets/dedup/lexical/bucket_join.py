"""Sets that share a key, found partition by partition, and the candidates among them.

A bucket of very many sets (a part that is empty, or holds stop words alone) is dealt out anew by
other hashes, which by PartEnum's argument loses no pair.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from persona_assets.dedup.kernels.bits import popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, inlined
from persona_assets.dedup.kernels.radix_partition import (
    CHUNK,
    split_runs_by_size,
    table_size,
    widest,
)
from persona_assets.dedup.lexical.candidates import (
    collect_candidates,
    compare_places,
    is_plausible,
    order_by_size,
    pack_candidate,
)
from persona_assets.dedup.lexical.distinct_sets import (
    DistinctSets,
    SetKeys,
    canonical_of,
    lengths_of,
)
from persona_assets.dedup.lexical.partenum import CLASS_MASK, NO_CLASS, Scheme, redistributed_keys
from persona_assets.dedup.text.word_hashes import empty_words

HOT = 1 << 9
"""Sets in a bucket above which dealing them out anew costs less than comparing their bitmaps."""


def candidates_of(
    sets: DistinctSets, scheme: Scheme, keys: SetKeys, bounds: Array, first: int, stop: int
) -> Iterator[Array]:
    """The candidates of partitions [first, stop) of keys, each named once or more often."""
    most = int(widest(bounds, first, stop))
    hot: list[SetKeys] = []

    def step(first: int, out: Array, counted: Array) -> int:
        buckets = SetKeys(np.empty(most, np.uint64), np.empty(most, np.uint32))
        done: int = join_partitions(sets, scheme, keys, bounds, first, stop, out, buckets, counted)
        hot.append(SetKeys(*(column[: counted[1]].copy() for column in buckets)))
        return done

    yield from collect_candidates(step, first, stop)
    for bucket, kind in buckets_of(hot):
        yield from compare_bucket(sets, scheme, bucket, kind, 1)


@allocating
def join_partitions(
    sets: DistinctSets,
    scheme: Scheme,
    keys: SetKeys,
    bounds: Array,
    first: Int,
    stop: Int,
    out: Array,
    hot: SetKeys,
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
    count = np.empty(most, np.int32)
    repeats, heads = np.empty(most, np.int32), np.empty(most, np.int32)
    end = np.empty(most, np.int32)
    members = np.empty(most, np.uint32)
    sizes = np.empty(most, np.int64)
    low, high = np.empty(most, np.uint64), np.empty(most, np.uint64)
    written, kept = 0, 0
    counted[0], counted[1] = 0, 0
    for part in range(first, stop):
        begin, length = bounds[part], bounds[part + 1] - bounds[part]
        at, buckets = _meet(key, item, begin, length, table, count, repeats, heads, end, members)
        for i in range(at):
            one = np.int64(members[i])
            if one < known:
                sizes[i] = known_sizes[one]
                low[i], high[i] = known_bitmaps[one, 0], known_bitmaps[one, 1]
            else:
                sizes[i] = new_sizes[one - known]
                low[i], high[i] = new_bitmaps[one - known, 0], new_bitmaps[one - known, 1]
        for b in range(buckets):
            wanted, size = key[begin + heads[b]], np.int64(count[heads[b]])
            base = end[heads[b]] - size
            if size > HOT and wanted & np.uint64(CLASS_MASK) != np.uint64(NO_CLASS):
                if kept + size > len(hot_key):
                    return part
                for i in range(size):
                    hot_key[kept], hot_item[kept] = wanted, members[base + i]
                    kept += 1
                continue
            for i in range(base, base + size):
                for j in range(i + 1, base + size):
                    flipped = popcount(low[i] ^ low[j]) + popcount(high[i] ^ high[j])
                    if not is_plausible(more, less, sizes[i], sizes[j], flipped):
                        continue
                    one, two = np.int64(members[i]), np.int64(members[j])
                    if one < known and two < known:
                        continue
                    if written == len(out):
                        return part
                    out[written] = pack_candidate(one, two)
                    written += 1
        counted[0], counted[1] = written, kept
    return stop


@inlined
def _meet(
    key: Array,
    item: Array,
    begin: Int,
    length: Int,
    table: Array,
    count: Array,
    repeats: Array,
    heads: Array,
    end: Array,
    members: Array,
) -> tuple[Int, Int]:
    """The sets that share a key in a partition, bucket by bucket, into `members`.

    Returns how many these are, and how many buckets. `heads[b]` is the first entry of bucket b, and
    of an entry that is one's first, `count` are the bucket's sets and `end` is where they end.
    """
    mask = table_size(length) - 1
    table[: mask + 1] = -1
    repeated = 0
    for e in range(length):
        wanted = key[begin + e]
        slot = np.int64(wanted >> np.uint64(16)) & mask
        while table[slot] >= 0 and key[begin + table[slot]] != wanted:
            slot = (slot + 1) & mask
        head = table[slot]
        if head < 0:
            table[slot], count[e], end[e] = e, 1, 0
        else:
            repeats[repeated], heads[repeated] = e, head
            count[head] += 1
            repeated += 1
    at, buckets = 0, 0
    for r in range(repeated):
        head = heads[r]
        if end[head] == 0:
            members[at] = item[begin + head]
            end[head] = at + 1
            at += count[head]
            heads[buckets] = head
            buckets += 1
        members[end[head]] = item[begin + repeats[r]]
        end[head] += 1
    return at, buckets


def buckets_of(hot: Sequence[SetKeys]) -> Iterator[tuple[Array, int]]:
    """The sets of each bucket, and the class of its key."""
    for keys in hot:
        cuts = np.flatnonzero(np.diff(keys.key)) + 1
        for items, key in zip(
            np.split(keys.item, cuts), keys.key[[0, *cuts]] if len(keys.key) else [], strict=False
        ):
            yield items, int(key) & CLASS_MASK


def compare_bucket(
    sets: DistinctSets, scheme: Scheme, bucket: Array, kind: int, salt: int
) -> Iterator[Array]:
    """The candidates of a bucket of class `kind`, dealt out anew where that helps."""
    if len(bucket) > HOT:
        dealt = redistribute_bucket(sets, scheme, bucket, kind, salt)
        order = np.argsort(dealt.key, kind="stable")
        cuts = np.flatnonzero(np.diff(dealt.key[order])) + 1
        smaller = np.split(dealt.item[order], cuts)
        # Where many stay together they are alike, and will stay together however they are dealt.
        if max(map(len, smaller)) <= len(bucket) // 2:
            for part in smaller:
                if len(part) > 1:
                    yield from compare_bucket(sets, scheme, part, kind, salt + 1)
            return

    ordered = order_by_size(sets, bucket)
    yield from compare_places(scheme, ordered, np.flatnonzero(ordered.items >= len(sets.sizes)))


def redistribute_bucket(
    sets: DistinctSets, scheme: Scheme, bucket: Array, kind: int, salt: int
) -> SetKeys:
    """The keys of a bucket's sets under other hashes, `scheme.parts[kind]` for each."""
    parts, items = int(scheme.parts[kind]), bucket.astype(np.int64)
    dealt = SetKeys(np.empty(len(bucket) * parts, np.uint64), np.repeat(bucket, parts))
    keys, sums = np.full(len(bucket), kind, np.uint64), np.empty(parts, np.uint64)
    for first, stop in split_runs_by_size(lengths_of(sets, items), len(items), CHUNK):
        texts = canonical_of(sets, items[first:stop])
        words, out = empty_words(texts.longest()), dealt.key[first * parts : stop * parts]
        redistributed_keys(keys[first:stop], *texts, scheme, salt, words, sums, out)
    return dealt
