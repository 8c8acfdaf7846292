"""Canonical text as a set of words: 64-bit hashes, each word once.

A word of at most eight bytes shares its hash with no other. Two longer ones share theirs by chance
of 2^-56, or on purpose, which only costs time: where a decision depends on it bytes are compared.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from persona_assets.dedup.kernels.bits import load64, mix64, popcount
from persona_assets.dedup.kernels.compile import Array, Int, allocating, frozen, inlined, kernel
from persona_assets.dedup.kernels.radix_partition import CHUNK, split_runs
from persona_assets.dedup.kernels.simd_bytes import BYTES, letters
from persona_assets.dedup.kernels.simd_u64 import (
    LANES,
    chosen,
    every_other,
    gather,
    lanes,
    load_bytes,
    store,
)
from persona_assets.dedup.text.folding import fold_texts, text_buffers
from persona_assets.dedup.text.shared_words import drop_repeated_words, place_of

_FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd, so that to multiply by one of them loses nothing."""
_ROWS = 1 << 12
_BITS = frozen(
    np.argsort(
        np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little") == 0,
        axis=1,
        kind="stable",
    )
    .astype(np.uint8)
    .ravel()
)
"""For each byte eight numbers: which of its bits are set, ascending; then the others."""


@kernel
def split_words(canonical: Array, start: Int, stop: Int, words: Array) -> Int:
    """Finds the words of canonical text, each once; returns how many.

    `words` is what `words_for(stop - start)` makes: its first row gets the hashes, its second the
    places, see `overlap.place_of`. Where a text has more than 64 words, repeats and all, they
    ascend by hash. `canonical` is below 4 GiB and can be read `folding.ROOM` bytes beyond `stop`.
    """
    hashes, places = words[0], words[1]
    count = _find(canonical, start, stop, places)
    wide, longer = np.uint64(0), np.uint64(0)
    for i in range(0, count, LANES):
        begin = every_other(places, 2 * i)
        width = every_other(places, 2 * i + 1) - begin
        first, second = gather(canonical, begin)
        # Bytes behind a word are shifted out of its last eight or fewer.
        behind = (np.uint64(8) - width & np.uint64(7)) << np.uint64(3)
        more = width > np.uint64(8)
        first = _without(first, chosen(width < np.uint64(8), behind))
        second = chosen(more, _without(second, chosen(width < np.uint64(16), behind)))
        second = second * np.uint64(_SECOND)
        # What is mixed is never 0 in its lowest byte for a word of eight bytes or fewer, since its
        # first byte is not, and always for a longer one.
        value = first * np.uint64(_FIRST) ^ second ^ second >> np.uint64(32)
        store(hashes, i, mix64(value ^ chosen(more, value & np.uint64(0xFF))))
        # In place: of the bounds only later ones are read again.
        store(places, i, begin << np.uint64(32) | width)
        wide |= more << np.uint64(i & 63)
        longer |= width > np.uint64(16)
    if longer:
        _hash_longer(canonical, hashes, places, count)
    return drop_repeated_words(canonical, hashes, places, count, wide)


@inlined
def _find(canonical: Array, start: Int, stop: Int, bounds: Array) -> Int:
    """Where each word begins and ends, in turn, into `bounds`; returns how many words there are."""
    count = np.int64(0)
    inside = np.uint64(0)
    for block in range(start, stop, BYTES):
        found = letters(canonical, block)
        if block + BYTES > stop:
            found &= (np.uint64(1) << np.uint64(stop - block)) - np.uint64(1)
        changes = found ^ (found << np.uint64(1) | inside)
        inside = found >> np.uint64(BYTES - 1)
        for byte in range(BYTES // 8):
            # Without a branch: how many words there are in a block, no one can foresee.
            some = changes >> np.uint64(8 * byte) & np.uint64(0xFF)
            bits = load_bytes(_BITS, np.uint64(8) * some)
            store(bounds, count, bits + np.uint64(block + 8 * byte))
            count += np.int64(popcount(some))
    if inside:
        bounds[count] = stop
        count += 1
    # What is read beyond the last word lies in the text as well, and has no width.
    store(bounds, count, lanes(np.uint64(start)))
    store(bounds, count + LANES, lanes(np.uint64(start)))
    return count >> 1


@inlined
def _without(value: Int, bits: Int) -> Int:
    """`value` without its highest bits, so many."""
    return value << bits >> bits


@kernel
def _hash_longer(canonical: Array, hashes: Array, places: Array, count: Int) -> None:
    """The hashes of words of more than 16 bytes."""
    for i in range(count):
        at, width = place_of(places[i])
        if width <= 16:
            continue
        # Its last eight bytes overlap those before them, by how much only the width tells.
        value = np.uint64(width)
        while width > 8:
            value = mix64(value ^ load64(canonical, at)) * np.uint64(_FIRST)
            at += 8
            width -= 8
        last = load64(canonical, at + width - 8)
        hashes[i] = mix64((value ^ last) * np.uint64(_SECOND) & ~np.uint64(0xFF))


@allocating
def empty_words(length: Int) -> Array:
    """Room for the words of canonical text of at most `length` bytes: see `split`."""
    return np.empty((2, 2 * most_words(length) + 3 * LANES), np.uint64)


@kernel
def most_words(length: Int) -> Int:
    """The most words that canonical text of `length` bytes can hold."""
    return length // 2 + 1


def word_hashes(texts: "Sequence[str] | pa.Array | pa.ChunkedArray") -> tuple[Array, Array]:
    """(hashes, offsets): the words of text i are `hashes[offsets[i]:offsets[i + 1]]`, in no order.

    uint64 and int64 of shape (n + 1,). Equal words have equal hashes in every text and run.
    """
    found = text_buffers(texts)
    counts = np.zeros(len(found) + 1, np.int64)
    pieces = [np.empty(0, np.uint64)]
    for start, stop in split_runs(found.offsets, _ROWS, CHUNK):
        data, ends = folded = fold_texts(found, np.arange(start, stop))
        hashes = np.empty(int(most_words(ends[-1])) + len(ends), np.uint64)
        count = _hash_rows(data, ends, empty_words(folded.longest()), hashes, counts[start + 1 :])
        pieces.append(hashes[:count].copy())
    return np.concatenate(pieces), np.cumsum(counts)


@kernel
def _hash_rows(data: Array, ends: Array, words: Array, hashes: Array, counts: Array) -> Int:
    """The hashes of each text, and how many it has; returns how many there are in all."""
    at = 0
    for row in range(len(ends) - 1):
        count = split_words(data, ends[row], ends[row + 1], words)
        for j in range(count):
            hashes[at + j] = words[0, j]
        counts[row] = count
        at += count
    return at
