"""Specification of sign sketches: bits differ with the angle, parameters reach the recall."""

import math

import numpy as np
import pytest

from persona_assets.dedup.semantic.sign_sketches import (
    BITS,
    EXACT,
    RECALL,
    choose_parameters,
    hyperplanes,
    key_masks,
    sign_sketches,
)


def unit(vectors: np.ndarray) -> np.ndarray:
    units: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units.astype(np.float16)


def pairs_at(cosine: float, count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two matrices of unit vectors; corresponding rows have the given cosine."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, count, dimensions))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b -= (a * b).sum(axis=1, keepdims=True) * a
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    return unit(a), unit(cosine * a + math.sqrt(1 - cosine**2) * b)


def hamming_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    differing: np.ndarray = np.bitwise_count(a ^ b)
    distance: np.ndarray = differing.sum(axis=-1, dtype=np.int64)
    return distance


@pytest.mark.parametrize("cosine", [0.95, 0.9, 0.5, -0.3])
def test_sketch_bits_differ_in_proportion_to_the_angle(cosine: float) -> None:
    a, b = pairs_at(cosine, 3000, 48)
    normals = hyperplanes(48)
    differing = hamming_distance(sign_sketches(a, normals), sign_sketches(b, normals))
    expected = math.acos(cosine) / math.pi
    # All rows share the hyperplanes, so their errors are correlated and the tolerance is wide.
    assert differing.mean() / BITS == pytest.approx(expected, abs=0.01)
    assert differing.var() == pytest.approx(BITS * expected * (1 - expected), rel=0.15)


@pytest.mark.parametrize(("threshold", "rows"), [(0.9, 20_000), (0.9, 10**6), (0.8, 10**5)])
def test_chosen_parameters_reach_the_recall_at_the_threshold(threshold: float, rows: int) -> None:
    count = 4000
    a, b = pairs_at(threshold, count, 64)
    parameters = choose_parameters(rows, threshold, 64)
    normals = hyperplanes(64)
    a_sketches, b_sketches = sign_sketches(a, normals), sign_sketches(b, normals)
    masks = key_masks(parameters)
    found = np.zeros(count, np.bool_)
    for mask in masks:
        found |= ((a_sketches ^ b_sketches) & mask == 0).all(axis=1)
    found &= hamming_distance(a_sketches, b_sketches) <= parameters.cut
    standard_error = math.sqrt(RECALL * (1 - RECALL) / count)
    assert RECALL - 4 * standard_error <= found.mean()
    assert len(masks) == parameters.tables
    assert (np.bitwise_count(masks).sum(axis=1) == parameters.bits).all()


def test_parameters_change_only_at_powers_of_four() -> None:
    assert choose_parameters(EXACT, 0.9, 384).tables == 0
    assert choose_parameters(EXACT + 1, 0.9, 384) == choose_parameters(4 * EXACT, 0.9, 384)
    assert choose_parameters(4 * EXACT + 1, 0.9, 384) == choose_parameters(16 * EXACT, 0.9, 384)
    assert choose_parameters(4 * EXACT, 0.9, 384) != choose_parameters(4 * EXACT + 1, 0.9, 384)
    for threshold in (-1.0, -0.5, 0.0, 0.5, 0.999, 1.0):
        parameters = choose_parameters(10**7, threshold, 8)
        assert parameters.tables >= 1
        assert 0 <= parameters.cut <= BITS


@pytest.mark.parametrize(
    ("rows", "threshold", "dimensions"),
    [(-1, 0.9, 8), (2**32, 0.9, 8), (5, 1.5, 8), (5, math.nan, 8), (5, 0.9, 0)],
)
def test_choose_parameters_refuses_impossible_arguments(
    rows: int, threshold: float, dimensions: int
) -> None:
    with pytest.raises(ValueError, match=r"parameters|threshold"):
        choose_parameters(rows, threshold, dimensions)


def test_a_sketch_depends_only_on_its_vector() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(1200, 33)))
    vectors[5] = 0
    normals = hyperplanes(33)
    sketches = sign_sketches(vectors, normals)
    assert (sign_sketches(vectors[700:], normals) == sketches[700:]).all()
    one_by_one = [sign_sketches(row[None], normals)[0] for row in vectors[:50]]
    assert (np.array(one_by_one) == sketches[:50]).all()
    assert not sketches[5].any()
    assert sketches[6].any()
    assert len(np.unique(sketches, axis=0)) == len(sketches)


def test_hyperplanes_are_normally_distributed_integers_equal_on_all_machines() -> None:
    normals = hyperplanes(100)
    assert normals.shape == (100, BITS)
    assert (normals == np.rint(normals)).all()
    assert abs(normals.mean()) < 1
    assert normals.std() == pytest.approx(37, rel=0.02)
    assert (np.abs(normals) < normals.std()).mean() == pytest.approx(0.683, abs=0.02)
    assert (hyperplanes(100, seed=1) != normals).any()
    assert normals[0, :8].tolist() == [-29, 13, -72, 8, -52, -41, -6, -71]


def test_sign_sketches_refuse_products_beyond_the_precision_of_float32() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        sign_sketches(np.ones((1, 2), np.float16), np.full((2, BITS), 1e6, np.float32))
