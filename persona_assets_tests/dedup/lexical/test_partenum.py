"""PartEnum's keys: any two different sets that reach the threshold share a key."""

import itertools
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.kernels.simd_u64 import LANES
from persona_assets.dedup.lexical.distinct_sets import empty_summary
from persona_assets.dedup.lexical.lexical_join import MIN_PARTENUM_THRESHOLD
from persona_assets.dedup.lexical.partenum import (
    CLASS_MASK,
    MAX_WORDS,
    NO_CLASS,
    Scheme,
    class_of,
    class_range,
    emit_set_keys,
    empty_sums,
    scheme_of,
    summarize_sets,
)
from persona_assets.dedup.text.folding import PADDING
from persona_assets.dedup.text.word_hashes import empty_words

THRESHOLDS = [
    MIN_PARTENUM_THRESHOLD,
    Fraction(4, 5),
    Fraction(5, 6),
    Fraction(9, 10),
    Fraction(99, 100),
    Fraction(1),
]
MILLION = 10**6
KNOWN = 5
"""Number of known sets."""

thresholds = st.one_of(
    st.sampled_from(THRESHOLDS),
    st.fractions(MIN_PARTENUM_THRESHOLD, 1, max_denominator=40),
    st.fractions(MIN_PARTENUM_THRESHOLD, 1, max_denominator=MILLION),
)
"""Thresholds at which the join uses PartEnum's keys."""
low_thresholds = st.fractions(Fraction(1, MILLION), MIN_PARTENUM_THRESHOLD, max_denominator=MILLION)
sizes = (
    st.integers(1, 100) | st.integers(1, MAX_WORDS) | st.sampled_from([1, MAX_WORDS - 1, MAX_WORDS])
)


def differences(threshold: Fraction, size: int, other: int) -> int:
    """Return the largest number of words in which two sets may differ at the threshold."""
    return int((1 - threshold) / (1 + threshold) * (size + other))


def keys_of(sets: list[list[str]], scheme: Scheme) -> tuple[list[set[int]], np.ndarray, np.ndarray]:
    """Return the keys of each set, the sizes and the bitmaps."""
    texts = [" ".join(words).encode() for words in sets]
    canonical = np.frombuffer(b"".join([*texts, bytes(PADDING)]), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    longest = max(map(len, texts))
    words, sums = empty_words(longest), empty_sums(longest, scheme)
    summary = empty_summary(len(sets))
    keys, rows = np.empty(100_000, np.uint64), np.empty(100_000, np.uint32)
    counted = np.zeros(1, np.int64)
    done = emit_set_keys(
        canonical, offsets, 0, 0, scheme, words, sums, summary, keys, rows, counted
    )
    assert done == len(sets)
    keys_by_set: list[set[int]] = [set() for _ in sets]
    for key, row in zip(keys[: counted[0]].tolist(), rows[: counted[0]].tolist(), strict=True):
        keys_by_set[row].add(key)
    return keys_by_set, summary.sizes, summary.bitmaps


@settings(deadline=None, max_examples=100)
@given(thresholds | low_thresholds)
def test_size_classes_have_no_gaps_and_enough_parts(threshold: Fraction) -> None:
    scheme = scheme_of(threshold)
    lower, parts = scheme.lower.tolist(), scheme.parts.tolist()
    assert (scheme.numerator, scheme.denominator) == (threshold.numerator, threshold.denominator)
    assert lower[0] == 1
    assert lower == sorted(set(lower))
    assert parts == sorted(parts)
    assert len(lower) <= NO_CLASS
    for size_class, (start, end) in enumerate(itertools.pairwise([*lower, MAX_WORDS + 1])):
        last = end - 1
        assert class_of(scheme, start) == class_of(scheme, last) == size_class
        assert start <= last <= MAX_WORDS
        # k never falls as sizes grow: parts for the last size suffice for the whole class.
        assert parts[size_class] > differences(threshold, last, int(last / threshold))
    assert class_of(scheme, 0) == -1


@settings(deadline=None, max_examples=100)
@given(thresholds, sizes, st.data())
def test_size_classes_of_two_similar_sets_include_the_class_of_the_smaller_set(
    threshold: Fraction, size: int, data: st.DataObject
) -> None:
    scheme = scheme_of(threshold)
    larger = data.draw(st.integers(size, min(int(size / threshold), MAX_WORDS)))
    first, last = class_range(scheme, larger)
    assert first <= class_of(scheme, size) <= last
    assert class_range(scheme, size)[1] == class_of(scheme, size)
    assert differences(threshold, size, larger) < scheme.parts[class_of(scheme, size)]
    assert class_range(scheme, 0) == (0, -1)


@st.composite
def near_sets(draw: st.DrawFn) -> tuple[Fraction, list[str], list[str]]:
    """Draw a threshold and two sets that just reach it."""
    threshold = draw(thresholds)
    union = draw(st.integers(1, 400))
    max_differences = int(union * (1 - threshold))
    differing = max(0, max_differences - draw(st.integers(0, 2)))
    left_only = draw(st.integers(0, differing))
    prefix = draw(st.sampled_from(["", "longer-than-8-"])) + str(draw(st.integers(0, 10**6))) + "x"
    names = [f"{prefix}{k}" for k in range(union)]
    shared = names[differing:]
    return threshold, [*shared, *names[:left_only]], [*shared, *names[left_only:differing]]


@settings(deadline=None, max_examples=100)
@given(near_sets(), st.randoms())
def test_keys_are_shared_by_sets_that_reach_the_threshold(
    near: tuple[Fraction, list[str], list[str]], random: Random
) -> None:
    threshold, left, right = near
    shared, union = len({*left} & {*right}), len({*left, *right})
    assert Fraction(shared, union) >= threshold
    random.shuffle(left)
    random.shuffle(right)
    # Repeated words count once.
    (left_keys, right_keys), sizes, bitmaps = keys_of(
        [left, [*right, *right[:3]]], scheme_of(threshold)
    )
    assert sizes.tolist() == [len(left), len(right)]
    flipped = sum(
        int(left_half ^ right_half).bit_count()
        for left_half, right_half in zip(*bitmaps.tolist(), strict=True)
    )
    assert flipped <= union - shared
    assert {*left} == {*right} or left_keys & right_keys


def test_keys_are_absent_where_only_equal_sets_reach_the_threshold() -> None:
    keys, sizes, _ = keys_of([["a"], ["b", "a"], []], scheme_of(Fraction(9, 10)))
    assert keys == [set(), set(), set()]
    assert sizes.tolist() == [1, 2, 0]
    nine = [f"w{i}" for i in range(9)]
    keys, _, _ = keys_of([nine, [*nine, "ten"]], scheme_of(Fraction(9, 10)))
    assert keys[0] & keys[1]


def test_keys_contain_their_class_and_differ_between_classes_and_parts() -> None:
    scheme = scheme_of(Fraction(3, 4))
    sets = [[f"v{size}x{k}" for k in range(size)] for size in range(1, 80)]
    keys, _, _ = keys_of(sets, scheme)
    for size, set_keys in enumerate(keys, start=1):
        first, last = class_range(scheme, size)
        size_classes = [
            size_class for size_class in range(first, last + 1) if scheme.parts[size_class] > 1
        ]
        assert {key & CLASS_MASK for key in set_keys} == set(size_classes)
        assert len(set_keys) == sum(scheme.parts[size_class] for size_class in size_classes)


def test_emit_set_keys_stops_at_a_full_output_and_resumes_there() -> None:
    scheme = scheme_of(MIN_PARTENUM_THRESHOLD)
    sets = [[f"v{i}x{k}" for k in range(2 + i % 30)] for i in range(60)]
    texts = [" ".join(words).encode() for words in sets]
    canonical = np.frombuffer(b"".join([*texts, bytes(PADDING)]), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    expected, sizes, bitmaps = keys_of(sets, scheme)
    words, sums = empty_words(1000), empty_sums(1000, scheme)
    summary, second_summary = empty_summary(len(sets)), empty_summary(len(sets))
    keys_by_set: list[set[int]] = [set() for _ in sets]
    row = 0
    while row < len(sets):
        keys, rows = np.empty(70, np.uint64), np.empty(70, np.uint32)
        output = (summary, keys, rows, counts := np.zeros(1, np.int64))
        previous_row, row = (
            row,
            emit_set_keys(canonical, offsets, row, KNOWN, scheme, words, sums, *output),
        )
        assert row > previous_row
        for key, item in zip(keys[: counts[0]].tolist(), rows[: counts[0]].tolist(), strict=True):
            keys_by_set[item - KNOWN].add(key)
    assert keys_by_set == expected
    summarize_sets(canonical, offsets, words, second_summary)
    for computed in (summary, second_summary):
        assert (computed.sizes == sizes).all()
        assert (computed.bitmaps == bitmaps).all()
    assert (summary.contents == second_summary.contents).all()


@pytest.mark.parametrize("numerator", [*range(1, 100, 7), 99, 100])
def test_size_classes_of_every_threshold_fit_into_a_byte(numerator: int) -> None:
    assert len(scheme_of(Fraction(numerator, 100)).lower) <= NO_CLASS


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_scratch_space_fits_the_parts_of_the_longest_text(threshold: Fraction) -> None:
    scheme = scheme_of(threshold)
    for longest in (1, 2, 33, 1000, 100_001):
        assert empty_words(longest).shape == (2, 2 * (longest // 2 + 1) + 3 * LANES)
        assert len(empty_sums(longest, scheme)) == scheme.parts[class_of(scheme, longest // 2 + 1)]
