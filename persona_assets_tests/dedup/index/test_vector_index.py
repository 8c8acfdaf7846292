"""Specification of `VectorIndex`: adding vectors in batches gives the result of a single join."""

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
from persona_assets_tests.dedup.vectors import clustered, equal_edges, half_precision_units


@contextmanager
def open_index(
    folder: Path, parameters: Parameters, threads: int = 1
) -> Iterator[tuple[ColumnStore, VectorIndex]]:
    with ColumnStore(
        folder, VectorIndex.shapes(parameters.dimensions), repr(parameters)
    ) as columns:
        yield columns, VectorIndex(columns, parameters, threads)


def add_in_runs(
    folder: Path, parameters: Parameters, parts: Sequence[np.ndarray], threads: int = 1
) -> tuple[list[int], Edges]:
    """Add each part in a run of its own; return the item of each vector, and the edges."""
    items: list[int] = []
    edges = Edges.from_pairs([], [], [])
    for part in parts:
        with open_index(folder, parameters, threads) as (columns, vectors):
            items += vectors.add(part).tolist()
            columns.commit({})
            edges = vectors.edges()
    return items, edges


@st.composite
def repeated(draw: st.DrawFn) -> np.ndarray:
    """Draw vectors of few directions: many are equal, some are zero, some are similar."""
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
def test_items_and_edges_do_not_depend_on_the_split_into_batches(
    rows: np.ndarray, cuts: list[int], threads: int, parameters: Parameters
) -> None:
    with empty_folder() as folder:
        items, edges = add_in_runs(folder / "whole", parameters, [rows])
        parts = np.split(rows, sorted(cuts))
        split_items, split_edges = add_in_runs(folder / "split", parameters, parts, threads)
    assert items == split_items
    assert equal_edges(edges, split_edges)
    joined = cosine_edges(rows, 0.9, parameters=parameters)
    assert equal_edges(edges.expanded(np.array(items)), joined)
    assert items == items_by_first_appearance(rows)


def items_by_first_appearance(rows: np.ndarray) -> list[int]:
    """Number the distinct vectors in half precision; each zero vector is an item of its own."""
    item_of: dict[bytes, int] = {}
    items: list[int] = []
    # Adding 0 turns negative zeros into positive zeros.
    for i, row in enumerate(half_precision_units(rows).astype(np.float16) + np.float16(0)):
        key = row.tobytes() if row.any() else bytes([i])
        items.append(item_of.setdefault(key, len(item_of)))
    return items


def test_an_index_of_thousands_equals_a_single_join_and_is_not_extended_by_known_vectors(
    tmp_path: Path,
) -> None:
    vectors = clustered(6000, 64)
    parameters = choose_parameters(10**6, 0.9, 64)
    parts = np.split(vectors, [10, 3000, 3001, 5000])
    items, edges = add_in_runs(tmp_path, parameters, parts, threads=2)
    assert items == list(range(6000))
    assert equal_edges(edges, cosine_edges(vectors, 0.9, parameters=parameters))
    with open_index(tmp_path, parameters) as (columns, known):
        assert known.sampled_recall(6000).true == len(cosine_edges(vectors, 0.9))
        assert known.add(vectors).tolist() == items
        columns.commit({})
        assert equal_edges(known.edges(), edges)
        columns.clear()
        assert known.add(vectors[:1]).tolist() == [0]


@pytest.mark.parametrize(("size", "zeros"), [(100, 1000), (10**6, 30_000)])
def test_equal_vectors_share_an_item_and_zero_vectors_do_not(
    tmp_path: Path, size: int, zeros: int
) -> None:
    vectors = np.ones((60_000, 16), np.float32)
    vectors[10_000:] = 0
    vectors[10_000 + zeros :] = np.arange(16)
    parameters = choose_parameters(size, 0.9, 16)
    parts = [vectors, vectors[9999:10_001], vectors[-3:] * 7]
    items, edges = add_in_runs(tmp_path, parameters, parts)
    assert len(edges) == 0
    assert set(items[:10_000]) == {0}
    assert items[10_000 : 10_000 + zeros] == list(range(1, zeros + 1))
    assert set(items[10_000 + zeros : 60_000]) == {zeros + 1}
    assert items[60_000:] == [0, zeros + 2, *[zeros + 1] * 3]
    with pytest.raises(ValueError, match="drop identical"):
        cosine_edges(vectors, 0.9, parameters=parameters)


def test_add_accepts_columns_of_lists_or_arrays_and_refuses_other_dimensions(
    tmp_path: Path,
) -> None:
    vectors = clustered(40, 6)
    parameters = choose_parameters(40, 0.9, 6)
    for number, dtype in enumerate(
        (pl.List(pl.Float32), pl.Array(pl.Float32, 6), pl.List(pl.Float64))
    ):
        column = pl.Series("vector", vectors.tolist(), dtype)
        with open_index(tmp_path / str(number), parameters) as (columns, known):
            assert known.add(column).tolist() == list(range(40))
            assert known.add(column.head(0)).tolist() == []
            columns.commit({})
            assert equal_edges(known.edges(), cosine_edges(vectors, 0.9))
            too_short: list[list[list[float] | None]] = [[[1.0] * 5], [None], [[]]]
            for bad in too_short:
                with pytest.raises(ValueError, match="6 dimensions"):
                    known.add(pl.Series("vector", bad, pl.List(pl.Float32)))
            with pytest.raises(ValueError, match="vector 0 "):
                known.add(pl.Series("vector", [[1.0] * 5 + [None]], pl.List(pl.Float32)))
    with (
        open_index(tmp_path, parameters) as (_, known),
        pytest.raises(ValueError, match=r"\(n, 6\)"),
    ):
        known.add(np.ones((3, 5), np.float32))


def test_to_matrix_refuses_vectors_of_different_dimensions() -> None:
    mixed = pl.Series([[1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="2 and 4 dimensions: embed all with one model"):
        to_matrix(mixed)
    with pytest.raises(ValueError, match="2 and 3 dimensions: embed all with one model"):
        to_matrix(mixed[:1], 3)
    assert to_matrix(mixed[:1]).tolist() == [[1.0, 0.0]]
