"""Texts with the same set of words: they are found first, and stand for one set from then on.

Whatever is similar to one of them is as similar to all, so a million repeats of a text are a
million rows of one set, and not 5e11 pairs.
"""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial

import numpy as np

from persona_assets.dedup.kernels.compile import Array, Int, allocating
from persona_assets.dedup.kernels.radix_partition import (
    partition_tasks,
    radix_partition,
    shared_keys,
    table_size,
    widest,
)
from persona_assets.dedup.lexical.distinct_sets import DistinctSets, SetKeys
from persona_assets.dedup.lexical.partenum import scheme_of
from persona_assets.dedup.lexical.verification import similarities


def set_numbers(
    sets: DistinctSets, known_contents: Array, contents: Array, threads: ThreadPoolExecutor
) -> Array:
    """The set of each new row, uint32: a known one's number, or `known + row` of its first row.

    `contents` are those of the summaries. Rows that share one are compared by their words.
    """
    known, rows = len(sets.sizes), len(sets.new_sizes)
    numbers = np.arange(known, known + rows, dtype=np.uint32)
    scheme = scheme_of(Fraction(1))
    given = [SetKeys(contents, numbers)]
    if known:
        old = SetKeys(known_contents, np.arange(known, dtype=np.uint32))
        given.insert(0, shared_keys(old, given))
    everyone = np.ones(rows, np.bool_)
    # Once, but for sets that differ and yet have the same sum: then those that are left, again.
    while given:
        keys, bounds = radix_partition(given, everyone, known, threads)
        first = np.empty(len(keys.item), np.uint32)
        ends = partition_tasks(bounds)
        task = partial(find_first_rows, keys, bounds, first)
        list(threads.map(task, ends[:-1], ends[1:]))
        later = first != keys.item
        asked = np.flatnonzero(later & (keys.item >= known))
        pairs = first[asked].astype(np.uint64) << np.uint64(32) | keys.item[asked]
        order = np.argsort(pairs)
        same = asked[order][similarities(sets, scheme, pairs[order], threads) >= 0]
        numbers[keys.item[same].astype(np.int64) - known] = first[same]
        later[same] = False
        if len(same) < len(asked):
            given = [SetKeys(keys.key[later], keys.item[later])]
    return numbers


@allocating
def find_first_rows(keys: SetKeys, bounds: Array, found: Array, first: Int, stop: Int) -> None:
    """Of partitions [first, stop): the first item with the same key, for each."""
    key, item = keys.key, keys.item
    table = np.empty(table_size(widest(bounds, first, stop)), np.int32)
    for part in range(first, stop):
        begin, end = bounds[part], bounds[part + 1]
        mask = table_size(end - begin) - 1
        table[: mask + 1] = -1
        for e in range(begin, end):
            slot = np.int64(key[e] >> np.uint64(16)) & mask
            while table[slot] >= 0 and key[begin + table[slot]] != key[e]:
                slot = (slot + 1) & mask
            if table[slot] < 0:
                table[slot] = e - begin
            found[e] = item[begin + table[slot]]
