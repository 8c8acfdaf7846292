"""Buckets: sets that share a key, found partition by partition, and the candidates among them.

A hot bucket (many sets share an empty part, or a part of stop words only) is redistributed by other
hashes, which loses no pair by PartEnum's argument.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from persona_assets.dedup.kernels.bits import popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, inlined
from persona_assets.dedup.lexical.candidates import (
    collect_candidates,
    compare_rows,
    is_plausible,
    order_by_size,
    pack_candidate,
)
from persona_assets.dedup.lexical.distinct_sets import (
    DistinctSets,
    SetKeys,
    canonical_texts,
    text_lengths,
)
from persona_assets.dedup.lexical.partenum import CLASS_MASK, NO_CLASS, Scheme, redistributed_keys
from persona_assets.dedup.lexical.radix_partition import largest_partition, table_size
from persona_assets.dedup.text.runs import CHUNK_BYTES, split_runs_by_size
from persona_assets.dedup.text.word_hashes import empty_words

HOT_BUCKET = 1 << 9
"""Number of sets above which redistributing a bucket costs less than comparing all bitmaps."""


def bucket_candidates(
    sets: DistinctSets, scheme: Scheme, keys: SetKeys, bounds: Array, first: int, stop: int
) -> Iterator[Array]:
    """Yield the candidates in partitions [first, stop) of `keys`; a candidate may repeat."""
    largest = int(largest_partition(bounds, first, stop))
    hot: list[SetKeys] = []

    def step(first: int, out: Array, counts: Array) -> int:
        buckets = SetKeys(np.empty(largest, np.uint64), np.empty(largest, np.uint32))
        next_partition: int = join_partitions(
            sets, scheme, keys, bounds, first, stop, out, buckets, counts
        )
        hot.append(SetKeys(*(column[: counts[1]].copy() for column in buckets)))
        return next_partition

    yield from collect_candidates(step, first, stop)
    for members, size_class in split_buckets(hot):
        yield from compare_bucket(sets, scheme, members, size_class, 1)


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
    counts: Array,
) -> Int:
    """Join whole partitions from `first` on until one of the outputs is full.

    Args:
        sets: Distinct sets.
        scheme: Threshold.
        keys: Keys in partitions.
        bounds: Bounds of the partitions.
        first: First partition to join.
        stop: End of the partitions.
        out: Output, uint64: candidates.
        hot: Output: keys of buckets too large to compare, bucket by bucket.
        counts: Output: number of candidates in `out`, number of keys in `hot`.

    Returns:
        The first partition for which an output has no room, or `stop`.
    """
    known = len(sets.sizes)
    known_sizes, new_sizes = sets.sizes, sets.new_sizes
    known_bitmaps, new_bitmaps = sets.bitmaps, sets.new_bitmaps
    key, item, hot_key, hot_item = keys.key, keys.item, hot.key, hot.item
    sum_factor, difference_factor = (
        scheme.denominator + scheme.numerator,
        scheme.denominator - scheme.numerator,
    )
    largest = largest_partition(bounds, first, stop)
    table = np.empty(table_size(largest), np.int32)
    count = np.empty(largest, np.int32)
    repeats, heads = np.empty(largest, np.int32), np.empty(largest, np.int32)
    end = np.empty(largest, np.int32)
    members = np.empty(largest, np.uint32)
    sizes = np.empty(largest, np.int64)
    low, high = np.empty(largest, np.uint64), np.empty(largest, np.uint64)
    candidate_count, hot_count = 0, 0
    counts[0], counts[1] = 0, 0
    for part in range(first, stop):
        begin, length = bounds[part], bounds[part + 1] - bounds[part]
        member_count, buckets = _group_by_key(
            key, item, begin, length, table, count, repeats, heads, end, members
        )
        for i in range(member_count):
            number = np.int64(members[i])
            if number < known:
                sizes[i] = known_sizes[number]
                low[i], high[i] = known_bitmaps[number, 0], known_bitmaps[number, 1]
            else:
                sizes[i] = new_sizes[number - known]
                low[i], high[i] = new_bitmaps[number - known, 0], new_bitmaps[number - known, 1]
        for b in range(buckets):
            bucket_key, size = key[begin + heads[b]], np.int64(count[heads[b]])
            base = end[heads[b]] - size
            if size > HOT_BUCKET and bucket_key & np.uint64(CLASS_MASK) != np.uint64(NO_CLASS):
                if hot_count + size > len(hot_key):
                    return part
                for i in range(size):
                    hot_key[hot_count], hot_item[hot_count] = bucket_key, members[base + i]
                    hot_count += 1
                continue
            for i in range(base, base + size):
                for j in range(i + 1, base + size):
                    flipped = popcount(low[i] ^ low[j]) + popcount(high[i] ^ high[j])
                    if not is_plausible(sum_factor, difference_factor, sizes[i], sizes[j], flipped):
                        continue
                    left, right = np.int64(members[i]), np.int64(members[j])
                    if left < known and right < known:
                        continue
                    if candidate_count == len(out):
                        return part
                    out[candidate_count] = pack_candidate(left, right)
                    candidate_count += 1
        counts[0], counts[1] = candidate_count, hot_count
    return stop


@inlined
def _group_by_key(
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
    """Group the sets of a partition that share a key, bucket by bucket, into `members`.

    Returns:
        Number of members and number of buckets. `heads[b]` is the first entry of bucket b. For the
        first entry of a bucket, `count` is the number of the bucket's sets and `end` is their end
        in `members`.
    """
    mask = table_size(length) - 1
    table[: mask + 1] = -1
    repeat_count = 0
    for e in range(length):
        entry_key = key[begin + e]
        slot = np.int64(entry_key >> np.uint64(16)) & mask
        while table[slot] >= 0 and key[begin + table[slot]] != entry_key:
            slot = (slot + 1) & mask
        head = table[slot]
        if head < 0:
            table[slot], count[e], end[e] = e, 1, 0
        else:
            repeats[repeat_count], heads[repeat_count] = e, head
            count[head] += 1
            repeat_count += 1
    member_count, buckets = 0, 0
    for r in range(repeat_count):
        head = heads[r]
        if end[head] == 0:
            members[member_count] = item[begin + head]
            end[head] = member_count + 1
            member_count += count[head]
            heads[buckets] = head
            buckets += 1
        members[end[head]] = item[begin + repeats[r]]
        end[head] += 1
    return member_count, buckets


def split_buckets(hot: Sequence[SetKeys]) -> Iterator[tuple[Array, int]]:
    """Yield the sets of each bucket and the size class of its key."""
    for keys in hot:
        cuts = np.flatnonzero(np.diff(keys.key)) + 1
        for items, key in zip(
            np.split(keys.item, cuts), keys.key[[0, *cuts]] if len(keys.key) else [], strict=False
        ):
            yield items, int(key) & CLASS_MASK


def compare_bucket(
    sets: DistinctSets, scheme: Scheme, bucket: Array, size_class: int, salt: int
) -> Iterator[Array]:
    """Yield the candidates of a bucket, after redistribution if the bucket is hot and splits.

    Args:
        sets: Distinct sets.
        scheme: Threshold.
        bucket: Numbers of the bucket's sets.
        size_class: Size class of the bucket's key.
        salt: Selects the hashes of the next redistribution.
    """
    if len(bucket) > HOT_BUCKET:
        redistributed = redistribute_bucket(sets, scheme, bucket, size_class, salt)
        order = np.argsort(redistributed.key, kind="stable")
        cuts = np.flatnonzero(np.diff(redistributed.key[order])) + 1
        parts = np.split(redistributed.item[order], cuts)
        # Sets that mostly stay together are alike: no redistribution separates them.
        if max(map(len, parts)) <= len(bucket) // 2:
            for part in parts:
                if len(part) > 1:
                    yield from compare_bucket(sets, scheme, part, size_class, salt + 1)
            return

    ordered = order_by_size(sets, bucket)
    yield from compare_rows(scheme, ordered, np.flatnonzero(ordered.items >= len(sets.sizes)))


def redistribute_bucket(
    sets: DistinctSets, scheme: Scheme, bucket: Array, size_class: int, salt: int
) -> SetKeys:
    """Return keys of a bucket's sets by other hashes, `scheme.parts[size_class]` keys per set."""
    parts, items = int(scheme.parts[size_class]), bucket.astype(np.int64)
    redistributed = SetKeys(np.empty(len(bucket) * parts, np.uint64), np.repeat(bucket, parts))
    keys, sums = np.full(len(bucket), size_class, np.uint64), np.empty(parts, np.uint64)
    for first, stop in split_runs_by_size(text_lengths(sets, items), len(items), CHUNK_BYTES):
        texts = canonical_texts(sets, items[first:stop])
        words, out = empty_words(texts.longest()), redistributed.key[first * parts : stop * parts]
        redistributed_keys(keys[first:stop], *texts, scheme, salt, words, sums, out)
    return redistributed
