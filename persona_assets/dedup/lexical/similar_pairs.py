"""From keys to pairs: sets that share a key are compared, and those that are similar remain.

Keys are dealt out to partitions that fit a processor's cache, by their highest bits; threads take
partitions. Of the sets in one bucket (those that share a key) sizes and bitmaps leave few pairs,
the candidates; each is decided once, by the words.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.edges import Edges, check_edge_count
from persona_assets.dedup.kernels.compile import Array
from persona_assets.dedup.kernels.radix_partition import partition_tasks
from persona_assets.dedup.lexical.bucket_join import candidates_of
from persona_assets.dedup.lexical.candidates import Candidates, compare_places, order_by_size
from persona_assets.dedup.lexical.distinct_sets import DistinctSets, SetKeys
from persona_assets.dedup.lexical.partenum import Scheme
from persona_assets.dedup.lexical.verification import similarities

BLOCK = 256
"""Sets that a thread compares with all others at a time."""


def pairs_by_key(
    sets: DistinctSets, scheme: Scheme, keys: SetKeys, bounds: Array, threads: ThreadPoolExecutor
) -> Edges:
    """All pairs of sets, at least one of them new, that share a key and reach the threshold.

    `keys` are in partitions with these `bounds`. Raises ValueError for more pairs than `MAX_EDGES`.
    """
    ends = partition_tasks(bounds)

    def task(first: int, stop: int) -> Candidates:
        return Candidates().add(candidates_of(sets, scheme, keys, bounds, first, stop))

    return verified_pairs(sets, scheme, threads.map(task, ends[:-1], ends[1:]), threads)


def pairs_by_bitmap(
    sets: DistinctSets, scheme: Scheme, first: Array, threads: ThreadPoolExecutor
) -> Edges:
    """As `pairs`, by comparing the bitmaps of all: for thresholds at which no key tells much.

    `first` (bool) marks the new rows that are the first of their set.
    """
    known = len(sets.sizes)
    items = np.concatenate([np.arange(known), known + np.flatnonzero(first)]).astype(np.uint32)
    ordered = order_by_size(sets, items)
    rows = np.flatnonzero(ordered.items >= known)

    def task(start: int) -> Candidates:
        return Candidates().add(compare_places(scheme, ordered, rows[start : start + BLOCK]))

    return verified_pairs(sets, scheme, threads.map(task, range(0, len(rows), BLOCK)), threads)


def pairs_of_chosen(sets: DistinctSets, scheme: Scheme, chosen: Array) -> Edges:
    """All pairs of sets that reach the threshold with one of them in `chosen`, by comparing all."""
    ordered = order_by_size(sets, np.arange(len(sets.sizes) + len(sets.new_sizes), dtype=np.uint32))
    rows = np.flatnonzero(np.isin(ordered.items, chosen))
    with ThreadPoolExecutor(1) as one:
        found = Candidates().add(compare_places(scheme, ordered, rows))
        return verified_pairs(sets, scheme, iter([found]), one)


def verified_pairs(
    sets: DistinctSets, scheme: Scheme, found: Iterator[Candidates], threads: ThreadPoolExecutor
) -> Edges:
    """The candidates that reach the threshold."""
    every = Candidates()
    for some in found:
        every.add(some.pieces())
    candidates = every.distinct()
    similarity = similarities(sets, scheme, candidates, threads)
    near = similarity >= 0
    left, right = candidates[near] >> np.uint64(32), candidates[near] & np.uint64(0xFFFFFFFF)
    check_edge_count(len(left))
    return Edges(left.astype(np.int64), right.astype(np.int64), similarity[near])
