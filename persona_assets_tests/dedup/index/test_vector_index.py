from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.vector_index import VectorIndex, to_matrix
from persona_assets.dedup.semantic.cosine_join import cosine_edges
from persona_assets.dedup.semantic.sign_sketches import Parameters, choose_parameters
from persona_assets_tests.dedup.folders import empty_folder
from persona_assets_tests.dedup.vectors import clustered, rounded, same


@contextmanager
def index(
    folder: Path, chosen: Parameters, threads: int = 1
) -> Iterator[tuple[ColumnStore, VectorIndex]]:
    with ColumnStore(folder, VectorIndex.shapes(chosen.dimensions), repr(chosen)) as columns:
        yield columns, VectorIndex(columns, chosen, threads)


def added(
    folder: Path, chosen: Parameters, parts: Sequence[np.ndarray], threads: int = 1
) -> tuple[list[int], Edges]:
    """Numbers and edges of an index that is opened anew for each part."""
    numbers: list[int] = []
    edges = Edges.from_pairs([], [], [])
    for part in parts:
        with index(folder, chosen, threads) as (columns, vectors):
            numbers += vectors.add(part).tolist()
            columns.commit({})
            edges = vectors.edges()
    return numbers, edges


@st.composite
def repeated(draw: st.DrawFn) -> np.ndarray:
    """Vectors of few directions: many are equal, some zero, some near each other."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows = rng.normal(size=(4, 6))[rng.integers(0, 4, size=draw(st.integers(1, 30)))]
    rows += rng.choice([0, 0.1, 0.5], size=(len(rows), 1)) * rng.normal(size=rows.shape)
    rows *= rng.choice([0, 1, 1, 1, 8], size=(len(rows), 1))
    return rows.astype(np.float32)


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
    with empty_folder() as folder:
        whole = added(folder / "whole", chosen, [rows])
        split = added(folder / "split", chosen, np.split(rows, sorted(cuts)), threads)
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
    chosen = choose_parameters(10**6, 0.9, 64)
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
    chosen = choose_parameters(size, 0.9, 16)
    numbers, edges = added(tmp_path, chosen, [vectors, vectors[9999:10_001], vectors[-3:] * 7])
    assert len(edges) == 0
    assert set(numbers[:10_000]) == {0}
    assert numbers[10_000 : 10_000 + zeros] == list(range(1, zeros + 1))
    assert set(numbers[10_000 + zeros : 60_000]) == {zeros + 1}
    assert numbers[60_000:] == [0, zeros + 2, *[zeros + 1] * 3]
    with pytest.raises(ValueError, match="drop identical"):
        cosine_edges(vectors, 0.9, parameters=chosen)


def test_an_index_takes_columns_of_a_table(tmp_path: Path) -> None:
    vectors = clustered(40, 6)
    chosen = choose_parameters(40, 0.9, 6)
    for number, dtype in enumerate(
        (pl.List(pl.Float32), pl.Array(pl.Float32, 6), pl.List(pl.Float64))
    ):
        column = pl.Series("vector", vectors.tolist(), dtype)
        with index(tmp_path / str(number), chosen) as (columns, known):
            assert known.add(column).tolist() == list(range(40))
            assert known.add(column.head(0)).tolist() == []
            columns.commit({})
            assert same(known.edges(), cosine_edges(vectors, 0.9))
            short: list[list[list[float] | None]] = [[[1.0] * 5], [None], [[]]]
            for bad in short:
                with pytest.raises(ValueError, match="6 dimensions"):
                    known.add(pl.Series("vector", bad, pl.List(pl.Float32)))
            with pytest.raises(ValueError, match="vector 0 "):
                known.add(pl.Series("vector", [[1.0] * 5 + [None]], pl.List(pl.Float32)))
    with index(tmp_path, chosen) as (_, known), pytest.raises(ValueError, match=r"\(n, 6\)"):
        known.add(np.ones((3, 5), np.float32))


def test_vectors_of_two_models_are_told_apart() -> None:
    mixed = pl.Series([[1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="2 and 4 dimensions: embed all with one model"):
        to_matrix(mixed)
    with pytest.raises(ValueError, match="2 and 3 dimensions: embed all with one model"):
        to_matrix(mixed[:1], 3)
    assert to_matrix(mixed[:1]).tolist() == [[1.0, 0.0]]
