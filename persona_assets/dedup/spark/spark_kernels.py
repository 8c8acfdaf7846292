"""The kernels of the join on Spark: word sets as text, their tags, and entries of keys and tags.

What belongs here is numba alone, over arrays: `tasks` gives them the record batches.
"""

import numpy as np

from persona_assets.dedup.kernels.bits import load64, mix64, popcount, store64
from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.lexical.partenum import CLASS_MASK, Scheme, class_range, key_count
from persona_assets.dedup.text.shared_words import unpack_place
from persona_assets.dedup.text.word_hashes import split_words

PARITY = 40
"""Bits of a tag in which two sets differ in at most as many as in words; the rest is a hash."""


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
    """The words of each canonical text, each once and in one order; its tag; how many keys it has.

    Set i becomes `text[ends[i]:ends[i + 1]]`: words by hash, and those of one hash by their bytes.
    """
    hashes, places = words[0], words[1]
    parts_of = scheme.parts
    at = np.int64(0)
    for row in range(len(offsets) - 1):
        count = split_words(canonical, offsets[row], offsets[row + 1], words)
        parity, content = np.uint64(0), np.uint64(0)
        for i in range(count):
            # The words of a long text already ascend by hash: few are moved far.
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
    """Whether word i comes before the one in front of it: by hash, then by bytes."""
    if hashes[i] != hashes[i - 1]:
        return bool(hashes[i] < hashes[i - 1])
    (one, width), (other, other_width) = unpack_place(places[i]), unpack_place(places[i - 1])
    for k in range(min(width, other_width)):
        if canonical[one + k] != canonical[other + k]:
            return bool(canonical[one + k] < canonical[other + k])
    return bool(width < other_width)


@kernel
def compare_entries(
    keys: Array, tags: Array, stops: Array, parts: Array, first: Int, out: Array, counted: Array
) -> Int:
    """Candidates among entries from `first` on: entry i is compared with those before `stops[i]`.

    Two sets that differ in k words have tags that differ in at most k bits of parity. Returns the
    first entry for whose candidates `out`, of shape (2, capacity), has no room.
    """
    ones, twos = out[0], out[1]
    written = 0
    counted[0] = 0
    for i in range(first, len(keys)):
        tag = tags[i]
        most = parts[np.int64(keys[i] & np.uint64(CLASS_MASK))] - 1
        for j in range(i + 1, stops[i]):
            if np.int64(popcount((tag ^ tags[j]) >> np.uint64(64 - PARITY))) <= most:
                if written == len(ones):
                    return i
                ones[written], twos[written] = min(tag, tags[j]), max(tag, tags[j])
                written += 1
        counted[0] = written
    return len(keys)
