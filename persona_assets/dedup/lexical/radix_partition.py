"""Radix partitioning: keys grouped by their highest bits, so that equal keys share a CPU cache."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.lexical.distinct_sets import NO_KEYS, SetKeys

PARTITION_KEYS = 1 << 14
"""Approximate number of keys per partition: keys, rows and a hash table stay in the L2 cache."""

MAX_TASKS = 64
"""Largest number of tasks that the partitions are divided into for the threads."""


def radix_partition(
    emitted: list[SetKeys], kept: Array, known: int, threads: ThreadPoolExecutor
) -> tuple[SetKeys, Array]:
    """Partition keys by their highest bits, so that equal keys meet in one cache-sized block.

    Args:
        emitted: Chunks of keys. The list is emptied, so that each chunk is freed as soon as its
            keys are copied, if nothing else refers to it.
        kept: bool mask of the new sets, from `known` on; keys of the other new sets are dropped.
        known: Number of known sets, whose keys are all kept.
        threads: Pool that counts and copies the chunks.

    Returns:
        Keys ordered by partition, and partition bounds, int64 of shape (partitions + 1,).
    """
    bits = (sum(len(keys.key) for keys in emitted) // PARTITION_KEYS).bit_length()
    counts = np.zeros((len(emitted), 1 << bits), np.int64)
    chunks = list(emitted)

    def count(chunk_number: int) -> None:
        count_partitions(emitted[chunk_number], kept, known, bits, counts[chunk_number])

    list(threads.map(count, range(len(emitted))))
    emitted.clear()
    bounds = np.zeros((1 << bits) + 1, np.int64)
    np.cumsum(counts.sum(axis=0), out=bounds[1:])
    # In each partition, the keys of a chunk follow the keys of the chunks before it.
    places = bounds[:-1] + np.cumsum(counts, axis=0) - counts
    keys = SetKeys(np.empty(bounds[-1], np.uint64), np.empty(bounds[-1], np.uint32))

    def scatter_chunk(chunk_number: int) -> None:
        chunk, chunks[chunk_number] = chunks[chunk_number], NO_KEYS
        scatter(chunk, kept, known, bits, places[chunk_number], keys)

    list(threads.map(scatter_chunk, range(len(chunks))))
    return keys, bounds


def partition_tasks(bounds: Array) -> list[int]:
    """Return the bounds of at most `MAX_TASKS` runs of partitions.

    Example:
        >>> partition_tasks(np.zeros(5))
        [0, 1, 2, 3, 4]
    """
    ends = np.linspace(0, len(bounds) - 1, num=MAX_TASKS + 1, dtype=np.int64)
    return [int(end) for end in np.unique(ends)]


@kernel
def largest_partition(bounds: Array, first: Int, stop: Int) -> Int:
    """Return the number of keys in the largest of the partitions [first, stop)."""
    largest = 0
    for part in range(first, stop):
        largest = max(largest, bounds[part + 1] - bounds[part])
    return largest


@kernel
def table_size(length: Int) -> Int:
    """Return a number of slots for `length` keys: a power of two that leaves half of them free."""
    size = 16
    while size < 2 * length:
        size *= 2
    return size


@kernel
def count_partitions(keys: SetKeys, kept: Array, known: Int, bits: Int, counts: Array) -> None:
    """Add the number of kept keys per partition to `counts`."""
    key, item = keys.key, keys.item
    for i in range(len(key)):
        if item[i] < known or kept[item[i] - known]:
            counts[_high_bits(key[i], bits)] += 1


@kernel
def scatter(keys: SetKeys, kept: Array, known: Int, bits: Int, places: Array, out: SetKeys) -> None:
    """Copy the kept keys to their partitions; `places` holds each partition's next free slot."""
    key, item = keys.key, keys.item
    out_key, out_item = out.key, out.item
    for i in range(len(key)):
        if item[i] < known or kept[item[i] - known]:
            part = _high_bits(key[i], bits)
            at = places[part]
            out_key[at] = key[i]
            out_item[at] = item[i]
            places[part] = at + 1


@inlined
def _high_bits(key: Int, bits: Int) -> Int:
    """Return the `bits` highest bits of a key."""
    return np.int64((key >> np.uint64(1)) >> np.uint64(63 - bits))


def shared_keys(known: SetKeys, emitted: Sequence[SetKeys]) -> SetKeys:
    """Return the known keys that may equal an emitted key.

    A bitmap over the highest bits of the keys decides: no equal key is missed, and few others pass.
    The known keys are read once, sequentially, whether in memory or on disk.
    """
    total = sum(len(keys.key) for keys in emitted)
    bits = min(30, max(12, (64 * total).bit_length()))
    bitmap = np.zeros(1 << (bits - 6), np.uint64)
    for keys in emitted:
        _set_bits(keys.key, bits, bitmap)
    present = np.empty(len(known.key), np.bool_)
    _test_bits(known.key, bits, bitmap, present)
    rows = np.flatnonzero(present)
    return SetKeys(known.key[rows], known.item[rows])


@kernel
def _set_bits(keys: Array, bits: Int, bitmap: Array) -> None:
    """Set the bit of each key in the bitmap."""
    for i in range(len(keys)):
        bit = _high_bits(keys[i], bits)
        bitmap[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@kernel
def _test_bits(keys: Array, bits: Int, bitmap: Array, present: Array) -> None:
    """Write True for each key whose bit is set in the bitmap into `present`."""
    for i in range(len(keys)):
        bit = _high_bits(keys[i], bits)
        present[i] = (bitmap[bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1) != 0
