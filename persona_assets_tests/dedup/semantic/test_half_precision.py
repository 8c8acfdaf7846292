"""Specification of half precision in kernels: conversions as in numpy, and exact cosines."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from persona_assets.dedup.kernels.compile import frozen
from persona_assets.dedup.semantic.cosine_join import cosine_edges
from persona_assets.dedup.semantic.half_precision import cosines, decode_halves, unit_vectors


def test_decode_halves_equals_numpy_except_for_infinity() -> None:
    halves = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    singles = np.empty(halves.shape, np.float32)
    decode_halves(frozen(halves), singles)
    expected = halves.view(np.float16).astype(np.float32)
    expected[np.isinf(expected)] = np.nan
    assert np.array_equal(singles, expected, equal_nan=True)
    assert (np.signbit(singles) == np.signbit(expected))[~np.isnan(expected)].all()


def test_unit_vectors_are_rounded_as_numpy_does() -> None:
    rng = np.random.default_rng(2)
    small = np.float32(2.0) ** rng.uniform(-30, -9, 4000).astype(np.float32)
    ties = (np.arange(1, 4000, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
    values = np.concatenate([small, -small, ties, -ties])
    vectors = np.stack([np.ones_like(values), values], axis=1)
    length = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    rounded = (vectors / length[:, None]).astype(np.float32).astype(np.float16).astype(np.float64)
    sample = slice(0, len(values), 80)
    edges = cosine_edges(vectors[sample], 0.5)
    a, b = rounded[sample][edges.left], rounded[sample][edges.right]
    expected = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    count = len(values[sample])
    assert len(edges) == count * (count - 1) // 2
    assert (edges.similarity == np.minimum(expected, 1)).all()


@pytest.mark.parametrize(("dimensions", "old"), [(1, 3), (7, 0), (384, 20)])
def test_cosines_equal_to_the_threshold_are_decided_without_error(
    dimensions: int, old: int
) -> None:
    rng = np.random.default_rng(4)
    centre, offsets = rng.normal(size=(1, dimensions)), rng.normal(size=(40, dimensions))
    # All cosines are about 0.9, and some differ by less than half precision resolves.
    offsets /= np.linalg.norm(offsets, axis=1)[:, None]
    vectors = 3 * centre / np.linalg.norm(centre) + offsets
    vectors[5] = 0
    with ThreadPoolExecutor(1) as pool:
        units = unit_vectors(vectors, pool)
    left, right = np.triu_indices(len(units), k=1)
    left, right = left[right >= old].astype(np.int64), right[right >= old].astype(np.int64)
    exact = units.astype(np.float64)
    squares = (exact * exact).sum(axis=1)
    with np.errstate(invalid="ignore"):
        expected = (exact[left] * exact[right]).sum(axis=1)
        expected /= np.sqrt(squares[left] * squares[right])
    expected = np.nan_to_num(np.minimum(expected, 1), nan=-2)
    for threshold in (-1.0, *rng.choice(expected, 100), 1.0):
        computed = cosines(threshold, units[:old], units[old:], left, right)
        assert computed.tolist() == np.where(expected > threshold, expected, -2).tolist()
