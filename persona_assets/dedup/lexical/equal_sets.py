"""Texts with equal word sets: found before the join, and joined as a single set.

A text similar to one of them has the same similarity to all of them. So a million repeats of a text
are a million rows of one set instead of 5e11 pairs.
"""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial

import numpy as np

from persona_assets.dedup.kernels.compile import Array, Int, allocating
from persona_assets.dedup.lexical.distinct_sets import DistinctSets, SetKeys
from persona_assets.dedup.lexical.partenum import scheme_of
from persona_assets.dedup.lexical.radix_partition import (
    largest_partition,
    partition_tasks,
    radix_partition,
    shared_keys,
    table_size,
)
from persona_assets.dedup.lexical.verification import similarities


def set_numbers(
    sets: DistinctSets, known_contents: Array, contents: Array, threads: ThreadPoolExecutor
) -> Array:
    """Return the set number of each new row, uint32.

    A row that equals a known set has this set's number; every other row has `known + row`, where
    `row` is the first row with the same words.

    Args:
        sets: Known sets and new rows.
        known_contents: Hash sums of the known sets, see `SetSummary`.
        contents: Hash sums of the new rows. Rows that share a sum are compared by their words.
        threads: Pool for partitions and comparisons.
    """
    known, rows = len(sets.sizes), len(sets.new_sizes)
    numbers = np.arange(known, known + rows, dtype=np.uint32)
    scheme = scheme_of(Fraction(1))
    pending = [SetKeys(contents, numbers)]
    if known:
        known_keys = SetKeys(known_contents, np.arange(known, dtype=np.uint32))
        pending.insert(0, shared_keys(known_keys, pending))
    all_rows = np.ones(rows, np.bool_)
    # One pass, unless different sets share a sum: the sets left over take another pass.
    while pending:
        keys, bounds = radix_partition(pending, all_rows, known, threads)
        first_items = np.empty(len(keys.item), np.uint32)
        ends = partition_tasks(bounds)
        task = partial(find_first_rows, keys, bounds, first_items)
        list(threads.map(task, ends[:-1], ends[1:]))
        repeats = first_items != keys.item
        unverified = np.flatnonzero(repeats & (keys.item >= known))
        pairs = first_items[unverified].astype(np.uint64) << np.uint64(32) | keys.item[unverified]
        order = np.argsort(pairs)
        verified = unverified[order][similarities(sets, scheme, pairs[order], threads) >= 0]
        numbers[keys.item[verified].astype(np.int64) - known] = first_items[verified]
        repeats[verified] = False
        if len(verified) < len(unverified):
            pending = [SetKeys(keys.key[repeats], keys.item[repeats])]
    return numbers


@allocating
def find_first_rows(
    keys: SetKeys, bounds: Array, first_items: Array, first: Int, stop: Int
) -> None:
    """Find the first item with the same key for each item of partitions [first, stop)."""
    key, item = keys.key, keys.item
    table = np.empty(table_size(largest_partition(bounds, first, stop)), np.int32)
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
            first_items[e] = item[begin + table[slot]]
