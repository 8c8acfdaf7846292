"""Measures of diversity have their known values at both ends, and the rules that define them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.diversity_measures import (
    compression_ratio,
    cosine_duplicates,
    distinct_ngrams,
    lexical_duplicates,
    mean_cosine,
    mean_words,
    tokens,
    vendi_score,
)

counts = st.integers(1, 24)
words = st.lists(st.sampled_from("abcdef"), max_size=9)


def everything(count: int) -> np.ndarray:
    return np.arange(count)


def unit_vectors(count: int, dimensions: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(counts)
def test_vendi_score_of_equal_vectors_is_one_and_of_orthogonal_ones_their_number(
    count: int,
) -> None:
    equal = np.tile(unit_vectors(1, 8, 0), (count, 1))
    assert vendi_score(equal)(everything(count)) == pytest.approx(1, abs=1e-5)
    orthogonal = np.eye(30, dtype=np.float32)[:count]
    assert vendi_score(orthogonal)(everything(count)) == pytest.approx(count, rel=1e-5)


@settings(max_examples=40, derandomize=True)
@given(counts, st.integers(2, 30), st.integers(0, 99))
def test_vendi_score_is_that_of_the_whole_cosine_matrix(
    count: int, dimensions: int, seed: int
) -> None:
    vectors = unit_vectors(count, dimensions, seed)
    exact = vectors.astype(np.float64)
    values = np.linalg.eigvalsh(exact @ exact.T / count)
    values = values[values > 1e-12]
    score = vendi_score(vectors)(everything(count))
    assert score == pytest.approx(float(np.exp(-(values * np.log(values)).sum())), rel=1e-5)
    assert 1 - 1e-6 <= score <= min(count, dimensions) + 1e-6


@settings(max_examples=40, derandomize=True)
@given(st.integers(2, 24), st.integers(0, 99))
def test_mean_cosine_is_that_of_all_pairs(count: int, seed: int) -> None:
    vectors = unit_vectors(count, 6, seed)
    product = (vectors @ vectors.T).astype(np.float64)
    pairs = product[np.triu_indices(count, 1)]
    assert mean_cosine(vectors)(everything(count)) == pytest.approx(pairs.mean(), abs=1e-5)


@given(st.lists(words, max_size=9), st.integers(1, 3))
def test_distinct_ngrams_is_the_share_of_different_ngrams(
    texts: list[list[str]], size: int
) -> None:
    ngrams = [tuple(text[i : i + size]) for text in texts for i in range(len(text) - size + 1)]
    share = distinct_ngrams(texts, size)(everything(len(texts)))
    assert 0 <= share <= 1
    assert share == (len(set(ngrams)) / len(ngrams) if ngrams else 0)


def test_distinct_ngrams_of_different_texts_is_one_and_of_a_repeated_text_its_inverse() -> None:
    assert distinct_ngrams([["a", "b"], ["c", "d"]], 2)(everything(2)) == 1
    assert distinct_ngrams([["a", "b"]] * 8, 1)(everything(8)) == pytest.approx(1 / 8)


def test_compression_ratio_is_higher_for_repeated_texts() -> None:
    rng = np.random.default_rng(0)
    different = [[f"w{number}" for number in rng.integers(0, 999, 20)] for _ in range(50)]
    same = compression_ratio([different[0]] * 50)(everything(50))
    assert same > 3 * compression_ratio(different)(everything(50)) > 3


BELLS = [
    "A bell of 12 kg falls for 3 seconds.",
    "a bell of 12 kg falls for 3 seconds",
    "Nine gulls share 27 herrings.",
]


def test_lexical_duplicates_are_those_dropped_for_an_earlier_text() -> None:
    measure = lexical_duplicates(BELLS, Fraction(9, 10))
    assert measure(everything(3)) == pytest.approx(1 / 3)
    assert measure(np.array([0, 2])) == measure(np.array([1, 2])) == 0


def test_cosine_duplicates_are_greedy_and_no_chains() -> None:
    angles = np.array([0.0, 0.3, 0.6, 2.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    measure = cosine_duplicates(vectors, 0.95)
    # The second is dropped for the first, so the third, near the second alone, stays.
    assert measure(everything(4)) == pytest.approx(1 / 4)
    assert measure(np.array([1, 2])) == pytest.approx(1 / 2)


def test_words_are_counted_with_numbers() -> None:
    assert tokens("Ada's 2 kites") == ["ada", "s", "2", "kites"]
    assert mean_words(["one two", "one"])(everything(2)) == 1.5


def test_measures_of_no_texts_are_zero() -> None:
    none = np.empty(0, np.int64)
    vectors = np.empty((0, 4), np.float32)
    for measure in (
        mean_cosine(vectors),
        vendi_score(vectors),
        distinct_ngrams([], 1),
        compression_ratio([]),
        lexical_duplicates([], Fraction(9, 10)),
        cosine_duplicates(vectors, 0.9),
        mean_words([]),
    ):
        assert measure(none) == 0
