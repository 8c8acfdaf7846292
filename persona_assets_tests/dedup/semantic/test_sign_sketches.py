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
    halves: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return halves.astype(np.float16)


def pairs_at(cosine: float, count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors, and others at this cosine to them."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, count, dimensions))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b -= (a * b).sum(axis=1, keepdims=True) * a
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    return unit(a), unit(cosine * a + math.sqrt(1 - cosine**2) * b)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    differing: np.ndarray = np.bitwise_count(a ^ b)
    total: np.ndarray = differing.sum(axis=-1, dtype=np.int64)
    return total


@pytest.mark.parametrize("cosine", [0.95, 0.9, 0.5, -0.3])
def test_bits_differ_as_often_as_the_angle_says(cosine: float) -> None:
    a, b = pairs_at(cosine, 3000, 48)
    normals = hyperplanes(48)
    differing = apart(sign_sketches(a, normals), sign_sketches(b, normals))
    expected = math.acos(cosine) / math.pi
    # Rows share their planes: in 48 dimensions the mean of many is off by more than one pair's.
    assert differing.mean() / BITS == pytest.approx(expected, abs=0.01)
    assert differing.var() == pytest.approx(BITS * expected * (1 - expected), rel=0.15)


@pytest.mark.parametrize(("threshold", "rows"), [(0.9, 20_000), (0.9, 10**6), (0.8, 10**5)])
def test_a_pair_at_the_threshold_is_found_as_often_as_promised(threshold: float, rows: int) -> None:
    count = 4000
    a, b = pairs_at(threshold, count, 64)
    chosen = choose_parameters(rows, threshold, 64)
    normals = hyperplanes(64)
    one, two = sign_sketches(a, normals), sign_sketches(b, normals)
    masks = key_masks(chosen)
    found = np.zeros(count, np.bool_)
    for mask in masks:
        found |= ((one ^ two) & mask == 0).all(axis=1)
    found &= apart(one, two) <= chosen.cut
    spread = math.sqrt(RECALL * (1 - RECALL) / count)
    assert RECALL - 4 * spread <= found.mean()
    assert len(masks) == chosen.tables
    assert (np.bitwise_count(masks).sum(axis=1) == chosen.bits).all()


def test_parameters_are_those_of_a_size_class() -> None:
    assert choose_parameters(EXACT, 0.9, 384).tables == 0
    assert choose_parameters(EXACT + 1, 0.9, 384) == choose_parameters(4 * EXACT, 0.9, 384)
    assert choose_parameters(4 * EXACT + 1, 0.9, 384) == choose_parameters(16 * EXACT, 0.9, 384)
    assert choose_parameters(4 * EXACT, 0.9, 384) != choose_parameters(4 * EXACT + 1, 0.9, 384)
    for threshold in (-1.0, -0.5, 0.0, 0.5, 0.999, 1.0):
        chosen = choose_parameters(10**7, threshold, 8)
        assert chosen.tables >= 1
        assert 0 <= chosen.cut <= BITS


@pytest.mark.parametrize(
    ("rows", "threshold", "dimensions"),
    [(-1, 0.9, 8), (2**32, 0.9, 8), (5, 1.5, 8), (5, math.nan, 8), (5, 0.9, 0)],
)
def test_parameters_that_there_are_not(rows: int, threshold: float, dimensions: int) -> None:
    with pytest.raises(ValueError, match=r"parameters|threshold"):
        choose_parameters(rows, threshold, dimensions)


def test_a_sketch_depends_on_its_vector_alone() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(1200, 33)))
    vectors[5] = 0
    normals = hyperplanes(33)
    made = sign_sketches(vectors, normals)
    assert (sign_sketches(vectors[700:], normals) == made[700:]).all()
    one_by_one = [sign_sketches(row[None], normals)[0] for row in vectors[:50]]
    assert (np.array(one_by_one) == made[:50]).all()
    assert not made[5].any()
    assert made[6].any()
    assert len(np.unique(made, axis=0)) == len(made)


def test_planes_are_normal_whole_and_the_same_everywhere() -> None:
    normals = hyperplanes(100)
    assert normals.shape == (100, BITS)
    assert (normals == np.rint(normals)).all()
    assert abs(normals.mean()) < 1
    assert normals.std() == pytest.approx(37, rel=0.02)
    assert (np.abs(normals) < normals.std()).mean() == pytest.approx(0.683, abs=0.02)
    assert (hyperplanes(100, seed=1) != normals).any()
    assert normals[0, :8].tolist() == FIRST
    with pytest.raises(ValueError, match="dimensions"):
        sign_sketches(np.ones((1, 2), np.float16), np.full((2, BITS), 1e6, np.float32))


FIRST = [-29, 13, -72, 8, -52, -41, -6, -71]
