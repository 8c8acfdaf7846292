"""Candidates decided by their words: the last step of a join, after which every pair is right."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.folding import Canonical
from persona_assets.dedup.kernels import Array, Int, inlined, kernel, load64
from persona_assets.dedup.overlap import shared_words
from persona_assets.dedup.partenum import Scheme
from persona_assets.dedup.partitions import CHUNK, runs_of
from persona_assets.dedup.sets import Sets, canonical_of, lengths_of
from persona_assets.dedup.tokens import split, words_for

ROWS = 1 << 12
"""Most candidates that a thread takes at a time."""

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def similarities(
    sets: Sets, scheme: Scheme, candidates: Array, threads: ThreadPoolExecutor
) -> Array:
    """The Jaccard similarity of each candidate, or -1 where it is below the threshold.

    Candidates that follow each other and share the smaller set read it once.
    """
    similarity = np.empty(len(candidates))

    def task(start: int) -> None:
        block = candidates[start : start + ROWS]
        left, right = ((block >> shift & _LOW).astype(np.int64) for shift in (_HALF, np.uint64(0)))
        lengths = lengths_of(sets, left) + lengths_of(sets, right)
        for first, stop in runs_of(lengths, ROWS, CHUNK):
            one, two = left[first:stop], right[first:stop]
            new = np.diff(one, prepend=-1) != 0
            texts = canonical_of(sets, np.concatenate([one[new], two]))
            places = np.cumsum(new) - 1, new.sum() + np.arange(len(two))
            verify(texts, *places, scheme, similarity[start + first : start + stop])

    list(threads.map(task, range(0, len(candidates), ROWS)))
    return similarity


def verify(
    canonical: Canonical, left: Array, right: Array, scheme: Scheme, similarity: Array
) -> None:
    """`similarities` of pairs of canonical texts, given by number."""
    longest = canonical.longest()
    _verify(canonical, left, right, scheme, words_for(longest), words_for(longest), similarity)


@kernel
def _verify(
    canonical: Canonical,
    left: Array,
    right: Array,
    scheme: Scheme,
    words: Array,
    other_words: Array,
    similarity: Array,
) -> None:
    data, ends = canonical.data, canonical.ends
    numerator, denominator = scheme.numerator, scheme.denominator
    before, count = np.int64(-1), 0
    for i in range(len(left)):
        one, other = left[i], right[i]
        if _same(data, ends[one], ends[one + 1], ends[other], ends[other + 1]):
            similarity[i] = 1.0
            continue
        if one != before:
            count = split(data, ends[one], ends[one + 1], words)
            before = one
        other_count = split(data, ends[other], ends[other + 1], other_words)
        shared = shared_words(data, words, count, data, other_words, other_count)
        union = count + other_count - shared
        similarity[i] = -1.0
        if shared * denominator >= union * numerator:
            similarity[i] = shared / union if union else 1.0


@inlined
def _same(data: Array, start: Int, stop: Int, other: Int, other_stop: Int) -> bool:
    """Whether two texts are equal to the byte, as most repeats are."""
    if stop - start != other_stop - other:
        return False
    i = start
    while i < stop - 7 and load64(data, i) == load64(data, other + i - start):
        i += 8
    while i < stop and data[i] == data[other + i - start]:
        i += 1
    return bool(i >= stop)
