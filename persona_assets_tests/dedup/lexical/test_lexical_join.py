"""The lexical join: `exact` equals brute force, `minhash` keeps its recall and adds no pair."""

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.lexical.bucket_join import HOT_BUCKET
from persona_assets.dedup.lexical.lexical_join import (
    Method,
    lexical_edges,
    lexical_join,
    lexical_neighbours,
    method_for,
)
from persona_assets.dedup.lexical.minhash import choose_bands
from persona_assets.dedup.text.folding import MAX_TEXT_BYTES
from persona_assets.dedup.text.word_hashes import word_hashes
from persona_assets.dedup.text.words import words
from persona_assets_tests.dedup.texts import (
    HALF,
    HOSTILE,
    LONGER_OF_ONE_HASH,
    METHODS,
    NINE_TENTHS,
    ONE_HASH,
    any_texts,
    brute_force,
    related_texts,
    rows,
    texts_of_one_bitmap,
)

THRESHOLDS = [
    Fraction(1),
    Fraction(99, 100),
    NINE_TENTHS,
    Fraction(3, 4),
    Fraction(1, 2),
    Fraction(1, 7),
]
PAPER_THRESHOLDS = [NINE_TENTHS, HALF]


@settings(deadline=None, max_examples=100)
@given(related_texts() | st.lists(any_texts, max_size=8), st.sampled_from(THRESHOLDS))
def test_exact_join_equals_brute_force(texts: list[str], threshold: Fraction) -> None:
    assert rows(lexical_edges(texts, threshold)) == brute_force(texts, threshold)


@settings(deadline=None, max_examples=60)
@given(related_texts(), st.sampled_from(METHODS), st.sampled_from(THRESHOLDS[:5]))
def test_sets_have_the_number_of_their_first_text_and_edges_join_sets(
    texts: list[str], method: Method, threshold: Fraction
) -> None:
    join = lexical_join(texts, threshold, method)
    sets = [words(text) for text in texts]
    assert join.sets.tolist() == [sets.index(word_set) for word_set in sets]
    first_rows = set(join.sets.tolist())
    assert {*join.edges.left.tolist(), *join.edges.right.tolist()} <= first_rows
    if method == "exact":
        expected = brute_force(texts, threshold)
        assert rows(join.edges) == [pair for pair in expected if {pair[0], pair[1]} <= first_rows]
        assert rows(join.pairs()) == expected


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_exact_join_equals_brute_force_on_long_texts_around_the_threshold(
    threshold: Fraction,
) -> None:
    rng = random.Random(5)
    texts: list[str] = []
    for size in (63, 64, 65, 70, 127, 128, 129, 210, 1001):
        base = [f"b{size}x{k}" for k in range(size)]
        texts.append(" ".join(base))
        most = size * threshold.numerator // threshold.denominator
        for less in (most - 1, most, most + 1):
            texts.append(" ".join(rng.sample(base, min(less, size))))
            extra = [f"n{less}x{k}" for k in range(size - min(less, size))]
            texts.append(" ".join(rng.sample([*base, *extra], size + len(extra))))
    expected = brute_force(texts, threshold)
    assert len(expected) > 9
    assert rows(lexical_edges(texts, threshold)) == expected


@pytest.mark.parametrize(
    "threshold",
    [
        Fraction(900_001, 10**6),
        Fraction(899_999, 999_983),
        Fraction(750_001, 10**6),
        Fraction(333_334, 10**6),
    ],
)
def test_exact_join_equals_brute_force_at_thresholds_of_large_denominators(
    threshold: Fraction,
) -> None:
    long = [f"w{i}" for i in range(10_000)]
    sizes = (10_000, 9_001, 9_000, 7_501, 7_500, 3_333, 1000, 901, 900, 19, 17)
    texts = [" ".join(long[:size]) for size in sizes]
    assert rows(lexical_edges(texts, threshold)) == brute_force(texts, threshold)


@pytest.mark.parametrize(
    "threshold", [Fraction(0.9), Fraction(900_001, 10**6 + 1), 1 - Fraction(1, 10**30)]
)
def test_join_refuses_thresholds_whose_products_would_overflow(threshold: Fraction) -> None:
    for join in (lexical_edges, lexical_join):
        with pytest.raises(ValueError, match="round it"):
            join(["a nurse"], threshold)
    with pytest.raises(ValueError, match="round it"):
        lexical_neighbours(["a nurse"], [0], threshold)


@pytest.mark.parametrize("threshold", [Fraction(1), NINE_TENTHS, Fraction(1, 2)])
def test_join_equals_brute_force_on_hostile_texts(threshold: Fraction) -> None:
    expected = brute_force(HOSTILE, threshold)
    assert (0, 1, 1.0) in expected
    assert rows(lexical_edges(HOSTILE, threshold)) == expected
    minhash_rows = rows(lexical_edges(HOSTILE, threshold, "minhash"))
    assert set(minhash_rows) <= set(expected)
    assert {pair for pair in expected if pair[2] == 1} <= set(minhash_rows)


@pytest.mark.parametrize("method", METHODS)
def test_join_includes_pairs_exactly_at_the_threshold(method: Method) -> None:
    nineteen = [f"w{i}" for i in range(19)]
    texts = [" ".join(nineteen), " ".join([*nineteen[:-1], "other"]), " ".join(nineteen[:17])]
    # 18 of 20 words are shared. As floats, 1 - 18 / 20 differs from 1 - 0.9.
    assert (0, 1, 0.9) in rows(lexical_edges(texts, Fraction(18, 20), method))
    assert (0, 1, 0.9) not in rows(lexical_edges(texts, Fraction(901, 1000), method))


def template_cluster() -> list[str]:
    """Return texts of eighteen common words and one or two words of their own; most are similar."""
    stem = [f"stem{i}" for i in range(18)]
    own = [[f"own{i}", f"too{i}"][: 1 + (i % 9 == 0)] for i in range(800)]
    return [" ".join([*stem, *words]) for words in own]


def stop_words() -> list[str]:
    """Return texts of nine common and ten own words each, and near-duplicates of some texts.

    The own words leave the first of two or three parts empty, so all texts share the key of this
    part.
    """
    rng = random.Random(2)
    own = [f"v{i}" for i in range(9000)]
    high = (word_hashes(own)[0] >> np.uint64(32)).tolist()
    own = [word for word, value in zip(own, high, strict=True) if value >= 1 << 31]
    texts = [[*(f"stop{i}" for i in range(9)), *rng.sample(own, 10)] for _ in range(700)]
    texts += [[*base[:-1], "other"] for base in texts[::6]] + [base[1:] for base in texts[::7]]
    return [" ".join(rng.sample(text, len(text))) for text in texts]


@pytest.mark.parametrize("make", [template_cluster, stop_words])
@pytest.mark.parametrize("threshold", [NINE_TENTHS, Fraction(17, 20)])
def test_exact_join_equals_brute_force_on_hot_buckets(
    make: Callable[[], list[str]], threshold: Fraction
) -> None:
    texts = make()
    assert len(texts) > HOT_BUCKET
    expected = brute_force(texts, threshold)
    assert len(expected) > 200
    assert rows(lexical_edges(texts, threshold)) == expected


@pytest.mark.parametrize("method", METHODS)
def test_join_separates_sets_of_equal_bitmaps(method: Method) -> None:
    texts = texts_of_one_bitmap() * 2
    for threshold in (NINE_TENTHS, Fraction(1, 2)):
        join = lexical_join(texts, threshold, method)
        assert join.sets.tolist() == [*range(210), *range(210)]
        if method == "exact":
            assert rows(join.pairs()) == brute_force(texts, threshold)


@settings(deadline=None, max_examples=20)
@given(
    related_texts(), st.sampled_from(METHODS), st.sampled_from([*THRESHOLDS[:3], Fraction(1, 2)])
)
def test_join_does_not_depend_on_the_number_of_threads(
    texts: list[str], method: Method, threshold: Fraction
) -> None:
    expected = rows(lexical_edges(texts, threshold, method))
    assert rows(lexical_edges(texts, threshold, method, threads=2)) == expected
    assert rows(lexical_edges(texts, threshold, method, threads=3)) == expected


@pytest.mark.parametrize("method", METHODS)
def test_join_finds_equal_sets_and_pairs_across_chunks(method: Method) -> None:
    rng = random.Random(1)
    texts = [" ".join(f"v{rng.randrange(300)}" for _ in range(6)) for _ in range(40_000)]
    texts[20_000] = " ".join(f"long{i}" for i in range(60_000))
    texts[39_999] = texts[20_000] + " and one more"
    sets = [words(text) for text in texts]
    first: dict[frozenset[str], int] = {}
    expected = [first.setdefault(word_set, row) for row, word_set in enumerate(sets)]
    for threads in (1, 3):
        join = lexical_join(pa.array(texts), NINE_TENTHS, method, threads)
        assert join.sets.tolist() == expected
        assert rows(join.edges) == [(20_000, 39_999, 60_000 / 60_003)]


def planted_pairs(threshold: Fraction, count: int) -> list[str]:
    """Return pairs of texts, in adjacent rows, that are exactly at the threshold."""
    rng = random.Random(7)
    texts: list[str] = []
    for i in range(count):
        union = threshold.denominator * rng.randint(1, 30 // threshold.denominator)
        names = rng.sample([f"p{i}x{k}" for k in range(union)], union)
        shared = union * threshold.numerator // threshold.denominator
        cut = rng.randint(shared, union)
        texts += [" ".join(names[:cut]), " ".join(names[:shared] + names[cut:])]
    return texts


@pytest.mark.parametrize("threshold", PAPER_THRESHOLDS)
def test_minhash_join_finds_planted_pairs_with_the_promised_recall(threshold: Fraction) -> None:
    texts = planted_pairs(threshold, 4000)
    exact = {(i, i + 1, float(threshold)) for i in range(0, len(texts), 2)}
    assert set(rows(lexical_edges(texts, threshold))) == exact
    found = set(rows(lexical_edges(texts, threshold, "minhash")))
    assert found <= exact
    count, length = choose_bands(threshold)
    recall = 1 - (1 - float(threshold) ** length) ** count
    # Four standard deviations below the promised recall, which is 0.994 or more.
    assert len(found) / len(exact) >= recall - 4 * (recall * (1 - recall) / 4000) ** 0.5
    assert len(found) >= 0.99 * len(exact)


@pytest.mark.parametrize("threshold", PAPER_THRESHOLDS)
def test_minhash_join_finds_no_pair_below_the_threshold(threshold: Fraction) -> None:
    rng = random.Random(8)
    texts = [" ".join(f"v{rng.randrange(40)}" for _ in range(20)) for _ in range(400)]
    texts += [f"{text} v1 v2 v3" for text in texts]
    expected = set(brute_force(texts, threshold))
    found = set(rows(lexical_edges(texts, threshold, "minhash")))
    assert found <= expected
    assert len(found) >= 0.99 * len(expected) > 100


@pytest.mark.parametrize("method", METHODS)
def test_join_finds_pairs_of_texts_of_a_hundred_thousand_words(method: Method) -> None:
    long = [f"long{i}" for i in range(100_000)]
    texts = [" ".join(long), "a retired nurse", " ".join(long[1000:])]
    assert rows(lexical_edges(texts, NINE_TENTHS, method)) == [(0, 2, 0.99)]


@pytest.mark.parametrize("method", METHODS)
def test_join_makes_two_hundred_thousand_equal_texts_one_set(method: Method) -> None:
    texts = pa.array(["a retired nurse", "Nurse, retired: a"] * 100_000)
    for threshold in PAPER_THRESHOLDS:
        join = lexical_join(texts, threshold, method, threads=2)
        assert not join.sets.any()
        assert len(join.edges) == 0
    with pytest.raises(ValueError, match="drop identical and empty texts"):
        join.pairs()


@settings(deadline=None, max_examples=60)
@given(related_texts() | st.lists(any_texts, max_size=8), st.sampled_from(THRESHOLDS), st.data())
def test_neighbours_are_all_pairs_with_the_given_rows(
    texts: list[str], threshold: Fraction, data: st.DataObject
) -> None:
    places = st.sets(st.integers(0, len(texts) - 1)) if texts else st.just(set())
    wanted = data.draw(places)
    expected = [pair for pair in brute_force(texts, threshold) if {pair[0], pair[1]} & wanted]
    assert rows(lexical_neighbours(texts, sorted(wanted), threshold)) == expected


def test_join_refuses_a_text_that_is_too_long() -> None:
    texts = pa.array([b"a nurse", bytes(MAX_TEXT_BYTES + 1)], pa.large_binary())
    with pytest.raises(ValueError, match="row 1 has 536,870,913 bytes"):
        lexical_join(texts)


@pytest.mark.parametrize("pair", [ONE_HASH, LONGER_OF_ONE_HASH])
@pytest.mark.parametrize("others", [20, 62, 63, 64, 70])
def test_join_does_not_count_different_words_of_equal_hash_as_shared(
    pair: list[str], others: int
) -> None:
    rest, (first, second) = [f"other{i}" for i in range(others)], pair
    texts = [" ".join([*rest, *ends]) for ends in ([first], [second], pair, [*pair, "more"])]
    texts += [" ".join(reversed(text.split())) for text in texts]
    assert rows(lexical_edges(texts, NINE_TENTHS)) == brute_force(texts, NINE_TENTHS)


def test_join_of_no_texts_or_a_single_text_is_empty() -> None:
    assert len(lexical_edges([], NINE_TENTHS)) == 0
    assert len(lexical_edges(["one persona"], NINE_TENTHS, "minhash")) == 0
    for method in METHODS:
        assert lexical_join([], Fraction(1, 2), method, threads=2).sets.tolist() == []


def test_method_for_avoids_comparing_all_of_many_texts() -> None:
    assert method_for(10**9, Fraction(3, 4)) == "exact"
    assert method_for(10**3, Fraction(1, 2)) == "exact"
    assert method_for(10**9, Fraction(1, 2)) == "minhash"


def test_join_refuses_bad_thresholds_and_methods() -> None:
    with pytest.raises(TypeError, match=r"Fraction\(9, 10\)"):
        lexical_edges([], 0.9)  # type: ignore[arg-type]
    for threshold in (Fraction(0), Fraction(11, 10)):
        with pytest.raises(ValueError, match="above 0"):
            lexical_edges([], threshold)
    with pytest.raises(ValueError, match="'exact' or 'minhash'"):
        lexical_edges([], NINE_TENTHS, "simhash")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="raise the threshold or use the exact method"):
        lexical_edges(["a nurse"], Fraction(1, 100), "minhash")


def test_edges_of_too_many_equal_texts_are_refused_before_they_fill_the_memory() -> None:
    with pytest.raises(ValueError, match="drop identical and empty texts"):
        lexical_edges(["a retired nurse"] * 15_000, NINE_TENTHS)
