"""Hash table of sketches: rows in buckets by a key, which is a subset of the sketch bits."""

from typing import Any, NamedTuple

import numpy as np

from persona_assets.dedup.kernels.bits import trailing_zeros
from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.semantic.sign_sketches import WORDS, Sketches

SPARSE = 2
"""Binary logarithm of buckets per key; at 4 buckets per key most buckets hold a single key."""

FILTER_BITS = 16
"""Bits per bucket of the filter that rules out absent keys."""

LANES = 8
"""Keys that a processor compares at a time."""


class HashTable(NamedTuple):
    """Rows grouped by the hash of their key; a bucket is a range of hashes.

    Args:
        ends: End of each bucket in `rows` and `sketches`, uint32.
        rows: Rows by bucket, uint32.
        sketches: Sketches of `rows`, uint64.
        filter_bits: Bit set, finer than the buckets, of the hashes present, uint64; empty if the
            table is never probed with other rows.
        masks: Bits of the sketch that form a key, uint64, shape (WORDS, 1 + k). The first column is
            the mask of this table; the others are the masks of all earlier tables, some repeated to
            fill `LANES`.
    """

    ends: Array
    rows: Array
    sketches: Array
    filter_bits: Array
    masks: Array


def bucket_count(rows: int, bits: int) -> int:
    """Return the number of buckets, a power of two, for n rows with keys of `bits` bits."""
    return 1 << (min(bits, rows.bit_length()) + SPARSE)


def empty_table(rows: int, buckets: int, probed: bool) -> HashTable:
    """Allocate a table without masks.

    Args:
        rows: Number of rows that `fill_table` will insert.
        buckets: Number of buckets, a power of two.
        probed: True if other rows will be looked up, which needs the filter.
    """
    return HashTable(
        np.empty(buckets, np.uint32),
        np.empty(rows, np.uint32),
        np.empty((rows, WORDS), np.uint64),
        np.empty(buckets * FILTER_BITS // 64 if probed else 0, np.uint64),
        np.empty((WORDS, 0), np.uint64),
    )


def table_masks(masks: Sketches, table: int) -> Array:
    """Return `HashTable.masks` of table number `table`.

    Args:
        masks: Key mask of each table, as `key_masks` returns them.
        table: Number of the table.
    """
    earlier = np.resize(masks[:table], (-(-table // LANES) * LANES, WORDS))
    return np.ascontiguousarray(np.concatenate([masks[[table]], earlier]).T)


@inlined
def sketch_key(a: Any, b: Any, c: Any, d: Any, masks: Array) -> Any:
    """Hash the key of a sketch, given as four words; the highest bits are mixed best."""
    return (
        (a & masks[0, 0]) * np.uint64(0x9E3779B97F4A7C15)
        + (b & masks[1, 0]) * np.uint64(0xD1B54A32D192ED03)
        + (c & masks[2, 0]) * np.uint64(0xAEF17502108EF2D9)
        + (d & masks[3, 0]) * np.uint64(0xF1357AEA2E62A9C5)
    )


@inlined
def hash_shift(count: Int) -> Int:
    """Return the right shift that maps a hash to a number below `count`, a power of two."""
    return np.uint64(64 - trailing_zeros(np.uint64(count)))


@kernel
def fill_table(sketches: Array, bucket: Array, table: HashTable) -> None:
    """Insert all rows by counting sort, except zero vectors, whose sketch is zero.

    Args:
        sketches: Sketch of each row.
        bucket: Scratch memory, uint32, an element per row.
        table: Table with masks, whose other arrays are overwritten.
    """
    ends, rows, ordered, filter_bits = table.ends, table.rows, table.sketches, table.filter_bits
    masks = table.masks
    ends[:] = 0
    filter_bits[:] = 0
    filtered = len(filter_bits) > 0
    fine, coarse = hash_shift(64 * len(filter_bits)), hash_shift(len(ends))
    for i in range(len(sketches)):
        a, b, c, d = sketches[i, 0], sketches[i, 1], sketches[i, 2], sketches[i, 3]
        if a | b | c | d:
            key = sketch_key(a, b, c, d, masks)
            if filtered:
                bit = key >> fine
                word = np.int64(bit >> np.uint64(6))
                filter_bits[word] |= np.uint64(1) << (bit & np.uint64(63))
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
