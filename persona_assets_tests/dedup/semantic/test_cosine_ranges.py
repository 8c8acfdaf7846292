"""Pairs in a range of cosines are those of a comparison of all pairs, the lowest hashes first."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.semantic.cosine_join import cosine_edges
from persona_assets.dedup.semantic.cosine_ranges import CosineRange, DrawnPairs, pairs_in_ranges
from persona_assets.dedup.semantic.half_precision import Halves, unit_vectors
from persona_assets.dedup.semantic.sign_sketches import EXACT, Parameters, choose_parameters

ALL = 10**9


def units(rows: int, dimensions: int, seed: int) -> Halves:
    """Return unit vectors around a few centres, with pairs at any cosine."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, rows // 6), dimensions))
    noise = rng.uniform(0.1, 1.5, (rows, 1)) * rng.standard_normal((rows, dimensions))
    with ThreadPoolExecutor(1) as pool:
        return unit_vectors(centres[rng.integers(0, len(centres), rows)] + noise, pool)


def hashes(rows: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 2**63, rows).astype(np.uint64)


def all_pairs(vectors: Halves, low: float, high: float) -> set[tuple[int, int]]:
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    product = exact @ exact.T
    left, right = np.nonzero(np.triu((product >= low) & (product <= high), k=1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


def pair_set(drawn: DrawnPairs) -> set[tuple[int, int]]:
    return set(zip(drawn.left.tolist(), drawn.right.tolist(), strict=True))


@settings(max_examples=25, derandomize=True)
@given(st.integers(0, 99), st.integers(2, 90), st.floats(-0.9, 0.95), st.floats(0.005, 0.1))
def test_all_pairs_of_a_range_are_those_of_brute_force(
    seed: int, rows: int, centre: float, tolerance: float
) -> None:
    vectors = units(rows, 12, seed)
    low, high = centre - tolerance, centre + tolerance
    [drawn] = pairs_in_ranges(vectors, hashes(rows), [CosineRange(low, high, ALL)])
    assert pair_set(drawn) == all_pairs(vectors, low, high)
    assert ((drawn.similarity >= low) & (drawn.similarity <= high)).all()


def test_sketches_find_the_pairs_of_brute_force() -> None:
    vectors = units(1500, 48, 3)
    parameters = choose_parameters(EXACT + 1, 0.79, 48)
    assert parameters.tables
    [drawn] = pairs_in_ranges(
        vectors, hashes(1500), [CosineRange(0.79, 0.81, ALL)], threads=2, parameters=parameters
    )
    true = all_pairs(vectors, 0.79, 0.81)
    assert len(true) > 100
    assert pair_set(drawn) == true


def test_a_short_range_is_searched_again_with_other_hyperplanes() -> None:
    vectors = units(600, 48, 4)
    strong = choose_parameters(EXACT + 1, 0.79, 48)
    weak = Parameters(48, float(np.nextafter(0.79, -1)), bits=12, tables=6, cut=strong.cut)
    true = all_pairs(vectors, 0.79, 0.81)
    once = cosine_edges(vectors, weak.threshold, parameters=weak)
    found_once = int((once.similarity <= 0.81).sum())
    wanted = CosineRange(0.79, 0.81, ALL)
    [drawn] = pairs_in_ranges(vectors, hashes(600), [wanted], parameters=weak)
    assert found_once < len(pair_set(drawn)) <= len(true)
    assert pair_set(drawn) <= true


@pytest.mark.parametrize("bounds", [(0.6, 0.7), (0.1, 0.2)])
def test_more_pairs_include_fewer(bounds: tuple[float, float]) -> None:
    vectors = units(2_500, 12, 5)
    numbers = (5, 500, 200_000)
    drawn = [
        pairs_in_ranges(vectors, hashes(2_500), [CosineRange(*bounds, most)])[0] for most in numbers
    ]
    for few, more in itertools.pairwise(drawn):
        assert few.left.tolist() == more.left.tolist()[: len(few.left)]
        assert few.right.tolist() == more.right.tolist()[: len(few.right)]
    assert [len(each.left) for each in drawn[:2]] == [5, 500]
    # The last one needs more than the first block of rows.
    assert drawn[2].right.max() >= 1024


def test_pairs_of_two_first_rows_are_left_out() -> None:
    vectors = units(300, 12, 6)
    ranges = [CosineRange(0.6, 0.9, ALL), CosineRange(0.0, 0.3, ALL)]
    for wanted, drawn in zip(
        ranges, pairs_in_ranges(vectors, hashes(300), ranges, first=100), strict=True
    ):
        true = all_pairs(vectors, wanted.low, wanted.high)
        assert pair_set(drawn) == {(left, right) for left, right in true if right >= 100}


def test_no_rows_and_a_full_range_have_no_pairs() -> None:
    empty = np.empty((0, 4), np.float16)
    for vectors, most in ((empty, 3), (units(9, 4, 0), 0)):
        [drawn] = pairs_in_ranges(vectors, hashes(len(vectors)), [CosineRange(-1, 1, most)])
        assert len(drawn.left) == 0


def test_a_range_of_more_pairs_than_wait_gives_the_number_requested() -> None:
    vectors = np.ones((1200, 4), np.float16) / np.float16(2)
    [drawn] = pairs_in_ranges(vectors, hashes(1200), [CosineRange(0.9, 1.0, 7)])
    assert len(drawn.left) == 7
