"""Keys dealt out by their highest bits, so that equal ones meet within a processor's cache."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.lexical.distinct_sets import NO_KEYS, SetKeys

CHUNK = 1 << 20
"""Bytes of text that a thread takes at a time, about: with what is made of it, it stays in the
cache."""

PARTITION = 1 << 14
"""Keys in a partition, about: with their rows and a table of them they stay in the second cache."""

TASKS = 64
"""Runs of partitions that threads take one after the other."""


def radix_partition(
    emitted: list[SetKeys], kept: Array, known: int, threads: ThreadPoolExecutor
) -> tuple[SetKeys, Array]:
    """Keys by their highest bits, and the bounds of the partitions, int64.

    Of sets from `known` on only those with `kept[set - known]` take part. `emitted` is emptied, so
    that its chunks, if no one else holds them, are freed one after the other.
    """
    bits = (sum(len(keys.key) for keys in emitted) // PARTITION).bit_length()
    counts = np.zeros((len(emitted), 1 << bits), np.int64)
    chunks = list(emitted)

    def count(number: int) -> None:
        count_partitions(emitted[number], kept, known, bits, counts[number])

    list(threads.map(count, range(len(emitted))))
    emitted.clear()
    bounds = np.zeros((1 << bits) + 1, np.int64)
    np.cumsum(counts.sum(axis=0), out=bounds[1:])
    # Where the keys of one chunk begin in each partition: behind those of the chunks before it.
    places = bounds[:-1] + np.cumsum(counts, axis=0) - counts
    keys = SetKeys(np.empty(bounds[-1], np.uint64), np.empty(bounds[-1], np.uint32))

    def deal(number: int) -> None:
        chunk, chunks[number] = chunks[number], NO_KEYS
        scatter(chunk, kept, known, bits, places[number], keys)

    list(threads.map(deal, range(len(chunks))))
    return keys, bounds


def split_runs(ends: Array, rows: int, size: int) -> list[tuple[int, int]]:
    """Runs of at most `rows` rows and of about `size` bytes; `ends[i]` is where row i begins."""
    count = len(ends) - 1
    cuts = np.searchsorted(ends, np.arange(ends[0], ends[-1], size))
    bounds = np.unique(np.concatenate([[0, count], cuts, np.arange(0, count, rows)]))
    return list(pairwise(bounds[bounds <= count].tolist()))


def split_runs_by_size(lengths: Array, rows: int, size: int) -> list[tuple[int, int]]:
    """`runs` of rows of so many bytes each."""
    return split_runs(np.concatenate([[0], np.cumsum(lengths)]), rows, size)


def partition_tasks(bounds: Array) -> list[int]:
    """Bounds of `TASKS` runs of partitions, or of fewer."""
    ends = np.linspace(0, len(bounds) - 1, num=TASKS + 1, dtype=np.int64)
    return [int(end) for end in np.unique(ends)]


@kernel
def widest(bounds: Array, first: Int, stop: Int) -> Int:
    """Keys in the largest of the partitions [first, stop)."""
    most = 0
    for part in range(first, stop):
        most = max(most, bounds[part + 1] - bounds[part])
    return most


@kernel
def table_size(length: Int) -> Int:
    """Slots of a table for so many keys: a power of two, half of them free."""
    size = 16
    while size < 2 * length:
        size *= 2
    return size


@kernel
def count_partitions(keys: SetKeys, kept: Array, known: Int, bits: Int, counts: Array) -> None:
    key, item = keys.key, keys.item
    for i in range(len(key)):
        if item[i] < known or kept[item[i] - known]:
            counts[_highest(key[i], bits)] += 1


@kernel
def scatter(keys: SetKeys, kept: Array, known: Int, bits: Int, places: Array, out: SetKeys) -> None:
    key, item = keys.key, keys.item
    out_key, out_item = out.key, out.item
    for i in range(len(key)):
        if item[i] < known or kept[item[i] - known]:
            part = _highest(key[i], bits)
            at = places[part]
            out_key[at] = key[i]
            out_item[at] = item[i]
            places[part] = at + 1


@inlined
def _highest(key: Int, bits: Int) -> Int:
    return np.int64((key >> np.uint64(1)) >> np.uint64(63 - bits))


def shared_keys(known: SetKeys, emitted: Sequence[SetKeys]) -> SetKeys:
    """Those of the known keys that new ones may equal; few others slip through.

    The known ones are read once from end to end, wherever they lie.
    """
    total = sum(len(keys.key) for keys in emitted)
    bits = min(30, max(12, (64 * total).bit_length()))
    marks = np.zeros(1 << (bits - 6), np.uint64)
    for keys in emitted:
        mark(keys.key, bits, marks)
    chosen = np.empty(len(known.key), np.bool_)
    marked(known.key, bits, marks, chosen)
    rows = np.flatnonzero(chosen)
    return SetKeys(known.key[rows], known.item[rows])


@kernel
def mark(keys: Array, bits: Int, marks: Array) -> None:
    for i in range(len(keys)):
        place = _highest(keys[i], bits)
        marks[place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@kernel
def marked(keys: Array, bits: Int, marks: Array, chosen: Array) -> None:
    for i in range(len(keys)):
        place = _highest(keys[i], bits)
        chosen[i] = (marks[place >> 6] >> np.uint64(place & 63)) & np.uint64(1) != 0
