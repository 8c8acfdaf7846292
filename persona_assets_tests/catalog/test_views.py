"""Views of the catalog show the rows of an asset over all shards, and all dropped rows."""

from dataclasses import replace

import polars as pl
import pytest

from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.generation import CallRecord, Journal
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.sample_tables import ROWS, TABLES, write


def test_asset_view_has_the_rows_of_all_shards(finished: SampleProject) -> None:
    for asset, shards in (("persona_hub", list(TEXTS)), ("math_train", [None])):
        rows = sum(len(finished.rows(asset, shard)) for shard in shards)
        counts = finished.catalog.query(f"SELECT shard, count(*) AS n FROM {asset} GROUP BY ALL")
        assert counts["n"].sum() == rows
        assert set(counts["shard"]) == set(shards)


def test_asset_view_follows_a_schema_change(storage: Storage, catalog: Catalog) -> None:
    for shard in ("a.txt", "b.txt"):
        catalog.add(*write(storage, "texts", shard, {f"of {shard}": None}))
    wider = Table(pl.Schema({**ROWS, "tone": pl.String()}), "id", makes=True)
    catalog = Catalog(storage, {**TABLES, "texts": wider})
    tones = "SELECT tone FROM texts ORDER BY id"
    catalog.add(*write(storage, "texts", "a.txt", {"of a.txt": None}, tone="dry"))
    assert catalog.query(tones)["tone"].to_list() == ["dry", None]
    catalog.add(*write(storage, "texts", "b.txt", {"of b.txt": None}, tone="warm"))
    assert catalog.query(tones)["tone"].to_list() == ["dry", "warm"]


def test_rebuild_accepts_tables_older_than_their_schema(storage: Storage, catalog: Catalog) -> None:
    write(storage, "texts", "a.txt", {"t1": None})
    write(storage, "rows", "a.txt", {"r1": "t1"})
    new_schema = pl.Schema({"row_id": pl.String(), "text_id": pl.String()})
    catalog = Catalog(
        storage, {**TABLES, "rows": Table(new_schema, "row_id", "text_id", makes=True)}
    )
    assert catalog.rebuild() == 2
    assert catalog.query("SELECT asset FROM lineage").rows() == [("rows",)]
    assert catalog.query("FROM texts")["id"].to_list() == ["t1"]
    assert catalog.trace("t1")["asset"].to_list() == ["texts"]
    with pytest.raises(CatalogError, match="no row r1"):
        catalog.trace("r1")


def test_asset_may_have_a_name_that_the_catalogs_own_sql_uses(storage: Storage) -> None:
    macros = ("chain", "made", "found", "words", "fate", "depth", "place", "lexical", "f")
    updates = ("paid", "places", "live", "added")
    names = (*updates, "m", "t", *macros)
    catalog = Catalog(storage, {name: TABLES["texts"] for name in names})
    for name in names:
        with Journal(storage.journal(name, None)) as journal:
            journal.append(CallRecord("k", 200, {}))
        write(storage, name, None, {f"of {name}": None})
    catalog.rebuild()
    for name in updates:
        catalog.add(storage.path(name, None), storage.existing_footer(name, None))
    for name in names:
        row_id = f"of {name}"
        assert catalog.query(f"FROM {name}")["id"].to_list() == [row_id]
        assert catalog.trace(row_id)["asset"].to_list() == [name]
        assert catalog.query("FROM affected_by(?)", [row_id]).rows() == [(name, None, row_id)]
        assert catalog.query("SELECT asset FROM why(?)", [row_id]).rows() == [(name,)]
    assert catalog.usage()["calls"].to_list() == [1] * len(names)


def test_quarantine_view_has_the_drops_of_published_tables_alone(
    storage: Storage, catalog: Catalog
) -> None:
    path, footer = write(storage, "texts", "a.txt", {"t1": None})
    quarantined = storage.path("texts", "a.txt", "quarantine")
    quarantined.unlink()
    catalog.add(path, footer)
    assert catalog.query("FROM quarantine").is_empty()
    dropped = quarantine("texts", [("t2", "odd")])
    rows = storage.scan("texts", "a.txt").collect()
    catalog.add(storage.write(StepResult(rows, dropped), footer), footer)
    drops = [("texts", "a.txt", "t2", "texts", "odd")]
    assert catalog.query("FROM quarantine").rows() == drops
    # The table of these drops is not yet published, or was removed.
    storage.write(StepResult(rows, dropped), footer.model_copy(update={"shard": "b.txt"})).unlink()
    assert catalog.query("FROM quarantine").rows() == drops
    assert catalog.query("SELECT row_id, outcome FROM why('t2')").rows() == [("t2", "dropped")]


def test_task_reports_are_those_of_all_tasks_that_have_one(
    storage: Storage, catalog: Catalog
) -> None:
    on = {f"report_{task}": replace(TABLES["texts"], reports_on=task) for task in ("a", "b", "c")}
    catalog = Catalog(storage, {**TABLES, **on})
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    assert catalog.query("SELECT task, id FROM task_reports").is_empty()
    for name in ("report_b", "report_a"):
        catalog.add(*write(storage, name, None, {f"row of {name}": None}))
    rows = catalog.query("SELECT task, id FROM task_reports ORDER BY task").rows()
    assert rows == [("a", "row of report_a"), ("b", "row of report_b")]


def test_every_task_of_a_finished_project_has_a_report(finished: SampleProject) -> None:
    rates = finished.catalog.query(
        "SELECT task, n, of FROM task_reports WHERE measure = 'pass_rate'"
    )
    assert dict(rates.select("task", "of").iter_rows()).keys() == finished.settings.tasks.keys() | {
        "game_npcs",
        "knowledge_texts",
        "logic_problems",
    }
