import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.cosine import cosine_edges
from persona_assets.dedup.kernels import frozen
from persona_assets.dedup.signs import (
    BITS,
    EXACT,
    RECALL,
    WORDS,
    Parameters,
    decode,
    key_masks,
    near,
    parameters,
    planes,
    sketches,
)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def pairs_at(cosine: float, count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors, and others at this cosine to them."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, count, dimensions))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b -= (a * b).sum(axis=1, keepdims=True) * a
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    return unit(a), unit(cosine * a + math.sqrt(1 - cosine**2) * b)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.bitwise_count(a ^ b).sum(axis=-1).astype(np.int64)


@pytest.mark.parametrize("cosine", [0.95, 0.9, 0.5, -0.3])
def test_bits_differ_as_often_as_the_angle_says(cosine: float) -> None:
    a, b = pairs_at(cosine, 3000, 48)
    normals = planes(48)
    differing = apart(sketches(a, normals), sketches(b, normals))
    expected = math.acos(cosine) / math.pi
    # Rows share their planes: in 48 dimensions the mean of many is off by more than one pair's.
    assert differing.mean() / BITS == pytest.approx(expected, abs=0.01)
    assert differing.var() == pytest.approx(BITS * expected * (1 - expected), rel=0.15)


@pytest.mark.parametrize(("threshold", "rows"), [(0.9, 20_000), (0.9, 10**6), (0.8, 10**5)])
def test_a_pair_at_the_threshold_is_found_as_often_as_promised(threshold: float, rows: int) -> None:
    count = 4000
    a, b = pairs_at(threshold, count, 64)
    chosen = parameters(rows, threshold, 64)
    normals = planes(64)
    one, two = sketches(a, normals), sketches(b, normals)
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
    assert parameters(EXACT, 0.9, 384).tables == 0
    assert parameters(EXACT + 1, 0.9, 384) == parameters(4 * EXACT, 0.9, 384)
    assert parameters(4 * EXACT + 1, 0.9, 384) == parameters(16 * EXACT, 0.9, 384)
    assert parameters(4 * EXACT, 0.9, 384) != parameters(4 * EXACT + 1, 0.9, 384)
    for threshold in (-1.0, -0.5, 0.0, 0.5, 0.999, 1.0):
        chosen = parameters(10**7, threshold, 8)
        assert chosen.tables >= 1
        assert 0 <= chosen.cut <= BITS


@pytest.mark.parametrize(
    ("rows", "threshold", "dimensions"),
    [(-1, 0.9, 8), (2**32, 0.9, 8), (5, 1.5, 8), (5, math.nan, 8), (5, 0.9, 0)],
)
def test_parameters_that_there_are_not(rows: int, threshold: float, dimensions: int) -> None:
    with pytest.raises(ValueError, match=r"parameters|threshold"):
        parameters(rows, threshold, dimensions)


def test_a_sketch_depends_on_its_vector_alone() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(1200, 33)))
    vectors[5] = 0
    normals = planes(33)
    made = sketches(vectors, normals)
    assert (sketches(vectors[700:], normals) == made[700:]).all()
    one_by_one = [sketches(row[None], normals)[0] for row in vectors[:50]]
    assert (np.array(one_by_one) == made[:50]).all()
    assert not made[5].any()
    assert made[6].any()
    assert len(np.unique(made, axis=0)) == len(made)


def test_planes_are_normal_whole_and_the_same_everywhere() -> None:
    normals = planes(100)
    assert normals.shape == (100, BITS)
    assert (normals == np.rint(normals)).all()
    assert abs(normals.mean()) < 1
    assert normals.std() == pytest.approx(37, rel=0.02)
    assert (np.abs(normals) < normals.std()).mean() == pytest.approx(0.683, abs=0.02)
    assert (planes(100, seed=1) != normals).any()
    assert normals[0, :8].tolist() == FIRST
    with pytest.raises(ValueError, match="dimensions"):
        sketches(np.ones((1, 2), np.float16), np.full((2, BITS), 1e6, np.float32))


FIRST = [-29, 13, -72, 8, -52, -41, -6, -71]


@st.composite
def sketch_rows(draw: st.DrawFn) -> np.ndarray:
    """Rows a few bits away from a few centres, some of them all zero."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    centres = rng.integers(0, 2**63, size=(3, WORDS)).astype(np.uint64)
    rows = centres[rng.integers(0, 3, size=draw(st.integers(0, 40)))]
    for row in rows:
        for bit in rng.integers(0, BITS, size=rng.integers(0, 30)):
            row[bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
        if rng.random() < 0.1:
            row[:] = 0
    return rows


@settings(deadline=None, max_examples=50)
@given(sketch_rows(), st.integers(0, 40), st.integers(0, 12), st.integers(1, 6), st.integers(4, 30))
def test_near_equals_the_naive_loop(
    rows: np.ndarray, split: int, bits: int, tables: int, cut: int
) -> None:
    chosen = Parameters(8, 0.9, bits, tables, cut)
    split = min(split, len(rows))
    masks = key_masks(chosen)
    expected = {
        (i, j)
        for j in range(split, len(rows))
        for i in range(j)
        if rows[i].any() and rows[j].any()
        if apart(rows[i], rows[j]) <= cut
        and any(not ((rows[i] ^ rows[j]) & m).any() for m in masks)
    }
    batches = near(chosen, range(tables), rows[split:], rows[:split])
    found = [
        tuple(sorted(pair)) for left, right in batches for pair in zip(left, right, strict=True)
    ]
    assert len(found) == len(set(found))
    assert {pair for pair in found if rows[pair[0]].any()} == expected


def test_more_candidates_than_a_batch_holds() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.integers(0, 2**63, size=(1, WORDS)).astype(np.uint64), 600, axis=0)
    chosen = Parameters(8, 0.9, 3, 2, 10)
    for old in (0, 1, 450):
        seen = np.zeros((600, 600), np.int64)
        for left, right in near(chosen, range(2), rows[old:], rows[:old]):
            seen[left, right] += 1
        seen += seen.T
        expected = np.ones((600, 600), np.int64)
        expected[:old, :old] = 0
        np.fill_diagonal(expected, 0)
        assert (seen == expected).all()


def test_halves_are_decoded_as_numpy_does() -> None:
    halves = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    singles = np.empty(halves.shape, np.float32)
    decode(frozen(halves), singles)
    expected = halves.view(np.float16).astype(np.float32)
    expected[np.isinf(expected)] = np.nan
    assert np.array_equal(singles, expected, equal_nan=True)
    assert (np.signbit(singles) == np.signbit(expected))[~np.isnan(expected)].all()


def test_vectors_are_rounded_as_numpy_does() -> None:
    rng = np.random.default_rng(2)
    small = np.float32(2.0) ** rng.uniform(-30, -9, 4000).astype(np.float32)
    ties = (np.arange(1, 4000, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
    values = np.concatenate([small, -small, ties, -ties])
    vectors = np.stack([np.ones_like(values), values], axis=1)
    length = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    rounded = (vectors / length[:, None]).astype(np.float32).astype(np.float16).astype(np.float64)
    chosen = slice(0, len(values), 80)
    edges = cosine_edges(vectors[chosen], 0.5)
    a, b = rounded[chosen][edges.left], rounded[chosen][edges.right]
    expected = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    assert len(edges) == len(values[chosen]) * (len(values[chosen]) - 1) // 2
    assert (edges.similarity == np.minimum(expected, 1)).all()
