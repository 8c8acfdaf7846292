"""Verification: the words of each candidate decide, so that every pair of a join is right."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from persona_assets.dedup.kernels.bits import load64
from persona_assets.dedup.kernels.compile import Array, Int, inlined, kernel
from persona_assets.dedup.lexical.distinct_sets import DistinctSets, canonical_texts, text_lengths
from persona_assets.dedup.lexical.partenum import Scheme
from persona_assets.dedup.text.folding import CanonicalTexts
from persona_assets.dedup.text.runs import CHUNK_BYTES, split_runs_by_size
from persona_assets.dedup.text.shared_words import count_shared_words
from persona_assets.dedup.text.word_hashes import empty_words, split_words

BLOCK_CANDIDATES = 1 << 12
"""Number of candidates that a thread verifies at a time."""

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def similarities(
    sets: DistinctSets, scheme: Scheme, candidates: Array, threads: ThreadPoolExecutor
) -> Array:
    """Return the Jaccard similarity of each candidate, or -1 if it is below the threshold.

    Adjacent candidates with the same smaller set read the text of this set once.
    """
    similarity = np.empty(len(candidates))

    def task(start: int) -> None:
        block = candidates[start : start + BLOCK_CANDIDATES]
        left, right = ((block >> shift & _LOW).astype(np.int64) for shift in (_HALF, np.uint64(0)))
        lengths = text_lengths(sets, left) + text_lengths(sets, right)
        for first, stop in split_runs_by_size(lengths, BLOCK_CANDIDATES, CHUNK_BYTES):
            left_sets, right_sets = left[first:stop], right[first:stop]
            is_new = np.diff(left_sets, prepend=-1) != 0
            texts = canonical_texts(sets, np.concatenate([left_sets[is_new], right_sets]))
            places = np.cumsum(is_new) - 1, is_new.sum() + np.arange(len(right_sets))
            verify_pairs(texts, *places, scheme, similarity[start + first : start + stop])

    list(threads.map(task, range(0, len(candidates), BLOCK_CANDIDATES)))
    return similarity


def verify_pairs(
    canonical: CanonicalTexts, left: Array, right: Array, scheme: Scheme, similarity: Array
) -> None:
    """Write the similarity of each pair of canonical texts, or -1 below the threshold.

    Args:
        canonical: Canonical texts.
        left: Number of each pair's first text; equal adjacent numbers are split into words once.
        right: Number of each pair's second text.
        scheme: Threshold.
        similarity: Output, float64.
    """
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
    previous, count = np.int64(-1), 0
    for i in range(len(left)):
        left_text, right_text = left[i], right[i]
        if _equal_bytes(
            data, ends[left_text], ends[left_text + 1], ends[right_text], ends[right_text + 1]
        ):
            similarity[i] = 1.0
            continue
        if left_text != previous:
            count = split_words(data, ends[left_text], ends[left_text + 1], words)
            previous = left_text
        other_count = split_words(data, ends[right_text], ends[right_text + 1], other_words)
        shared = count_shared_words(data, words, count, data, other_words, other_count)
        union = count + other_count - shared
        similarity[i] = -1.0
        if shared * denominator >= union * numerator:
            similarity[i] = shared / union if union else 1.0


@inlined
def _equal_bytes(data: Array, start: Int, stop: Int, other: Int, other_stop: Int) -> bool:
    """Return True if two texts are equal byte by byte, as most repeats are."""
    if stop - start != other_stop - other:
        return False
    i = start
    while i < stop - 7 and load64(data, i) == load64(data, other + i - start):
        i += 8
    while i < stop and data[i] == data[other + i - start]:
        i += 1
    return bool(i >= stop)
