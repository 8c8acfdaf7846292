"""Distinct vectors: rows whose vectors are equal in half precision share an item."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels.bits import mix64
from persona_assets.dedup.kernels.compile import Array, allocating, frozen, kernel
from persona_assets.dedup.semantic.half_precision import Halves, as_bits
from persona_assets.dedup.semantic.sign_sketches import WORDS, Sketches


class DistinctVectors(NamedTuple):
    """Distinct unit vectors with their hashes and sign sketches.

    Args:
        units: Vectors of length 1, float16, shape (n, d).
        hashes: Hash of each vector, uint64, shape (n,); 0 for a zero vector only.
        sketches: Sign sketch of each vector, uint64, shape (n, 4).
    """

    units: Halves
    hashes: npt.NDArray[np.uint64]
    sketches: Sketches


def no_vectors(dimensions: int) -> DistinctVectors:
    """Return an empty `DistinctVectors`."""
    return DistinctVectors(
        np.empty((0, dimensions), np.float16),
        np.empty(0, np.uint64),
        np.empty((0, WORDS), np.uint64),
    )


def number_vectors(
    units: Halves, old: DistinctVectors
) -> tuple[npt.NDArray[np.int64], DistinctVectors]:
    """Map each row to an item: a known vector, or a new vector numbered by first appearance.

    Each zero vector is an item of its own, because it matches nothing.

    Args:
        units: Vectors of length 1, float16, shape (n, d).
        old: Known items, numbered from 0.

    Returns:
        The item of each row, int64, shape (n,), and the new items, whose sketches are zeros for the
        caller to fill.
    """
    hashes = np.empty(len(units), np.uint64)
    items, first_rows = np.empty(len(units), np.int64), np.empty(len(units), np.int64)
    table = np.full(1 << (4 * len(units)).bit_length(), -1, np.int64)
    _hash_rows(as_bits(units), hashes)
    known = as_bits(old.units), frozen(old.hashes)
    count = _number_rows(as_bits(units), hashes, *known, table, items, first_rows)
    if count < len(units):
        units, hashes = units[first_rows[:count]], hashes[first_rows[:count]]
    return items, DistinctVectors(units, hashes, np.zeros((count, WORDS), np.uint64))


@kernel
def _hash_rows(units: Array, hashes: Array) -> None:
    """Hash the bits of each row; the hash is 0 for a row of zeros and for no other row."""
    dimensions = units.shape[1]
    whole = dimensions - dimensions % 4
    for i in range(len(units)):
        total, seen = np.uint64(0), np.uint64(0)
        for k in range(0, whole, 4):
            low = np.uint64(units[i, k]) | np.uint64(units[i, k + 1]) << np.uint64(16)
            high = np.uint64(units[i, k + 2]) | np.uint64(units[i, k + 3]) << np.uint64(16)
            word = low | high << np.uint64(32)
            seen |= word
            total = (total ^ word) * np.uint64(0x9E3779B97F4A7C15)
            total ^= total >> np.uint64(32)
        for k in range(whole, dimensions):
            word = np.uint64(units[i, k])
            seen |= word
            total = (total ^ word) * np.uint64(0x9E3779B97F4A7C15)
            total ^= total >> np.uint64(32)
        hashes[i] = max(mix64(total), np.uint64(1)) if seen else np.uint64(0)


@allocating
def _number_rows(
    units: Array,
    hashes: Array,
    old_units: Array,
    old_hashes: Array,
    table: Array,
    items: Array,
    first_rows: Array,
) -> int:
    """Number the rows by a hash table with linear probing; return the number of new items.

    Args:
        table: Filled with -1; its length is a power of two, and more than twice the rows.
        items: On return, the item of each row.
        first_rows: On return, the first row of each new item.
    """
    mask = len(table) - 1
    for row in range(len(units)):
        items[row] = row
        if hashes[row]:
            slot = np.int64(hashes[row] >> np.uint64(1)) & mask
            while table[slot] >= 0:
                first = table[slot]
                if hashes[first] == hashes[row] and _equal(units, first, units, row):
                    items[row] = first
                    break
                slot = (slot + 1) & mask
            if table[slot] < 0:
                table[slot] = row
    item_of = np.full(len(units), -1, np.int64)
    for item in range(len(old_hashes)):
        if old_hashes[item]:
            slot = np.int64(old_hashes[item] >> np.uint64(1)) & mask
            while table[slot] >= 0:
                first = table[slot]
                if hashes[first] == old_hashes[item] and _equal(units, first, old_units, item):
                    item_of[first] = item
                    break
                slot = (slot + 1) & mask
    count = 0
    for row in range(len(units)):
        first = items[row]
        if item_of[first] < 0:
            item_of[first] = len(old_hashes) + count
            first_rows[count] = row
            count += 1
        items[row] = item_of[first]
    return count


@kernel
def _equal(a: Array, i: int, b: Array, j: int) -> bool:
    """Return True if row i of `a` equals row j of `b`."""
    for k in range(a.shape[1]):  # noqa: SIM110
        if a[i, k] != b[j, k]:
            return False
    return True
