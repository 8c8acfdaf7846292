"""Similar pairs of sets from keys: the sets that share a key are compared.

Keys are partitioned by their highest bits, so that a partition fits a processor's cache; threads
work through the partitions. Within a bucket (sets that share a key), sizes and bitmaps leave few
pairs, the candidates. The words of each candidate are compared once.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.edges import Edges, check_edge_count
from persona_assets.dedup.kernels.compile import Array
from persona_assets.dedup.lexical.bucket_join import bucket_candidates
from persona_assets.dedup.lexical.candidates import Candidates, compare_rows, order_by_size
from persona_assets.dedup.lexical.distinct_sets import DistinctSets, SetKeys
from persona_assets.dedup.lexical.partenum import Scheme
from persona_assets.dedup.lexical.radix_partition import partition_tasks
from persona_assets.dedup.lexical.verification import similarities

BLOCK_SETS = 256
"""Number of sets that a thread compares with all others at a time."""


def pairs_by_key(
    sets: DistinctSets, scheme: Scheme, keys: SetKeys, bounds: Array, threads: ThreadPoolExecutor
) -> Edges:
    """Find all pairs of sets, at least one of them new, that share a key and reach the threshold.

    Args:
        sets: Known and new sets.
        scheme: Threshold.
        keys: Keys in partitions, see `radix_partition`.
        bounds: Bounds of the partitions.
        threads: Pool for partitions and comparisons.

    Raises:
        ValueError: More pairs than `MAX_EDGES`, or more candidates than `MAX_CANDIDATES`.
    """
    ends = partition_tasks(bounds)

    def task(first: int, stop: int) -> Candidates:
        return Candidates().add(bucket_candidates(sets, scheme, keys, bounds, first, stop))

    return verified_pairs(sets, scheme, threads.map(task, ends[:-1], ends[1:]), threads)


def pairs_by_bitmap(
    sets: DistinctSets, scheme: Scheme, first: Array, threads: ThreadPoolExecutor
) -> Edges:
    """Find the pairs of `pairs_by_key` without keys, by comparing all bitmaps.

    Meant for thresholds so low that a key excludes hardly any pair.

    Args:
        sets: Known and new sets.
        scheme: Threshold.
        first: bool mask of the new rows that are the first row of their set.
        threads: Pool for comparisons.

    Raises:
        ValueError: More pairs than `MAX_EDGES`, or more candidates than `MAX_CANDIDATES`.
    """
    known = len(sets.sizes)
    items = np.concatenate([np.arange(known), known + np.flatnonzero(first)]).astype(np.uint32)
    ordered = order_by_size(sets, items)
    rows = np.flatnonzero(ordered.items >= known)

    def task(start: int) -> Candidates:
        return Candidates().add(compare_rows(scheme, ordered, rows[start : start + BLOCK_SETS]))

    return verified_pairs(sets, scheme, threads.map(task, range(0, len(rows), BLOCK_SETS)), threads)


def pairs_of_chosen(sets: DistinctSets, scheme: Scheme, chosen: Array) -> Edges:
    """Find all pairs that reach the threshold and contain a set in `chosen`, without keys."""
    ordered = order_by_size(sets, np.arange(len(sets.sizes) + len(sets.new_sizes), dtype=np.uint32))
    rows = np.flatnonzero(np.isin(ordered.items, chosen))
    with ThreadPoolExecutor(1) as thread:
        candidates = Candidates().add(compare_rows(scheme, ordered, rows))
        return verified_pairs(sets, scheme, iter([candidates]), thread)


def verified_pairs(
    sets: DistinctSets,
    scheme: Scheme,
    collections: Iterator[Candidates],
    threads: ThreadPoolExecutor,
) -> Edges:
    """Return the candidates that reach the threshold as edges."""
    collected = Candidates()
    for collection in collections:
        collected.add(collection.pieces())
    candidates = collected.distinct()
    similarity = similarities(sets, scheme, candidates, threads)
    reached = similarity >= 0
    left, right = candidates[reached] >> np.uint64(32), candidates[reached] & np.uint64(0xFFFFFFFF)
    check_edge_count(len(left))
    return Edges(left.astype(np.int64), right.astype(np.int64), similarity[reached])
