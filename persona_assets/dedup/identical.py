"""Texts with the same set of words: they are found first, and stand for one set from then on.

Whatever is similar to one of them is as similar to all, so a million repeats of a text are a
million rows of one set, and not 5e11 pairs. Sets with equal bitmaps fall into one bucket, like
those that share a key in `join`, and the words decide.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.kernels import Array, Int, kernel, mix64
from persona_assets.dedup.partenum import scratch_for
from persona_assets.dedup.partitions import partition, shared_keys, table_size, tasks
from persona_assets.dedup.sets import Keys, Sets, words_of
from persona_assets.dedup.tokens import shared_words


def set_numbers(sets: Sets, threads: ThreadPoolExecutor) -> Array:
    """The set of each new row, int64: a known one's number, or `known + row` of its first row."""
    known, rows = len(sets.sizes), len(sets.new_sizes)
    numbers = np.arange(known, known + rows, dtype=np.int64)
    given = [contents(sets.new_bitmaps, known)]
    if known:
        given.insert(0, shared_keys(contents(sets.bitmaps, 0), given))
    keys, bounds = partition(given, np.ones(rows, np.bool_), known, threads)
    given.clear()
    ends = tasks(bounds)

    def task(first: int, stop: int) -> None:
        canonical, words, _ = scratch_for(sets.longest)
        other, other_words, _ = scratch_for(sets.longest)
        number_partitions(
            sets, keys, bounds, first, stop, numbers, canonical, words, other, other_words
        )

    list(threads.map(task, ends[:-1], ends[1:]))
    return numbers


def contents(bitmaps: Array, first: int) -> Keys:
    """A hash of each bitmap as a key of the sets from number `first` on."""
    keys = Keys(
        np.empty(len(bitmaps), np.uint64),
        np.arange(first, first + len(bitmaps), dtype=np.uint32),
    )
    hash_bitmaps(bitmaps, keys.key)
    return keys


@kernel
def hash_bitmaps(bitmaps: Array, keys: Array) -> None:
    for i in range(len(keys)):
        keys[i] = mix64(bitmaps[i, 0] ^ mix64(bitmaps[i, 1]))


@kernel
def number_partitions(
    sets: Sets,
    keys: Keys,
    bounds: Array,
    first: Int,
    stop: Int,
    numbers: Array,
    canonical: Array,
    words: Array,
    other: Array,
    other_words: Array,
) -> None:
    """`numbers` become those of the first set with the same words; sets ascend in a partition."""
    known = len(sets.sizes)
    key, item = keys.key, keys.item
    widest = 0
    for part in range(first, stop):
        widest = max(widest, bounds[part + 1] - bounds[part])
    table = np.empty(table_size(widest), np.int32)
    for part in range(first, stop):
        begin = bounds[part]
        length = bounds[part + 1] - begin
        mask = table_size(length) - 1
        table[: mask + 1] = -1
        for e in range(length):
            wanted = key[begin + e]
            slot = np.int64(wanted >> np.uint64(16)) & mask
            counted = -1
            while table[slot] >= 0:
                before = begin + table[slot]
                if key[before] == wanted:
                    one, two = np.int64(item[before]), np.int64(item[begin + e])
                    if counted < 0:
                        counted = words_of(sets, two, canonical, words)
                    count = words_of(sets, one, other, other_words)
                    if (
                        count
                        == counted
                        == shared_words(canonical, words, counted, other, other_words, count)
                    ):
                        if two >= known:
                            numbers[two - known] = one
                        break
                slot = (slot + 1) & mask
            if table[slot] < 0:
                table[slot] = e
