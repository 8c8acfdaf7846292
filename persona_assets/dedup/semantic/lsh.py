"""Locality-sensitive hashing: pairs of sketches within a Hamming distance, by hash tables.

A table uses some bits of a sketch as its key and compares only rows with equal keys (Indyk,
Motwani: Approximate nearest neighbors, STOC 1998). Several tables with different key bits find the
pairs that a single table misses.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from persona_assets.dedup.edges import Rows
from persona_assets.dedup.kernels.bits import popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, frozen, inlined, kernel
from persona_assets.dedup.semantic.hash_table import (
    HashTable,
    bucket_count,
    empty_table,
    fill_table,
    hash_shift,
    sketch_key,
    table_masks,
)
from persona_assets.dedup.semantic.sign_sketches import Parameters, Sketches, key_masks

BLOCK = 512
"""Probes whose keys are computed at a time, so that the keys stay in the cache."""

TILE = 256
"""Rows of a bucket that are compared at a time, so that their sketches stay in the cache."""

STREAM = 1 << 18
"""Old rows that all tables probe before the next rows are read."""

BATCH = 1 << 16
"""Capacity of a batch, in pairs."""

TABLE_MEMORY = 1 << 27
"""Bytes of the hash tables that are filled at the same time."""


def near_sketches(
    parameters: Parameters, tables: Sequence[int], new: Sketches, old: Sketches
) -> Iterator[tuple[Rows, Rows]]:
    """Yield the pairs within the cut that share a key in any of `tables`, each pair once.

    A pair is reported by the first of all tables, not only of `tables`, in which it shares a key.
    So threads that process different tables report different pairs. Rows of `old` are numbered
    first, rows of `new` after them. A table of the new rows takes about 50 bytes per row. With old
    rows, `TABLE_MEMORY` limits the number of tables filled at the same time, and the old rows are
    read once per such group of tables.

    Args:
        parameters: Seed and number of all tables, bits of a key, and cut.
        tables: Numbers of the tables to process.
        new: Sketches, shape (n, WORDS).
        old: Sketches, shape (m, WORDS), which are not compared with each other.

    Yields:
        Two int64 columns of rows, the second always new; valid until the next batch is requested.
    """
    masks, cut = key_masks(parameters), parameters.cut
    buckets = bucket_count(len(new), parameters.bits)
    affordable = TABLE_MEMORY // (8 * buckets + 36 * len(new))
    group_size = max(1, min(len(tables), affordable)) if len(old) else 1
    unmasked = [empty_table(len(new), buckets, len(old) > 0) for _ in range(group_size)]
    scratch = np.empty(len(new), np.uint32)
    left, right = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    cursor = np.empty(3, np.int64)
    for first in range(0, len(tables), group_size):
        group = [
            table._replace(masks=table_masks(masks, number))
            for table, number in zip(unmasked, tables[first : first + group_size], strict=False)
        ]
        for table in group:
            fill_table(frozen(new), scratch, table)
            cursor[:] = 0
            while count := _pairs_within(table, cut, cursor, left, right):
                left[:count] += len(old)
                right[:count] += len(old)
                yield left[:count], right[:count]
        for start in range(0, len(old), STREAM):
            block = frozen(old[start : start + STREAM])
            for table in group:
                cursor[:] = 0
                while count := _pairs_across(block, table, cut, cursor, left, right):
                    left[:count] += start
                    right[:count] += len(old)
                    yield left[:count], right[:count]


@kernel
def _pairs_within(table: HashTable, cut: Int, cursor: Array, left: Array, right: Array) -> Int:
    """Write the next pairs of rows that share a bucket, until the batch is full.

    A bucket of many rows is compared in tiles, so that sketches stay in the cache here, and vectors
    in the caller that verifies the pairs.

    Args:
        cursor: Bucket, tile and row at which to resume; updated.
        left, right: Batch of pairs to fill.

    Returns:
        Number of pairs written; 0 when all buckets are done.
    """
    ends, rows, sketches, masks = table.ends, table.rows, table.sketches, table.masks
    count = 0
    bucket, tile, at = cursor[0], cursor[1], cursor[2]
    while bucket < len(ends):
        begin = np.int64(ends[bucket - 1]) if bucket else 0
        end = np.int64(ends[bucket])
        tile, at = max(tile, begin), max(at, begin)
        while tile < end:
            stop = min(tile + TILE, end)
            while at < stop:
                if count + TILE > len(left):
                    cursor[0], cursor[1], cursor[2] = bucket, tile, at
                    return count
                a, b, c, d = sketches[at, 0], sketches[at, 1], sketches[at, 2], sketches[at, 3]
                first, row = max(tile, at + 1), np.int64(rows[at])
                count = _append(
                    row, a, b, c, d, rows, sketches, first, stop, masks, cut, left, right, count
                )
                at += 1
            tile, at = stop, begin
        bucket += 1
        at = end
    cursor[0] = bucket
    return count


@allocating
def _pairs_across(
    probes: Array, table: HashTable, cut: Int, cursor: Array, left: Array, right: Array
) -> Int:
    """Write the next pairs of a probe and a row of its bucket, until the batch is full.

    The filter first selects the probes of a block whose key may be present. Memory accesses for
    different selected probes then overlap instead of waiting for each other.

    Args:
        cursor: Probe and row of its bucket at which to resume; updated.
        left, right: Batch of pairs to fill.

    Returns:
        Number of pairs written; 0 when all probes are done.
    """
    ends, rows, sketches, masks = table.ends, table.rows, table.sketches, table.masks
    filter_bits = table.filter_bits
    fine, coarse = hash_shift(64 * len(filter_bits)), hash_shift(len(ends))
    keys = np.empty(BLOCK, np.uint64)
    hits = np.empty(BLOCK, np.int64)
    count = 0
    while cursor[0] < len(probes):
        block = probes[cursor[0] : cursor[0] + BLOCK]
        for i in range(len(block)):
            keys[i] = sketch_key(block[i, 0], block[i, 1], block[i, 2], block[i, 3], masks)
        selected = np.int64(0)
        for i in range(len(block)):
            hits[selected] = i
            bit = keys[i] >> fine
            word = filter_bits[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))
            selected += np.int64(word & np.uint64(1))
        for i in hits[:selected]:
            a, b, c, d = block[i, 0], block[i, 1], block[i, 2], block[i, 3]
            bucket = np.int64(keys[i] >> coarse)
            begin = np.int64(ends[bucket - 1]) if bucket else 0
            end = np.int64(ends[bucket])
            for first in range(max(begin, cursor[1]), end, TILE):
                if count + TILE > len(left):
                    cursor[0], cursor[1] = cursor[0] + i, first
                    return count
                stop, row = min(first + TILE, end), cursor[0] + i
                count = _append(
                    row, a, b, c, d, rows, sketches, first, stop, masks, cut, left, right, count
                )
            cursor[1] = 0
        cursor[0] += len(block)
    return count


@inlined
def _append(
    row: Int,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    rows: Array,
    sketches: Array,
    first: Int,
    stop: Int,
    masks: Array,
    cut: Int,
    left: Array,
    right: Array,
    count: Int,
) -> Int:
    """Append the pairs of a row and the table rows [first, stop), at most `TILE`, to the batch.

    A pair is appended if it is within the cut, and shares the key of this table but of no earlier
    table.

    Args:
        row: Row whose sketch is (a, b, c, d).

    Returns:
        Number of pairs in the batch.
    """
    for other in range(first, stop):
        e, f = a ^ sketches[other, 0], b ^ sketches[other, 1]
        g, h = c ^ sketches[other, 2], d ^ sketches[other, 3]
        apart = np.int64(popcount(e) + popcount(f) + popcount(g) + popcount(h))
        differs = e & masks[0, 0] | f & masks[1, 0] | g & masks[2, 0] | h & masks[3, 0]
        if apart <= cut and differs == 0:
            # No branch here: among many similar rows it is unpredictable, and mispredictions cost
            # more than comparing all keys and overwriting an unwanted pair.
            seen = False
            for k in range(1, masks.shape[1]):
                seen |= e & masks[0, k] | f & masks[1, k] | g & masks[2, k] | h & masks[3, k] == 0
            left[count], right[count] = row, rows[other]
            count += np.int64(not seen)
    return count
