"""The data version hashes rows and schema; the footer survives a round trip through the file."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.storage.footer import Footer, SourceFile, Upstream, data_version

SCHEMA = {
    "id": pl.String(),
    "n": pl.Int64(),
    "tags": pl.List(pl.Struct({"name": pl.String()})),
    "vector": pl.List(pl.Float32()),
}
rows = st.lists(
    st.tuples(
        st.text(max_size=4) | st.none(),
        st.integers(-9, 9) | st.none(),
        st.lists(st.fixed_dictionaries({"name": st.text(max_size=2)}), max_size=2) | st.none(),
        st.lists(st.sampled_from([0.5, -1.0, 2.0]), max_size=3) | st.none(),
    ),
    max_size=8,
)
Rows = list[tuple[object, ...]]


def table(data: Rows) -> pl.DataFrame:
    return pl.DataFrame(data, schema=SCHEMA, orient="row")


@settings(deadline=None)
@given(rows, st.integers(0, 8))
def test_data_version_is_independent_of_chunks(data: Rows, cut: int) -> None:
    parts = [table(data[:cut]), table(data[cut:])]
    assert data_version(pl.concat(parts, rechunk=False)) == data_version(table(data))


@settings(deadline=None)
@given(rows, rows)
def test_data_versions_are_equal_exactly_for_equal_rows(one: Rows, other: Rows) -> None:
    same = table(one).equals(table(other), null_equal=True)
    assert (data_version(table(one)) == data_version(table(other))) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": ["x"]}, {"a": ["x", None]}),
        ({"a": [""]}, {"a": [None]}),
        ({"a": [1]}, {"a": ["1"]}),
        ({"a": [1]}, {"a": [1.0]}),
        ({"a": [1]}, {"b": [1]}),
        ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}),
        ({"a": [0.1 + 0.2]}, {"a": [0.3]}),
    ],
)
def test_data_version_depends_on_values_order_nulls_names_and_types(
    one: dict[str, list[object]], other: dict[str, list[object]]
) -> None:
    assert data_version(pl.DataFrame(one)) != data_version(pl.DataFrame(other))


Vectors = list[list[float] | None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([[1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0]]),
        ([[1.0], [2.0]], [[2.0], [1.0]]),
        ([[], None], [None, []]),
        ([[1.0]], [[1.0], None]),
    ],
)
def test_data_version_depends_on_the_ends_of_vectors(one: Vectors, other: Vectors) -> None:
    schema = {"v": pl.List(pl.Float32())}
    tables = [pl.DataFrame({"v": vectors}, schema=schema) for vectors in (one, other)]
    assert data_version(tables[0]) != data_version(tables[1])


def test_data_version_tells_a_list_of_doubles_from_a_vector() -> None:
    wide = pl.DataFrame({"v": [[0.5, 1.0]]})
    assert data_version(wide) != data_version(wide.cast(pl.List(pl.Float32())))


def test_data_version_of_an_empty_table_depends_on_its_schema() -> None:
    assert data_version(table([])) == data_version(table([]).clone())
    assert data_version(table([])) != data_version(table([]).drop("n"))


def test_footer_survives_a_round_trip_through_the_file(tmp_path: Path) -> None:
    footer = Footer(
        asset="raw_corpus",
        shard="a/b é.jsonl",
        run_id="r",
        code_version="c",
        data_version="d",
        prompt_versions={"tools": "1"},
        upstream=(
            Upstream(asset="x", shard=None, data_version="v"),
            Upstream(asset="y", shard=None, data_version="v", dropped={}),
        ),
        rows=2,
        dropped={"repeat": 1},
        arrival=3,
        source=SourceFile(size=1, mtime_ns=2, sha256="s"),
    )
    path = tmp_path / "table.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(path, metadata=footer.as_metadata())
    assert Footer.read(path) == footer


def test_footer_names_dropped_rows_only_where_they_were_read() -> None:
    upstream = Upstream(asset="x", shard=None, data_version="v")
    footer = Footer(
        asset="y", shard=None, run_id="", code_version="", data_version="", upstream=(upstream,)
    )
    [written] = footer.as_metadata().values()
    assert written.count("dropped") == 1


def test_footer_of_a_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(ValueError, match=r"foreign\.parquet is not a table of this project"):
        Footer.read(path)
