"""`open_project`: the tables of a project for a reader outside the graph."""

from pathlib import Path

import polars as pl
import pytest

from persona_assets import CatalogError, MissingTableError, open_project
from persona_assets_tests.sample_project import TEXTS, SampleProject


def test_tables_are_listed_with_their_footers(finished: SampleProject) -> None:
    footers = open_project(finished.data).tables()
    versions = {(footer.asset, footer.shard): footer.data_version for footer in footers}
    assert versions == finished.versions()


def test_asset_is_read_by_shard_or_whole(finished: SampleProject) -> None:
    project = open_project(str(finished.data))
    rows = {shard: project.read("text_personas", shard).collect() for shard in TEXTS}
    for shard, frame in rows.items():
        assert frame.equals(finished.rows("text_personas", shard))
    together = project.read("text_personas").collect()
    assert sorted(together["shard"].unique()) == sorted(TEXTS)
    assert len(together) == sum(map(len, rows.values()))


def test_asset_without_partitions_has_no_shard_column(finished: SampleProject) -> None:
    rows = open_project(finished.data).read("math_test").collect()
    assert rows.equals(finished.rows("math_test"))
    assert "shard" not in rows.columns


def test_asset_of_another_partition_is_read_by_its_key(finished: SampleProject) -> None:
    project = open_project(finished.data)
    assert project.read("fine_tuned_model", "3").collect().height == 1
    assert project.read("fine_tuned_model").collect()["shard"].to_list() == ["1", "3"]


def test_missing_table_is_named(finished: SampleProject, tmp_path: Path) -> None:
    project = open_project(finished.data)
    with pytest.raises(MissingTableError, match="persona_hub of shard 'nowhere' has no table"):
        project.read("persona_hub", "nowhere")
    with pytest.raises(MissingTableError, match="nothing has no table"):
        project.read("nothing")
    with pytest.raises(MissingTableError, match="name the project's data folder"):
        open_project(tmp_path)


def test_query_reads_the_catalog(finished: SampleProject) -> None:
    project = open_project(finished.data)
    [count] = project.query("SELECT count(*) AS n FROM persona_hub")["n"]
    assert count == len(project.read("persona_hub").collect())
    named = project.query("SELECT ? AS name", ["x"])
    assert named.equals(pl.DataFrame({"name": ["x"]}))
    assert project.catalog == finished.data / "catalog.duckdb"
    with pytest.raises(CatalogError, match="nothing"):
        project.query("SELECT * FROM nothing")
