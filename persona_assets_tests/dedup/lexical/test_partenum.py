import itertools
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.kernels.simd_u64 import LANES
from persona_assets.dedup.lexical.distinct_sets import empty_summary
from persona_assets.dedup.lexical.lexical_join import LOWEST
from persona_assets.dedup.lexical.partenum import (
    CLASS_MASK,
    LONGEST,
    NO_CLASS,
    Scheme,
    class_of,
    emit_set_keys,
    reach,
    scheme_of,
    summarize_sets,
    sums_for,
)
from persona_assets.dedup.text.folding import ROOM
from persona_assets.dedup.text.word_hashes import empty_words

THRESHOLDS = [
    LOWEST,
    Fraction(4, 5),
    Fraction(5, 6),
    Fraction(9, 10),
    Fraction(99, 100),
    Fraction(1),
]
MILLION = 10**6
KNOWN = 5
"""Sets that there were before."""

thresholds = st.one_of(
    st.sampled_from(THRESHOLDS),
    st.fractions(LOWEST, 1, max_denominator=40),
    st.fractions(LOWEST, 1, max_denominator=MILLION),
)
"""Those at which PartEnum's keys are used."""
low_thresholds = st.fractions(Fraction(1, MILLION), LOWEST, max_denominator=MILLION)
sizes = st.integers(1, 100) | st.integers(1, LONGEST) | st.sampled_from([1, LONGEST - 1, LONGEST])


def differences(threshold: Fraction, size: int, other: int) -> int:
    """Most words in which two sets of these sizes differ if they reach the threshold."""
    return int((1 - threshold) / (1 + threshold) * (size + other))


def keys_of(sets: list[list[str]], scheme: Scheme) -> tuple[list[set[int]], np.ndarray, np.ndarray]:
    """The keys of each set, the sizes and the bitmaps."""
    forms = [" ".join(words).encode() for words in sets]
    canonical = np.frombuffer(b"".join([*forms, bytes(ROOM)]), np.uint8)
    offsets = np.cumsum([0, *map(len, forms)], dtype=np.int64)
    longest = max(map(len, forms))
    words, sums = empty_words(longest), sums_for(longest, scheme)
    summary = empty_summary(len(sets))
    keys, rows = np.empty(100_000, np.uint64), np.empty(100_000, np.uint32)
    counted = np.zeros(1, np.int64)
    done = emit_set_keys(
        canonical, offsets, 0, 0, scheme, words, sums, summary, keys, rows, counted
    )
    assert done == len(sets)
    found: list[set[int]] = [set() for _ in sets]
    for key, row in zip(keys[: counted[0]].tolist(), rows[: counted[0]].tolist(), strict=True):
        found[row].add(key)
    return found, summary.sizes, summary.bitmaps


@settings(deadline=None, max_examples=100)
@given(thresholds | low_thresholds)
def test_classes_of_sizes_have_no_gaps_and_their_parts_suffice(threshold: Fraction) -> None:
    scheme = scheme_of(threshold)
    lower, parts = scheme.lower.tolist(), scheme.parts.tolist()
    assert (scheme.numerator, scheme.denominator) == (threshold.numerator, threshold.denominator)
    assert lower[0] == 1
    assert lower == sorted(set(lower))
    assert parts == sorted(parts)
    assert len(lower) <= NO_CLASS
    for kind, (start, end) in enumerate(itertools.pairwise([*lower, LONGEST + 1])):
        last = end - 1
        assert class_of(scheme, start) == class_of(scheme, last) == kind
        assert start <= last <= LONGEST
        # k never falls as sizes grow: enough for the last size is enough for all of the class.
        assert parts[kind] > differences(threshold, last, int(last / threshold))
    assert class_of(scheme, 0) == -1


@settings(deadline=None, max_examples=100)
@given(thresholds, sizes, st.data())
def test_two_sizes_that_can_reach_the_threshold_meet_in_the_class_of_the_smaller(
    threshold: Fraction, size: int, data: st.DataObject
) -> None:
    scheme = scheme_of(threshold)
    larger = data.draw(st.integers(size, min(int(size / threshold), LONGEST)))
    first, last = reach(scheme, larger)
    assert first <= class_of(scheme, size) <= last
    assert reach(scheme, size)[1] == class_of(scheme, size)
    assert differences(threshold, size, larger) < scheme.parts[class_of(scheme, size)]
    assert reach(scheme, 0) == (0, -1)


@st.composite
def near_sets(draw: st.DrawFn) -> tuple[Fraction, list[str], list[str]]:
    """Two sets that just reach a threshold, and it."""
    threshold = draw(thresholds)
    union = draw(st.integers(1, 400))
    most = int(union * (1 - threshold))
    apart = max(0, most - draw(st.integers(0, 2)))
    one = draw(st.integers(0, apart))
    prefix = draw(st.sampled_from(["", "longer-than-8-"])) + str(draw(st.integers(0, 10**6))) + "x"
    names = [f"{prefix}{k}" for k in range(union)]
    shared = names[apart:]
    return threshold, [*shared, *names[:one]], [*shared, *names[one:apart]]


@settings(deadline=None, max_examples=100)
@given(near_sets(), st.randoms())
def test_sets_that_reach_the_threshold_share_a_key(
    near: tuple[Fraction, list[str], list[str]], random: Random
) -> None:
    threshold, left, right = near
    shared, union = len({*left} & {*right}), len({*left, *right})
    assert Fraction(shared, union) >= threshold
    random.shuffle(left)
    random.shuffle(right)
    # Repeats are no words of their own.
    (here, there), sizes, bitmaps = keys_of([left, [*right, *right[:3]]], scheme_of(threshold))
    assert sizes.tolist() == [len(left), len(right)]
    flipped = sum(
        int(one ^ other).bit_count() for one, other in zip(*bitmaps.tolist(), strict=True)
    )
    assert flipped <= union - shared
    assert {*left} == {*right} or here & there


def test_without_room_for_differences_there_are_no_keys() -> None:
    keys, sizes, _ = keys_of([["a"], ["b", "a"], []], scheme_of(Fraction(9, 10)))
    assert keys == [set(), set(), set()]
    assert sizes.tolist() == [1, 2, 0]
    nine = [f"w{i}" for i in range(9)]
    keys, _, _ = keys_of([nine, [*nine, "ten"]], scheme_of(Fraction(9, 10)))
    assert keys[0] & keys[1]


def test_keys_name_their_class_and_differ_between_classes_and_parts() -> None:
    scheme = scheme_of(Fraction(3, 4))
    sets = [[f"v{size}x{k}" for k in range(size)] for size in range(1, 80)]
    keys, _, _ = keys_of(sets, scheme)
    for size, found in enumerate(keys, start=1):
        first, last = reach(scheme, size)
        kinds = [kind for kind in range(first, last + 1) if scheme.parts[kind] > 1]
        assert {key & CLASS_MASK for key in found} == set(kinds)
        assert len(found) == sum(scheme.parts[kind] for kind in kinds)


def test_emit_halts_where_its_output_is_full_and_goes_on_from_there() -> None:
    scheme = scheme_of(LOWEST)
    sets = [[f"v{i}x{k}" for k in range(2 + i % 30)] for i in range(60)]
    forms = [" ".join(words).encode() for words in sets]
    canonical = np.frombuffer(b"".join([*forms, bytes(ROOM)]), np.uint8)
    offsets = np.cumsum([0, *map(len, forms)], dtype=np.int64)
    expected, sizes, bitmaps = keys_of(sets, scheme)
    words, sums = empty_words(1000), sums_for(1000, scheme)
    summary, again = empty_summary(len(sets)), empty_summary(len(sets))
    found: list[set[int]] = [set() for _ in sets]
    row = 0
    while row < len(sets):
        keys, rows = np.empty(70, np.uint64), np.empty(70, np.uint32)
        output = (summary, keys, rows, counted := np.zeros(1, np.int64))
        before, row = (
            row,
            emit_set_keys(canonical, offsets, row, KNOWN, scheme, words, sums, *output),
        )
        assert row > before
        for key, at in zip(keys[: counted[0]].tolist(), rows[: counted[0]].tolist(), strict=True):
            found[at - KNOWN].add(key)
    assert found == expected
    summarize_sets(canonical, offsets, words, again)
    for found_again in (summary, again):
        assert (found_again.sizes == sizes).all()
        assert (found_again.bitmaps == bitmaps).all()
    assert (summary.contents == again.contents).all()


@pytest.mark.parametrize("numerator", [*range(1, 100, 7), 99, 100])
def test_the_classes_of_every_threshold_fit_into_a_byte(numerator: int) -> None:
    assert len(scheme_of(Fraction(numerator, 100)).lower) <= NO_CLASS


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_there_is_room_for_the_parts_of_the_longest_text(threshold: Fraction) -> None:
    scheme = scheme_of(threshold)
    for longest in (1, 2, 33, 1000, 100_001):
        assert empty_words(longest).shape == (2, 2 * (longest // 2 + 1) + 3 * LANES)
        assert len(sums_for(longest, scheme)) == scheme.parts[class_of(scheme, longest // 2 + 1)]
