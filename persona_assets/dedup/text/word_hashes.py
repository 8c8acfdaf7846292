"""Word sets of canonical texts: a 64-bit hash of each distinct word.

A word of at most eight bytes shares its hash with no other word. Two longer words share a hash by
chance of 2^-56, or by intent. Such a collision only costs time: wherever a decision depends on it,
bytes are compared.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from persona_assets.dedup.kernels.bits import load64, mix64, popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, frozen, inlined, kernel
from persona_assets.dedup.kernels.simd_bytes import BLOCK_BYTES, non_space_mask
from persona_assets.dedup.kernels.simd_u64 import (
    LANES,
    broadcast,
    gather,
    load_bytes,
    load_strided,
    select_lanes,
    store,
)
from persona_assets.dedup.text.folding import fold_texts, text_buffers
from persona_assets.dedup.text.runs import CHUNK_BYTES, split_runs
from persona_assets.dedup.text.shared_words import drop_repeated_words, unpack_place

_FIRST_MULTIPLIER, _SECOND_MULTIPLIER = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd multipliers: multiplication by an odd number modulo 2^64 is invertible."""

_ROWS = 1 << 12
"""Largest number of rows that are hashed at a time."""

_BIT_POSITIONS = frozen(
    np.argsort(
        np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little") == 0,
        axis=1,
        kind="stable",
    )
    .astype(np.uint8)
    .ravel()
)
"""Eight bit positions for each byte value: the set bits, ascending, then the clear bits."""


@kernel
def split_words(canonical: Array, start: Int, stop: Int, words: Array) -> Int:
    """Find the distinct words of a canonical text and return their number.

    Args:
        canonical: Canonical text of less than 4 GiB, uint8, readable `PADDING` bytes beyond `stop`.
        start: First byte of the text.
        stop: End of the text.
        words: Output of shape `empty_words(stop - start).shape`: hashes in the first row, places in
            the second (see `unpack_place`). The words of a text of more than 64 words, repeats
            included, ascend by hash; other words are in no particular order.
    """
    hashes, places = words[0], words[1]
    count = _find_bounds(canonical, start, stop, places)
    wide_words, long_words = np.uint64(0), np.uint64(0)
    for i in range(0, count, LANES):
        starts = load_strided(places, 2 * i)
        widths = load_strided(places, 2 * i + 1) - starts
        first, second = gather(canonical, starts)
        # Shift the bytes behind the word out of its last eight bytes or fewer.
        excess_bits = (np.uint64(8) - widths & np.uint64(7)) << np.uint64(3)
        is_wide = widths > np.uint64(8)
        first = _clear_high_bits(first, select_lanes(widths < np.uint64(8), excess_bits))
        second = select_lanes(
            is_wide, _clear_high_bits(second, select_lanes(widths < np.uint64(16), excess_bits))
        )
        second = second * np.uint64(_SECOND_MULTIPLIER)
        # The lowest byte of the mixer's input is never 0 for a word of at most eight bytes, since
        # the word's first byte is not 0, and always 0 for a longer word.
        value = first * np.uint64(_FIRST_MULTIPLIER) ^ second ^ second >> np.uint64(32)
        store(hashes, i, mix64(value ^ select_lanes(is_wide, value & np.uint64(0xFF))))
        # Places overwrite bounds that are not read again.
        store(places, i, starts << np.uint64(32) | widths)
        wide_words |= is_wide << np.uint64(i & 63)
        long_words |= widths > np.uint64(16)
    if long_words:
        _hash_long_words(canonical, hashes, places, count)
    return drop_repeated_words(canonical, hashes, places, count, wide_words)


@inlined
def _find_bounds(canonical: Array, start: Int, stop: Int, bounds: Array) -> Int:
    """Write each word's start and end, in turn, into `bounds`; return the number of words."""
    count = np.int64(0)
    inside = np.uint64(0)
    for block in range(start, stop, BLOCK_BYTES):
        in_word = non_space_mask(canonical, block)
        if block + BLOCK_BYTES > stop:
            in_word &= (np.uint64(1) << np.uint64(stop - block)) - np.uint64(1)
        boundaries = in_word ^ (in_word << np.uint64(1) | inside)
        inside = in_word >> np.uint64(BLOCK_BYTES - 1)
        for byte in range(BLOCK_BYTES // 8):
            # Without a branch: the number of words in a block is unpredictable.
            byte_boundaries = boundaries >> np.uint64(8 * byte) & np.uint64(0xFF)
            bits = load_bytes(_BIT_POSITIONS, np.uint64(8) * byte_boundaries)
            store(bounds, count, bits + np.uint64(block + 8 * byte))
            count += np.int64(popcount(byte_boundaries))
    if inside:
        bounds[count] = stop
        count += 1
    # Padding: the lanes behind the last word read words of width 0 within the text.
    store(bounds, count, broadcast(np.uint64(start)))
    store(bounds, count + LANES, broadcast(np.uint64(start)))
    return count >> 1


@inlined
def _clear_high_bits(value: Int, bits: Int) -> Int:
    """Clear the `bits` highest bits of `value`."""
    return value << bits >> bits


@kernel
def _hash_long_words(canonical: Array, hashes: Array, places: Array, count: Int) -> None:
    """Hash the words of more than 16 bytes."""
    for i in range(count):
        start, width = unpack_place(places[i])
        if width <= 16:
            continue
        # The last eight bytes overlap the bytes before them; the hashed width fixes the overlap.
        hashed = np.uint64(width)
        while width > 8:
            hashed = mix64(hashed ^ load64(canonical, start)) * np.uint64(_FIRST_MULTIPLIER)
            start += 8
            width -= 8
        last = load64(canonical, start + width - 8)
        hashes[i] = mix64((hashed ^ last) * np.uint64(_SECOND_MULTIPLIER) & ~np.uint64(0xFF))


@allocating
def empty_words(length: Int) -> Array:
    """Allocate the output of `split_words` for a canonical text of at most `length` bytes."""
    return np.empty((2, 2 * max_words(length) + 3 * LANES), np.uint64)


@kernel
def max_words(length: Int) -> Int:
    """Return the largest number of words that a canonical text of `length` bytes can hold."""
    return length // 2 + 1


def word_hashes(texts: "Sequence[str] | pa.Array | pa.ChunkedArray") -> tuple[Array, Array]:
    """Return the word hashes of each text; equal words have equal hashes in every text and run.

    Returns:
        `(hashes, offsets)`, uint64 and int64 of shape (n + 1,): the distinct words of text i are
        `hashes[offsets[i]:offsets[i + 1]]`, in no particular order.

    Raises:
        TypeError, ValueError: See `text_buffers`.
    """
    buffers = text_buffers(texts)
    counts = np.zeros(len(buffers) + 1, np.int64)
    pieces = [np.empty(0, np.uint64)]
    for start, stop in split_runs(buffers.offsets, _ROWS, CHUNK_BYTES):
        data, ends = folded = fold_texts(buffers, np.arange(start, stop))
        hashes = np.empty(int(max_words(ends[-1])) + len(ends), np.uint64)
        count = _hash_rows(data, ends, empty_words(folded.longest()), hashes, counts[start + 1 :])
        pieces.append(hashes[:count].copy())
    return np.concatenate(pieces), np.cumsum(counts)


@kernel
def _hash_rows(data: Array, ends: Array, words: Array, hashes: Array, counts: Array) -> Int:
    """Write the hashes and the number of words of each text; return the number of hashes."""
    at = 0
    for row in range(len(ends) - 1):
        count = split_words(data, ends[row], ends[row + 1], words)
        for j in range(count):
            hashes[at + j] = words[0, j]
        counts[row] = count
        at += count
    return at
