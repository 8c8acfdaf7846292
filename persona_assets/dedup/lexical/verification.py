"""Candidates decided by their words: the last step of a join, after which every pair is right."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.kernels.bits import load64
from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.kernels.radix_partition import CHUNK, split_runs_by_size
from persona_assets.dedup.lexical.distinct_sets import DistinctSets, canonical_of, lengths_of
from persona_assets.dedup.lexical.partenum import Scheme
from persona_assets.dedup.text.folding import CanonicalTexts
from persona_assets.dedup.text.shared_words import count_shared_words
from persona_assets.dedup.text.word_hashes import empty_words, split_words

ROWS = 1 << 12
"""Most candidates that a thread takes at a time."""

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def similarities(
    sets: DistinctSets, scheme: Scheme, candidates: Array, threads: ThreadPoolExecutor
) -> Array:
    """The Jaccard similarity of each candidate, or -1 where it is below the threshold.

    Candidates that follow each other and share the smaller set read it once.
    """
    similarity = np.empty(len(candidates))

    def task(start: int) -> None:
        block = candidates[start : start + ROWS]
        left, right = ((block >> shift & _LOW).astype(np.int64) for shift in (_HALF, np.uint64(0)))
        lengths = lengths_of(sets, left) + lengths_of(sets, right)
        for first, stop in split_runs_by_size(lengths, ROWS, CHUNK):
            one, two = left[first:stop], right[first:stop]
            new = np.diff(one, prepend=-1) != 0
            texts = canonical_of(sets, np.concatenate([one[new], two]))
            places = np.cumsum(new) - 1, new.sum() + np.arange(len(two))
            verify_pairs(texts, *places, scheme, similarity[start + first : start + stop])

    list(threads.map(task, range(0, len(candidates), ROWS)))
    return similarity


def verify_pairs(
    canonical: CanonicalTexts, left: Array, right: Array, scheme: Scheme, similarity: Array
) -> None:
    """`similarities` of pairs of canonical texts, given by number."""
    longest = canonical.longest()
    _verify(canonical, left, right, scheme, empty_words(longest), empty_words(longest), similarity)


@kernel
def _verify(
    canonical: CanonicalTexts,
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
            count = split_words(data, ends[one], ends[one + 1], words)
            before = one
        other_count = split_words(data, ends[other], ends[other + 1], other_words)
        shared = count_shared_words(data, words, count, data, other_words, other_count)
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
