"""Texts with the same set of words: they are found first, and stand for one set from then on.

Whatever is similar to one of them is as similar to all, so a million repeats of a text are a
million rows of one set, and not 5e11 pairs.
"""

import numpy as np

from persona_assets.dedup.join import Sets, words_of
from persona_assets.dedup.kernels import Array, Int, inlined, kernel, mix64
from persona_assets.dedup.partenum import scratch_for
from persona_assets.dedup.tokens import shared_words


def set_numbers(sets: Sets) -> Array:
    """The set of each new row, int64: a known one's number, or `known + row` of its first row."""
    known, rows = len(sets.sizes), len(sets.new_sizes)
    numbers = np.arange(known, known + rows, dtype=np.int64)
    # The known sets are all looked up: the more room, the fewer meet another set's row.
    room = 8 if known > rows else 2
    table = np.full(1 << max(4, (room * rows).bit_length()), -1, np.int32)
    canonical, words, _ = scratch_for(sets.longest)
    other, other_words, _ = scratch_for(sets.longest)
    _number_rows(sets, numbers, table, canonical, words, other, other_words)
    if known:
        first = numbers - known
        _match_known(sets, numbers, table, canonical, words, other, other_words)
        numbers = numbers[first]
    return numbers


@kernel
def _number_rows(
    sets: Sets,
    numbers: Array,
    table: Array,
    canonical: Array,
    words: Array,
    other: Array,
    other_words: Array,
) -> None:
    """`numbers` become those of the first row with the same set; `table` holds these rows."""
    known = len(sets.sizes)
    sizes, bitmaps = sets.new_sizes, sets.new_bitmaps
    for row in range(len(sizes)):
        slot = _slot(bitmaps, row, len(table))
        counted = -1
        while table[slot] >= 0:
            first = table[slot]
            if _alike(sizes, bitmaps, row, sizes, bitmaps, first):
                if counted < 0:
                    counted = words_of(sets, known + row, canonical, words)
                if _same(sets, known + first, canonical, words, counted, other, other_words):
                    numbers[row] = known + first
                    break
            slot = (slot + 1) & (len(table) - 1)
        if table[slot] < 0:
            table[slot] = row


@kernel
def _match_known(
    sets: Sets,
    numbers: Array,
    table: Array,
    canonical: Array,
    words: Array,
    other: Array,
    other_words: Array,
) -> None:
    """First rows in `table` whose set is known get its number."""
    known = len(sets.sizes)
    sizes, bitmaps = sets.sizes, sets.bitmaps
    new_sizes, new_bitmaps = sets.new_sizes, sets.new_bitmaps
    for item in range(known):
        slot = _slot(bitmaps, item, len(table))
        counted = -1
        while table[slot] >= 0:
            first = table[slot]
            if numbers[first] >= known and _alike(
                sizes, bitmaps, item, new_sizes, new_bitmaps, first
            ):
                if counted < 0:
                    counted = words_of(sets, item, canonical, words)
                if _same(sets, known + first, canonical, words, counted, other, other_words):
                    numbers[first] = item
                    break
            slot = (slot + 1) & (len(table) - 1)


@inlined
def _slot(bitmaps: Array, item: Int, capacity: Int) -> Int:
    content = bitmaps[item, 0] ^ mix64(bitmaps[item, 1])
    return np.int64(mix64(content) >> np.uint64(1)) & (capacity - 1)


@inlined
def _alike(
    sizes: Array, bitmaps: Array, item: Int, other_sizes: Array, other_bitmaps: Array, other: Int
) -> bool:
    return bool(
        sizes[item] == other_sizes[other]
        and bitmaps[item, 0] == other_bitmaps[other, 0]
        and bitmaps[item, 1] == other_bitmaps[other, 1]
    )


@kernel
def _same(
    sets: Sets,
    item: Int,
    canonical: Array,
    words: Array,
    counted: Int,
    other: Array,
    other_words: Array,
) -> bool:
    """Whether a set has exactly the `counted` words in `words`."""
    count = words_of(sets, item, other, other_words)
    shared = shared_words(canonical, words, counted, other, other_words, count)
    return bool(count == counted == shared)
