"""Specification of `cosine_edges`: all pairs strictly above a cosine threshold."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from persona_assets.dedup.edges import MAX_EDGES, Edges
from persona_assets.dedup.semantic.cosine_join import (
    cosine_edges,
    join_vectors,
    sampled_recall,
    vector_neighbours,
)
from persona_assets.dedup.semantic.distinct_vectors import no_vectors
from persona_assets.dedup.semantic.sign_sketches import BITS, EXACT, Parameters, choose_parameters
from persona_assets_tests.dedup.vectors import clustered, equal_edges, half_precision_units, pairs

ROUNDING = 2.0**-10
"""Maximum change of a cosine when its vectors are rounded to half precision."""


def exact_cosines(vectors: np.ndarray) -> dict[tuple[int, int], float]:
    """Compute the cosine of every pair of nonzero vectors without rounding them."""
    cosines: dict[tuple[int, int], float] = {}
    rows = [[float(x) for x in row] for row in vectors]
    for (i, a), (j, b) in itertools.combinations(enumerate(rows), 2):
        lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
        if lengths:
            cosines[i, j] = math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths
    return cosines


matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 12), st.integers(0, 4)),
    elements=st.floats(-4, 4, width=16) | st.integers(-2, 2).map(float),
)


@settings(deadline=None, max_examples=100)
@given(matrices, st.sampled_from([0.9, 0.5, 0.0, -0.5]))
def test_cosine_edges_equal_the_naive_loop_up_to_rounding(
    vectors: np.ndarray, threshold: float
) -> None:
    edges = cosine_edges(vectors, threshold)
    exact = exact_cosines(vectors)
    joined = dict(zip(pairs(edges), edges.similarity.tolist(), strict=True))
    assert all(joined[pair] == pytest.approx(exact[pair], abs=ROUNDING) for pair in joined)
    assert set(joined) >= {pair for pair, value in exact.items() if value > threshold + ROUNDING}
    assert set(joined) <= {pair for pair, value in exact.items() if value > threshold - ROUNDING}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_cosine_edges_are_exact_for_vectors_in_half_precision(dtype: type) -> None:
    vectors: np.ndarray = clustered(3000, 25, seed=3).astype(dtype)
    vectors[17] = 0
    units = half_precision_units(vectors)
    squares = (units**2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        cosines = (units @ units.T) / np.sqrt(np.outer(squares, squares))
    left, right = np.nonzero(np.triu(cosines > 0.7, k=1))
    edges = cosine_edges(vectors, 0.7, threads=2)
    assert len(edges) > 1400
    assert pairs(edges) == list(zip(left.tolist(), right.tolist(), strict=True))
    assert edges.similarity.tolist() == cosines[left, right].tolist()


def test_rounding_to_half_precision_hardly_changes_a_cosine() -> None:
    vectors = clustered(2000, 384).astype(np.float64)
    edges = cosine_edges(vectors.astype(np.float32), 0.8)
    error = np.abs((vectors[edges.left] * vectors[edges.right]).sum(axis=1) - edges.similarity)
    assert len(edges) == 1000
    assert error.max() < 5e-5
    assert np.median(error) < 1e-5


def test_a_cosine_equal_to_the_threshold_is_no_duplicate() -> None:
    vectors = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [3, 3, 3, -2.9]], dtype=np.float32)
    assert pairs(cosine_edges(vectors, 0.5)) == [(0, 2), (1, 2)]
    equal = np.ones((3, 5), dtype=np.float32)
    assert pairs(cosine_edges(equal, 1.0)) == []
    assert cosine_edges(equal, 0.9).similarity.tolist() == [1, 1, 1]
    assert pairs(cosine_edges(-vectors[:1], -1)) == []
    assert pairs(cosine_edges(np.concatenate([vectors, -vectors[:1]]), -1))[-1] == (2, 3)


def test_cosine_edges_ignore_lengths_and_zero_vectors() -> None:
    vectors = np.array([[1e30, 1e30], [0, 0], [1e-30, 1e-30], [0, 0], [2, 2]], dtype=np.float32)
    assert pairs(cosine_edges(vectors, 0.9)) == [(0, 2), (0, 4), (2, 4)]
    assert pairs(cosine_edges(vectors, -1)) == [(0, 2), (0, 4), (2, 4)]


def test_without_rows_or_dimensions_there_are_no_edges() -> None:
    assert len(cosine_edges(np.empty((0, 384), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.empty((0, 0), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.empty((3, 0), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.zeros((3, 384), np.float32), 0.9)) == 0


def test_cosine_edges_refuse_a_wrong_shape_threshold_or_parameters() -> None:
    with pytest.raises(ValueError, match="shape"):
        cosine_edges(np.ones(3, np.float32), 0.9)
    for threshold in (math.nan, 1.5, -2):
        with pytest.raises(ValueError, match="between -1 and 1"):
            cosine_edges(np.ones((2, 2), np.float32), threshold)
    with pytest.raises(ValueError, match="for 2 dimensions"):
        cosine_edges(np.ones((2, 2), np.float32), 0.9, parameters=choose_parameters(10, 0.8, 2))


def test_cosine_edges_refuse_a_vector_that_is_not_finite_and_name_its_row() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        for bad in (math.nan, math.inf, -math.inf):
            with pytest.raises(ValueError, match="vector 1 "):
                cosine_edges(np.array([[1, 0], [bad, 0]], dtype), 0.9)
    with pytest.raises(ValueError, match="vector 1500 "):
        cosine_edges(np.repeat([[1.0, 0], [1e200, 0]], 1500, axis=0), 0.9, threads=2)


def test_sketches_find_planted_pairs_and_only_true_pairs() -> None:
    vectors = clustered(6000, 64)
    exact = cosine_edges(vectors, 0.9)
    parameters = choose_parameters(10**6, 0.9, 64)
    sketched = cosine_edges(vectors, 0.9, parameters=parameters)
    assert parameters.tables > 0
    assert len(exact) > 1800
    assert set(pairs(sketched)) <= set(pairs(exact))
    assert len(sketched) >= 0.99 * len(exact)
    cosines = dict(zip(pairs(exact), exact.similarity.tolist(), strict=True))
    assert [cosines[pair] for pair in pairs(sketched)] == sketched.similarity.tolist()
    recall = sampled_recall(vectors, sketched, 0.9, sample=6000)
    assert recall == (len(sketched), len(exact))
    assert equal_edges(sketched, cosine_edges(vectors, 0.9, 2, parameters))


def test_cosine_edges_choose_sketches_for_many_rows_of_a_mapped_matrix(tmp_path: Path) -> None:
    rows = EXACT + 4000
    np.save(tmp_path / "vectors.npy", clustered(rows, 32).astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    edges = cosine_edges(mapped, 0.9, threads=2)
    recall = sampled_recall(mapped, edges, 0.9, sample=2000)
    assert recall.true > 500
    assert recall.found >= 0.99 * recall.true


def test_vector_neighbours_are_all_pairs_of_the_given_rows() -> None:
    vectors = clustered(500, 16)
    vectors[3] = 0
    vectors[4] = vectors[5]
    rows = [3, 4, 77, 78, 4]
    expected = [pair for pair in pairs(cosine_edges(vectors, 0.5)) if {*pair} & {*rows}]
    assert (4, 5) in expected
    assert pairs(vector_neighbours(vectors, rows, 0.5)) == expected


def test_sampled_recall_of_no_edges_finds_nothing() -> None:
    vectors = clustered(500, 16)
    recall = sampled_recall(vectors, Edges.from_pairs([], [], []), 0.5, sample=100)
    assert recall.found == 0
    assert recall.true > 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tables", [0, 2])
def test_join_vectors_refuses_more_than_the_maximum_number_of_edges(
    threads: int, tables: int
) -> None:
    rng = np.random.default_rng(0)
    vectors = np.ones((200, 8), np.float32) + 0.05 * rng.normal(size=(200, 8)).astype(np.float32)
    parameters = Parameters(8, 0.9, min(tables, 1), tables, BITS)
    edges = join_vectors(no_vectors(8), vectors, parameters, threads).edges
    assert len(edges) > 10_000
    known = MAX_EDGES - len(edges)
    at_limit = join_vectors(no_vectors(8), vectors, parameters, threads, known).edges
    assert equal_edges(at_limit, edges)
    with pytest.raises(ValueError, match="more than 100,000,000 pairs"):
        join_vectors(no_vectors(8), vectors, parameters, threads, known + 1)
