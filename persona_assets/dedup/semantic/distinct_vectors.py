"""Distinct vectors: rows whose vectors are the same in half precision are one item."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.kernels.bits import mix64
from persona_assets.dedup.kernels.compile import Array, allocating, frozen, kernel
from persona_assets.dedup.semantic.half_precision import Halves, as_bits
from persona_assets.dedup.semantic.sign_sketches import WORDS, Sketches


class DistinctVectors(NamedTuple):
    """Distinct vectors of length 1 (n, d), their hashes (n,) and sketches (n, 4)."""

    units: Halves
    hashes: npt.NDArray[np.uint64]
    sketches: Sketches


def no_vectors(dimensions: int) -> DistinctVectors:
    """No items."""
    return DistinctVectors(
        np.empty((0, dimensions), np.float16),
        np.empty(0, np.uint64),
        np.empty((0, WORDS), np.uint64),
    )


def number_vectors(
    units: Halves, old: DistinctVectors
) -> tuple[npt.NDArray[np.int64], DistinctVectors]:
    """The item of each row, `old` ones first, and the new ones in order of appearance.

    Each zero vector is an item of its own. New items have no sketches yet, only room for them.
    """
    hashes = np.empty(len(units), np.uint64)
    numbers, fresh = np.empty(len(units), np.int64), np.empty(len(units), np.int64)
    table = np.full(1 << (4 * len(units)).bit_length(), -1, np.int64)
    _hash(as_bits(units), hashes)
    known = as_bits(old.units), frozen(old.hashes)
    count = _number(as_bits(units), hashes, *known, table, numbers, fresh)
    if count < len(units):
        units, hashes = units[fresh[:count]], hashes[fresh[:count]]
    return numbers, DistinctVectors(units, hashes, np.zeros((count, WORDS), np.uint64))


@kernel
def _hash(units: Array, hashes: Array) -> None:
    """A hash of each row of bits: 0 for a row of zeros, and for no other."""
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
def _number(
    units: Array,
    hashes: Array,
    old_units: Array,
    old_hashes: Array,
    table: Array,
    numbers: Array,
    fresh: Array,
) -> int:
    """The item of each row: an old one, or a new one for the first row with its vector.

    `fresh` gets these rows; returns how many they are. `table` is full of -1, with room for twice
    the rows and more, and a power of two long.
    """
    mask = len(table) - 1
    for row in range(len(units)):
        numbers[row] = row
        if hashes[row]:
            slot = np.int64(hashes[row] >> np.uint64(1)) & mask
            while table[slot] >= 0:
                first = table[slot]
                if hashes[first] == hashes[row] and _same(units, first, units, row):
                    numbers[row] = first
                    break
                slot = (slot + 1) & mask
            if table[slot] < 0:
                table[slot] = row
    known = np.full(len(units), -1, np.int64)
    for item in range(len(old_hashes)):
        if old_hashes[item]:
            slot = np.int64(old_hashes[item] >> np.uint64(1)) & mask
            while table[slot] >= 0:
                first = table[slot]
                if hashes[first] == old_hashes[item] and _same(units, first, old_units, item):
                    known[first] = item
                    break
                slot = (slot + 1) & mask
    count = 0
    for row in range(len(units)):
        first = numbers[row]
        if known[first] < 0:
            known[first] = len(old_hashes) + count
            fresh[count] = row
            count += 1
        numbers[row] = known[first]
    return count


@kernel
def _same(a: Array, i: int, b: Array, j: int) -> bool:
    for k in range(a.shape[1]):  # noqa: SIM110
        if a[i, k] != b[j, k]:
            return False
    return True
