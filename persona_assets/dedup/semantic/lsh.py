"""Pairs of sketches that are near each other, by hash tables: locality-sensitive hashing.

A table takes some of a sketch's bits as a key and compares only rows of one key (Indyk, Motwani:
Approximate nearest neighbors, STOC 1998); several tables with other bits find what one of them
misses.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from persona_assets.dedup.edges import Rows
from persona_assets.dedup.kernels.bits import popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, frozen, inlined, kernel
from persona_assets.dedup.semantic.hash_table import (
    HashTable,
    buckets_for,
    fill,
    masks_of,
    room_for,
    shift_for,
    sketch_key,
)
from persona_assets.dedup.semantic.sign_sketches import Parameters, Sketches, key_masks

BLOCK = 512  # rows at a time, so that what is made of them stays in the cache
TILE = 256  # rows of a bucket that others are compared with, for the same reason
STREAM = 1 << 18  # rows that all tables see before the next ones are read
BATCH = 1 << 16  # pairs
ROOM = 1 << 27  # bytes


def near_sketches(
    parameters: Parameters, tables: Sequence[int], new: Sketches, old: Sketches
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs within the cut that share a key in one of `tables` and in no table before that one.

    They come in batches of two int64 columns, good until the next batch is asked for. Rows of `old`
    are numbered first, those of `new` behind them; the second row of a pair is new. A table of the
    new rows takes about 50 bytes a row; with old rows, which are read but once then, there are as
    many tables at a time as `ROOM` holds.
    """
    masks, cut = key_masks(parameters), parameters.cut
    buckets = buckets_for(len(new), parameters.bits)
    most = ROOM // (8 * buckets + 36 * len(new))
    together = max(1, min(len(tables), most)) if len(old) else 1
    rooms = [room_for(len(new), buckets, len(old) > 0) for _ in range(together)]
    scratch = np.empty(len(new), np.uint32)
    left, right = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    cursor = np.empty(3, np.int64)
    for first in range(0, len(tables), together):
        group = [
            room._replace(masks=masks_of(masks, number))
            for room, number in zip(rooms, tables[first : first + together], strict=False)
        ]
        for table in group:
            fill(frozen(new), scratch, table)
            cursor[:] = 0
            while count := _among(table, cut, cursor, left, right):
                left[:count] += len(old)
                right[:count] += len(old)
                yield left[:count], right[:count]
        for start in range(0, len(old), STREAM):
            block = frozen(old[start : start + STREAM])
            for table in group:
                cursor[:] = 0
                while count := _against(block, table, cut, cursor, left, right):
                    left[:count] += start
                    right[:count] += len(old)
                    yield left[:count], right[:count]


@kernel
def _among(table: HashTable, cut: Int, cursor: Array, left: Array, right: Array) -> Int:
    """Pairs of rows of one bucket from `cursor` on, as many as there is room for.

    A bucket of many rows is taken in tiles: those stay in the cache, also for who decides on the
    pairs.
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
def _against(
    probes: Array, table: HashTable, cut: Int, cursor: Array, left: Array, right: Array
) -> Int:
    """Pairs of a probe and a row of its bucket from `cursor` on, as many as there is room for.

    The probes whose bucket may have their key are picked out first, a block at a time: what is
    fetched for one of them then does not wait for what is fetched for another.
    """
    ends, rows, sketches, masks = table.ends, table.rows, table.sketches, table.masks
    taken = table.taken
    fine, coarse = shift_for(64 * len(taken)), shift_for(len(ends))
    keys = np.empty(BLOCK, np.uint64)
    hits = np.empty(BLOCK, np.int64)
    count = 0
    while cursor[0] < len(probes):
        block = probes[cursor[0] : cursor[0] + BLOCK]
        for i in range(len(block)):
            keys[i] = sketch_key(block[i, 0], block[i, 1], block[i, 2], block[i, 3], masks)
        picked = np.int64(0)
        for i in range(len(block)):
            hits[picked] = i
            bit = keys[i] >> fine
            word = taken[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))
            picked += np.int64(word & np.uint64(1))
        for i in hits[:picked]:
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
    """Pairs of a row with this sketch and those from `first` to `stop`, at most `TILE`.

    They are those within the cut that have the same key, and had the same in no table before.
    """
    for other in range(first, stop):
        e, f = a ^ sketches[other, 0], b ^ sketches[other, 1]
        g, h = c ^ sketches[other, 2], d ^ sketches[other, 3]
        apart = np.int64(popcount(e) + popcount(f) + popcount(g) + popcount(h))
        differs = e & masks[0, 0] | f & masks[1, 0] | g & masks[2, 0] | h & masks[3, 0]
        if apart <= cut and differs == 0:
            # No branch on what no processor foretells: where many are near each other it costs more
            # than to compare all keys and to write what is not wanted.
            met = False
            for k in range(1, masks.shape[1]):
                met |= e & masks[0, k] | f & masks[1, k] | g & masks[2, k] | h & masks[3, k] == 0
            left[count], right[count] = row, rows[other]
            count += np.int64(not met)
    return count
