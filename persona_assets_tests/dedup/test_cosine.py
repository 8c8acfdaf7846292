import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from persona_assets.dedup.columns import Columns
from persona_assets.dedup.cosine import Vectors, cosine_edges, neighbours, sampled_recall
from persona_assets.dedup.signs import BITS, EXACT, Parameters, parameters
from persona_assets.dedup.survivors import MAX_EDGES, Edges

ROUNDING = 2.0**-10


def pairs(edges: Edges) -> list[tuple[int, int]]:
    return list(zip(edges.left.tolist(), edges.right.tolist(), strict=True))


def same(one: Edges, other: Edges) -> bool:
    return pairs(one) == pairs(other) and one.similarity.tolist() == other.similarity.tolist()


def rounded(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors in half precision, as float64; zero vectors stay."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    units = vectors / np.where(lengths > 0, lengths, 1)[:, None]
    return units.astype(np.float32).astype(np.float16).astype(np.float64)


def naive(vectors: np.ndarray) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    rows = [[float(x) for x in row] for row in vectors]
    for (i, a), (j, b) in itertools.combinations(enumerate(rows), 2):
        lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
        if lengths:
            found[i, j] = math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths
    return found


def clustered(rows: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Rows of which the second half are near the first half, at cosines from 0.85 to 0.99."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(rows // 2, dimensions))
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    noise = rng.normal(size=half.shape)
    noise -= (noise * half).sum(axis=1, keepdims=True) * half
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    cosine = rng.uniform(0.85, 0.99, size=(rows // 2, 1))
    near = cosine * half + np.sqrt(1 - cosine**2) * noise
    return np.concatenate([half, near]).astype(np.float32)[rng.permutation(rows)]


@contextmanager
def index(folder: Path, chosen: Parameters, threads: int = 1) -> Iterator[tuple[Columns, Vectors]]:
    with Columns(folder, Vectors.shapes(chosen.dimensions), repr(chosen)) as columns:
        yield columns, Vectors(columns, chosen, threads)


def added(
    folder: Path, chosen: Parameters, parts: Sequence[np.ndarray], threads: int = 1
) -> tuple[list[int], Edges]:
    """Numbers and edges of an index that is opened anew for each part."""
    numbers: list[int] = []
    edges = Edges.of([], [], [])
    for part in parts:
        with index(folder, chosen, threads) as (columns, vectors):
            numbers += vectors.add(part).tolist()
            columns.commit({})
            edges = vectors.edges()
    return numbers, edges


matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 12), st.integers(0, 4)),
    elements=st.floats(-4, 4, width=16) | st.integers(-2, 2).map(float),
)


@settings(deadline=None, max_examples=100)
@given(matrices, st.sampled_from([0.9, 0.5, 0.0, -0.5]))
def test_equals_the_naive_loop(vectors: np.ndarray, threshold: float) -> None:
    edges = cosine_edges(vectors, threshold)
    expected = naive(vectors)
    found = dict(zip(pairs(edges), edges.similarity.tolist(), strict=True))
    assert all(found[pair] == pytest.approx(expected[pair], abs=ROUNDING) for pair in found)
    assert set(found) >= {pair for pair, value in expected.items() if value > threshold + ROUNDING}
    assert set(found) <= {pair for pair, value in expected.items() if value > threshold - ROUNDING}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_decides_rounded_vectors_without_error(dtype: type) -> None:
    vectors = clustered(3000, 25, seed=3).astype(dtype)
    vectors[17] = 0
    exact = rounded(vectors)
    squares = (exact**2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        cosines = (exact @ exact.T) / np.sqrt(np.outer(squares, squares))
    left, right = np.nonzero(np.triu(cosines > 0.7, k=1))
    edges = cosine_edges(vectors, 0.7, threads=2)
    assert len(edges) > 1400
    assert pairs(edges) == list(zip(left.tolist(), right.tolist(), strict=True))
    assert edges.similarity.tolist() == cosines[left, right].tolist()


def test_rounding_hardly_moves_a_cosine() -> None:
    vectors = clustered(2000, 384).astype(np.float64)
    edges = cosine_edges(vectors.astype(np.float32), 0.8)
    moved = np.abs((vectors[edges.left] * vectors[edges.right]).sum(axis=1) - edges.similarity)
    assert len(edges) == 1000
    assert moved.max() < 5e-5
    assert np.median(moved) < 1e-5


def test_the_threshold_itself_is_no_duplicate() -> None:
    vectors = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [3, 3, 3, -2.9]], dtype=np.float32)
    assert pairs(cosine_edges(vectors, 0.5)) == [(0, 2), (1, 2)]
    same = np.ones((3, 5), dtype=np.float32)
    assert pairs(cosine_edges(same, 1.0)) == []
    assert cosine_edges(same, 0.9).similarity.tolist() == [1, 1, 1]
    assert pairs(cosine_edges(-vectors[:1], -1)) == []
    assert pairs(cosine_edges(np.concatenate([vectors, -vectors[:1]]), -1))[-1] == (2, 3)


def test_length_does_not_matter_and_zero_matches_nothing() -> None:
    vectors = np.array([[1e30, 1e30], [0, 0], [1e-30, 1e-30], [0, 0], [2, 2]], dtype=np.float32)
    assert pairs(cosine_edges(vectors, 0.9)) == [(0, 2), (0, 4), (2, 4)]
    assert pairs(cosine_edges(vectors, -1)) == [(0, 2), (0, 4), (2, 4)]


def test_no_rows() -> None:
    assert len(cosine_edges(np.empty((0, 384), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.empty((0, 0), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.empty((3, 0), np.float32), 0.9)) == 0
    assert len(cosine_edges(np.zeros((3, 384), np.float32), 0.9)) == 0


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="shape"):
        cosine_edges(np.ones(3, np.float32), 0.9)
    for threshold in (math.nan, 1.5, -2):
        with pytest.raises(ValueError, match="between -1 and 1"):
            cosine_edges(np.ones((2, 2), np.float32), threshold)
    for dtype in (np.float16, np.float32, np.float64):
        for bad in (math.nan, math.inf, -math.inf):
            with pytest.raises(ValueError, match="vector 1 "):
                cosine_edges(np.array([[1, 0], [bad, 0]], dtype), 0.9)
    with pytest.raises(ValueError, match="vector 1500 "):
        cosine_edges(np.repeat([[1.0, 0], [1e200, 0]], 1500, axis=0), 0.9, threads=2)
    with pytest.raises(ValueError, match="for 2 dimensions"):
        cosine_edges(np.ones((2, 2), np.float32), 0.9, parameters=parameters(10, 0.8, 2))


def test_finds_planted_pairs_by_sketches() -> None:
    vectors = clustered(6000, 64)
    exact = cosine_edges(vectors, 0.9)
    chosen = parameters(10**6, 0.9, 64)
    found = cosine_edges(vectors, 0.9, parameters=chosen)
    assert chosen.tables > 0
    assert len(exact) > 1800
    assert set(pairs(found)) <= set(pairs(exact))
    assert len(found) >= 0.99 * len(exact)
    known = dict(zip(pairs(exact), exact.similarity.tolist(), strict=True))
    assert [known[pair] for pair in pairs(found)] == found.similarity.tolist()
    recall = sampled_recall(vectors, found, 0.9, sample=6000)
    assert recall == (len(found), len(exact))
    assert same(found, cosine_edges(vectors, 0.9, 2, chosen))


def test_many_rows_need_no_parameters(tmp_path: Path) -> None:
    rows = EXACT + 4000
    np.save(tmp_path / "vectors.npy", clustered(rows, 32).astype(np.float16))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    edges = cosine_edges(mapped, 0.9, threads=2)
    recall = sampled_recall(mapped, edges, 0.9, sample=2000)
    assert recall.true > 500
    assert recall.found >= 0.99 * recall.true


def test_the_pairs_of_some_rows() -> None:
    vectors = clustered(500, 16)
    vectors[3] = 0
    vectors[4] = vectors[5]
    rows = [3, 4, 77, 78, 4]
    expected = [pair for pair in pairs(cosine_edges(vectors, 0.5)) if {*pair} & {*rows}]
    assert (4, 5) in expected
    assert pairs(neighbours(vectors, rows, 0.5)) == expected
    assert sampled_recall(vectors, Edges.of([], [], []), 0.5, sample=100).found == 0


@st.composite
def repeated(draw: st.DrawFn) -> np.ndarray:
    """Vectors of few directions: many are equal, some zero, some near each other."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows = rng.normal(size=(4, 6))[rng.integers(0, 4, size=draw(st.integers(1, 30)))]
    rows += rng.choice([0, 0.1, 0.5], size=(len(rows), 1)) * rng.normal(size=rows.shape)
    return (rows * rng.choice([0, 1, 1, 1, 8], size=(len(rows), 1))).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(
    repeated(),
    st.lists(st.integers(0, 30), max_size=3),
    st.integers(1, 3),
    st.sampled_from([Parameters(6, 0.9), Parameters(6, 0.9, 5, 7, 60), Parameters(6, 0.9, 0, 1)]),
)
def test_an_index_does_not_depend_on_the_split(
    rows: np.ndarray, cuts: list[int], threads: int, chosen: Parameters
) -> None:
    with TemporaryDirectory() as folder:
        whole = added(Path(folder) / "whole", chosen, [rows])
        split = added(Path(folder) / "split", chosen, np.split(rows, sorted(cuts)), threads)
    assert whole[0] == split[0]
    assert same(whole[1], split[1])
    assert same(whole[1].expanded(np.array(whole[0])), cosine_edges(rows, 0.9, parameters=chosen))
    firsts: dict[bytes, int] = {}
    numbers = []
    for i, row in enumerate(rounded(rows).astype(np.float16) + np.float16(0)):
        key = row.tobytes() if row.any() else bytes([i])
        numbers.append(firsts.setdefault(key, len(firsts)))
    assert whole[0] == numbers


def test_an_index_of_thousands(tmp_path: Path) -> None:
    vectors = clustered(6000, 64)
    chosen = parameters(10**6, 0.9, 64)
    parts = np.split(vectors, [10, 3000, 3001, 5000])
    numbers, edges = added(tmp_path, chosen, parts, threads=2)
    assert numbers == list(range(6000))
    assert same(edges, cosine_edges(vectors, 0.9, parameters=chosen))
    with index(tmp_path, chosen) as (columns, known):
        assert known.sampled_recall(6000).true == len(cosine_edges(vectors, 0.9))
        assert known.add(vectors).tolist() == numbers
        columns.commit({})
        assert same(known.edges(), edges)
        columns.clear()
        assert known.add(vectors[:1]).tolist() == [0]


@pytest.mark.parametrize(("size", "zeros"), [(100, 1000), (10**6, 30_000)])
def test_equal_vectors_are_one_item(tmp_path: Path, size: int, zeros: int) -> None:
    vectors = np.ones((60_000, 16), np.float32)
    vectors[10_000:] = 0
    vectors[10_000 + zeros :] = np.arange(16)
    chosen = parameters(size, 0.9, 16)
    numbers, edges = added(tmp_path, chosen, [vectors, vectors[9999:10_001], vectors[-3:] * 7])
    assert len(edges) == 0
    assert set(numbers[:10_000]) == {0}
    assert numbers[10_000 : 10_000 + zeros] == list(range(1, zeros + 1))
    assert set(numbers[10_000 + zeros : 60_000]) == {zeros + 1}
    assert numbers[60_000:] == [0, zeros + 2, *[zeros + 1] * 3]
    with pytest.raises(ValueError, match="drop identical"):
        cosine_edges(vectors, 0.9, parameters=chosen)


@pytest.mark.parametrize("threads", [1, 2])
def test_too_many_pairs_are_refused(threads: int) -> None:
    rng = np.random.default_rng(0)
    rows = int(math.sqrt(2 * MAX_EDGES)) + 100
    vectors = np.ones((rows, 8), np.float32) + 0.05 * rng.normal(size=(rows, 8)).astype(np.float32)
    with pytest.raises(ValueError, match="more than 20,000,000 pairs"):
        cosine_edges(vectors, 0.9, threads, Parameters(8, 0.9, 2, 3, BITS))


def test_an_index_takes_columns_of_a_table(tmp_path: Path) -> None:
    vectors = clustered(40, 6)
    chosen = parameters(40, 0.9, 6)
    for number, dtype in enumerate(
        (pl.List(pl.Float32), pl.Array(pl.Float32, 6), pl.List(pl.Float64))
    ):
        column = pl.Series("vector", vectors.tolist(), dtype)
        with index(tmp_path / str(number), chosen) as (columns, known):
            assert known.add(column).tolist() == list(range(40))
            assert known.add(column.head(0)).tolist() == []
            columns.commit({})
            assert same(known.edges(), cosine_edges(vectors, 0.9))
            for bad in ([[1.0] * 5], [None], [[]]):
                with pytest.raises(ValueError, match="6 dimensions"):
                    known.add(pl.Series("vector", bad, pl.List(pl.Float32)))
            with pytest.raises(ValueError, match="vector 0 "):
                known.add(pl.Series("vector", [[1.0] * 5 + [None]], pl.List(pl.Float32)))
    with index(tmp_path, chosen) as (_, known), pytest.raises(ValueError, match=r"\(n, 6\)"):
        known.add(np.ones((3, 5), np.float32))
