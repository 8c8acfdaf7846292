"""A hash table: rows in buckets, by some bits of their sketches, the key."""

from typing import Any, NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import trailing_zeros
from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.semantic.sign_sketches import WORDS, Sketches

SPARSE = 2  # doublings of the buckets: most hold one key
FINER = 16  # bits a bucket that tell whether a key may be there
LANES = 8  # keys that a processor compares at a time


class HashTable(NamedTuple):
    """Rows by the hash of their key, a bucket being a range of hashes.

    `ends` (uint32) says where each bucket ends in `rows` (uint32) and in `sketches`, which are
    those of the rows. `taken` has a bit for each hash, finer than the buckets; it is empty if no
    other rows will come. `masks` are the bits that make up keys, word by word: in the first column
    those of this table, behind it those of the tables before, some twice to fill `LANES`.
    """

    ends: Array
    rows: Array
    sketches: Array
    taken: Array
    masks: Array


def buckets_for(rows: int, bits: int) -> int:
    """How many buckets there are for keys of so many bits."""
    return 1 << (min(bits, rows.bit_length()) + SPARSE)


def room_for(rows: int, buckets: int, others: bool) -> HashTable:
    """A table to be filled, if for `others` one that tells quickly that no row has their key."""
    return HashTable(
        np.empty(buckets, np.uint32),
        np.empty(rows, np.uint32),
        np.empty((rows, WORDS), np.uint64),
        np.empty(buckets * FINER // 64 if others else 0, np.uint64),
        np.empty((WORDS, 0), np.uint64),
    )


def masks_of(masks: Sketches, table: int) -> Array:
    """`HashTable.masks` of a table, of the masks of all."""
    before = np.resize(masks[:table], (-(-table // LANES) * LANES, WORDS))
    return np.ascontiguousarray(np.concatenate([masks[[table]], before]).T)


@inlined
def sketch_key(a: Any, b: Any, c: Any, d: Any, masks: Array) -> Any:
    """A hash of the key of a sketch; the highest bits are the best ones."""
    return (
        (a & masks[0, 0]) * np.uint64(0x9E3779B97F4A7C15)
        + (b & masks[1, 0]) * np.uint64(0xD1B54A32D192ED03)
        + (c & masks[2, 0]) * np.uint64(0xAEF17502108EF2D9)
        + (d & masks[3, 0]) * np.uint64(0xF1357AEA2E62A9C5)
    )


@inlined
def shift_for(count: Int) -> Int:
    """By how much a hash is shifted to be a number below `count`, a power of two."""
    return np.uint64(64 - trailing_zeros(np.uint64(count)))


@kernel
def fill(sketches: Array, bucket: Array, table: HashTable) -> None:
    """Puts all rows in; `bucket` (uint32, one a row) is scratch.

    Zero vectors, whose sketch is zero, are left out.
    """
    ends, rows, ordered, taken = table.ends, table.rows, table.sketches, table.taken
    masks = table.masks
    ends[:] = 0
    taken[:] = 0
    marked = len(taken) > 0
    fine, coarse = shift_for(64 * len(taken)), shift_for(len(ends))
    for i in range(len(sketches)):
        a, b, c, d = sketches[i, 0], sketches[i, 1], sketches[i, 2], sketches[i, 3]
        if a | b | c | d:
            key = sketch_key(a, b, c, d, masks)
            if marked:
                bit = key >> fine
                taken[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))
            bucket[i] = key >> coarse
            ends[bucket[i]] += 1
        else:
            bucket[i] = len(ends)
    total = 0
    for k in range(len(ends)):
        count = ends[k]
        ends[k] = total
        total += count
    for i in range(len(sketches)):
        if bucket[i] < len(ends):
            at = ends[bucket[i]]
            ends[bucket[i]] = at + 1
            rows[at] = i
    for at in range(total):
        i = int(rows[at])
        a, b, c, d = sketches[i, 0], sketches[i, 1], sketches[i, 2], sketches[i, 3]
        ordered[at, 0], ordered[at, 1], ordered[at, 2], ordered[at, 3] = a, b, c, d
