"""Texts with the same set of words: they are found first, and stand for one set from then on.

Whatever is similar to one of them is as similar to all, so a million repeats of a text are a
million rows of one set, and not 5e11 pairs.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.join import Sets, words_of
from persona_assets.dedup.kernels import Array, Int, inlined, kernel, mix64
from persona_assets.dedup.partenum import scratch_for
from persona_assets.dedup.tokens import shared_words


def set_numbers(sets: Sets, threads: ThreadPoolExecutor, share: int) -> Array:
    """The set of each new row, int64: a known one's number, or `known + row` of its first row.

    The sets are dealt out to `share` tasks by a hash.
    """
    known, rows = len(sets.sizes), len(sets.new_sizes)
    numbers = np.arange(known, known + rows, dtype=np.int64)
    # The known sets are all looked up: the more room, the fewer meet another set's row.
    room = (8 if known > rows else 2) * rows // share

    def task(part: int) -> None:
        table = np.full(1 << max(4, room.bit_length()), -1, np.int32)
        canonical, words, _ = scratch_for(sets.longest)
        other, other_words, _ = scratch_for(sets.longest)
        scratch = (canonical, words, other, other_words)
        table = _number_rows(sets, numbers, part, share, table, *scratch)
        if known:
            _match_known(sets, numbers, part, share, table, *scratch)

    list(threads.map(task, range(share)))
    # A first row may have got a known set's number after others had got its own.
    first = np.maximum(numbers - known, 0)
    return np.where(numbers >= known, numbers[first], numbers) if known and rows else numbers


@kernel
def _number_rows(
    sets: Sets,
    numbers: Array,
    part: Int,
    share: Int,
    table: Array,
    canonical: Array,
    words: Array,
    other: Array,
    other_words: Array,
) -> Array:
    """`numbers` become those of the first row with the same set; the table holds these rows.

    It is returned, larger if there were more than expected.
    """
    known = len(sets.sizes)
    sizes, bitmaps = sets.new_sizes, sets.new_bitmaps
    held = 0
    for row in range(len(sizes)):
        content = _content(bitmaps, row)
        if content % np.uint64(share) != np.uint64(part):
            continue
        slot = _slot(content, share, len(table))
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
            held += 1
            if 2 * held > len(table):
                table = _larger(table, bitmaps, share)
    return table


@kernel
def _larger(table: Array, bitmaps: Array, share: Int) -> Array:
    larger = np.full(2 * len(table), -1, np.int32)
    for i in range(len(table)):
        if table[i] >= 0:
            slot = _slot(_content(bitmaps, table[i]), share, len(larger))
            while larger[slot] >= 0:
                slot = (slot + 1) & (len(larger) - 1)
            larger[slot] = table[i]
    return larger


@kernel
def _match_known(
    sets: Sets,
    numbers: Array,
    part: Int,
    share: Int,
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
        content = _content(bitmaps, item)
        if content % np.uint64(share) != np.uint64(part):
            continue
        slot = _slot(content, share, len(table))
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
def _content(bitmaps: Array, item: Int) -> Int:
    """A hash of a bitmap; bitmaps of different sets are seldom equal."""
    return mix64(bitmaps[item, 0] ^ mix64(bitmaps[item, 1])) >> np.uint64(1)


@inlined
def _slot(content: Int, share: Int, capacity: Int) -> Int:
    return np.int64(content // np.uint64(share)) & (capacity - 1)


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
