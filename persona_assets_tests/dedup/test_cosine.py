import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from persona_assets.dedup.cosine import cosine_edges
from persona_assets.dedup.survivors import Edges


def pairs(edges: Edges) -> list[tuple[int, int]]:
    return list(zip(edges.left.tolist(), edges.right.tolist(), strict=True))


def naive(vectors: np.ndarray) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    rows = [[float(x) for x in row] for row in vectors]
    for (i, a), (j, b) in itertools.combinations(enumerate(rows), 2):
        lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
        if lengths:
            found[i, j] = math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths
    return found


matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 12), st.integers(0, 4)),
    elements=st.floats(-4, 4, width=16) | st.integers(-2, 2).map(float),
)


@settings(deadline=None, max_examples=200)
@given(matrices, st.sampled_from([0.9, 0.5, 0.0, -0.5]))
def test_equals_the_naive_loop(vectors: np.ndarray, threshold: float) -> None:
    edges = cosine_edges(vectors, threshold)
    expected = naive(vectors)
    found = dict(zip(pairs(edges), edges.similarity.tolist(), strict=True))
    assert all(found[pair] == pytest.approx(expected[pair], abs=1e-12) for pair in found)
    assert set(found) >= {pair for pair, value in expected.items() if value > threshold + 1e-12}
    assert set(found) <= {pair for pair, value in expected.items() if value > threshold - 1e-12}


def test_many_rows_equal_one_float64_product() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(4500, 24)).astype(np.float32)
    vectors[4000:] = vectors[:500] + rng.normal(size=(500, 24)) * 0.3
    vectors[17] = 0
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1)
    lengths[17] = np.inf
    cosines = (exact @ exact.T) / np.outer(lengths, lengths)
    left, right = np.nonzero(np.triu(cosines > 0.7, k=1))
    edges = cosine_edges(vectors, 0.7)
    assert len(edges) > 400
    assert pairs(edges) == list(zip(left.tolist(), right.tolist(), strict=True))
    assert edges.similarity == pytest.approx(cosines[left, right])


def test_the_threshold_itself_is_no_duplicate() -> None:
    vectors = np.array([[3, 4], [1, 0], [3, 3.99]], dtype=np.float32)
    assert pairs(cosine_edges(vectors, 0.6)) == [(0, 2), (1, 2)]
    same = np.ones((3, 5), dtype=np.float32)
    assert pairs(cosine_edges(same, 1.0)) == []
    assert cosine_edges(same, 0.9).similarity.tolist() == pytest.approx([1, 1, 1])


def test_length_does_not_matter_and_zero_matches_nothing() -> None:
    vectors = np.array([[1e30, 1e30], [0, 0], [1e-30, 1e-30], [0, 0], [2, 2]], dtype=np.float32)
    assert pairs(cosine_edges(vectors, 0.9)) == [(0, 2), (0, 4), (2, 4)]


def test_pairs_that_the_embedder_cannot_compare_are_refused() -> None:
    unknown = np.array([0.6, 0.8], dtype=np.float32)
    vectors = np.stack(
        [unknown, unknown, np.array([1, 0], np.float32), np.array([1, 0], np.float32)]
    )
    readable = [False, False, True, True]
    assert pairs(cosine_edges(vectors, 0.9)) == [(0, 1), (2, 3)]
    edges = cosine_edges(vectors, 0.9, comparable=lambda i, j: readable[i] and readable[j])
    assert pairs(edges) == [(2, 3)]


def test_no_rows() -> None:
    assert len(cosine_edges(np.empty((0, 384), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.zeros((3, 384), np.float32), 0.9)) == 0


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="shape"):
        cosine_edges(np.ones(3, np.float32), 0.9)
    for threshold in (math.nan, 1.5, -2):
        with pytest.raises(ValueError, match="between -1 and 1"):
            cosine_edges(np.ones((2, 2), np.float32), threshold)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="vector 1 "):
            cosine_edges(np.array([[1, 0], [bad, 0]], np.float32), 0.9)
