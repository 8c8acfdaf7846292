"""Kernels of the join on Spark: word sets as text, their tags, and entries of keys and tags.

Belongs here: numba kernels over arrays. Does not belong here: record batches, which
`arrow_tasks.py` converts to arrays.
"""

import numpy as np

from persona_assets.dedup.kernels.bits import load64, mix64, popcount, store64
from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.lexical.partenum import CLASS_MASK, Scheme, class_range, key_count
from persona_assets.dedup.text.shared_words import unpack_place
from persona_assets.dedup.text.word_hashes import split_words

PARITY = 40
"""Parity bits of a tag: two sets that differ in k words differ in at most k of them. The remaining
bits are a hash."""


@kernel
def write_sets(
    canonical: Array,
    offsets: Array,
    words: Array,
    scheme: Scheme,
    text: Array,
    ends: Array,
    tags: Array,
    keys: Array,
) -> None:
    """Write the word set of each canonical text, its tag and the number of its keys.

    Words are ordered by hash, and words with equal hashes by their bytes.

    Args:
        canonical, offsets: Canonical texts.
        words: Scratch memory for the words of the longest text.
        scheme: Scheme of the keys.
        text, ends: On return, set i is `text[ends[i] : ends[i + 1]]`.
        tags: On return, tag of each set.
        keys: On return, number of keys of each set.
    """
    hashes, places = words[0], words[1]
    parts_of = scheme.parts
    at = np.int64(0)
    for row in range(len(offsets) - 1):
        count = split_words(canonical, offsets[row], offsets[row + 1], words)
        parity, content = np.uint64(0), np.uint64(0)
        for i in range(count):
            # Insertion sort: words of a long text are almost sorted by hash already.
            j = i
            while j > 0 and _before(canonical, hashes, places, j):
                hashes[j], hashes[j - 1] = hashes[j - 1], hashes[j]
                places[j], places[j - 1] = places[j - 1], places[j]
                j -= 1
        for i in range(count):
            bit = ((hashes[i] & np.uint64(0xFFFFFFFF)) * np.uint64(PARITY)) >> np.uint64(32)
            parity ^= np.uint64(1) << bit
            content += mix64(hashes[i])
        for i in range(count):
            if i > 0:
                text[at] = 0x20
                at += 1
            start, width = unpack_place(places[i])
            for k in range(0, width, 8):
                store64(text, at + k, load64(canonical, start + k))
            at += width
        ends[row + 1] = at
        tags[row] = parity << np.uint64(64 - PARITY) | mix64(content) >> np.uint64(PARITY)
        first, last = class_range(scheme, count)
        keys[row] = key_count(parts_of, first, last)


@inlined
def _before(canonical: Array, hashes: Array, places: Array, i: Int) -> bool:
    """Return True if word i sorts before word i - 1: by hash, then by bytes."""
    if hashes[i] != hashes[i - 1]:
        return bool(hashes[i] < hashes[i - 1])
    (start, width), (other, other_width) = unpack_place(places[i]), unpack_place(places[i - 1])
    for k in range(min(width, other_width)):
        if canonical[start + k] != canonical[other + k]:
            return bool(canonical[start + k] < canonical[other + k])
    return bool(width < other_width)


@kernel
def compare_entries(
    keys: Array, tags: Array, stops: Array, parts: Array, first: Int, out: Array, counted: Array
) -> Int:
    """Write the candidate pairs of entries from `first` on, until `out` is full.

    Entry i is compared with the entries from i + 1 to `stops[i]`. Tags of sets that differ in k
    words differ in at most k parity bits.

    Args:
        out: On return, lower and higher tag of each pair, shape (2, capacity).
        counted: On return, number of pairs in `out`.

    Returns:
        The first entry whose pairs did not fit into `out`.
    """
    lower, higher = out[0], out[1]
    written = 0
    counted[0] = 0
    for i in range(first, len(keys)):
        tag = tags[i]
        max_distance = parts[np.int64(keys[i] & np.uint64(CLASS_MASK))] - 1
        for j in range(i + 1, stops[i]):
            if np.int64(popcount((tag ^ tags[j]) >> np.uint64(64 - PARITY))) <= max_distance:
                if written == len(lower):
                    return i
                lower[written], higher[written] = min(tag, tags[j]), max(tag, tags[j])
                written += 1
        counted[0] = written
    return len(keys)
