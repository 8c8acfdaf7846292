"""`usage` counts each recorded call and its cost once, by asset, shard, model and run."""

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import CallRecord, Journal
from persona_assets.generation.journal.journal import compact
from persona_assets.storage.storage import PROBE, Storage
from persona_assets.tables import Table
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.sample_tables import ROWS, TABLES, write

BIRDS, _ = TEXTS

ZOO = Path(__file__).parents[1] / "generation" / "zoo"
"""Files of earlier versions."""


def test_usage_equals_the_calls_that_the_server_counted(finished: SampleProject) -> None:
    usage = finished.catalog.usage()
    calls = finished.server.calls
    probes = finished.server.probes
    chats = calls.total() - calls["embeddings"] + sum("messages" in body for body in probes)
    assert usage["calls"].sum() == calls.total() + len(probes)
    # A vector has 5 tokens, in 4 calls and a probe.
    assert usage["tokens"].sum() == 10 * chats + 5 * (4 + 1)
    by_asset = dict(usage.group_by("asset").agg(pl.col("calls").sum()).iter_rows())
    assert by_asset[PROBE] == len(probes)
    assert by_asset["text_personas"] == calls["text_to_persona"]
    assert sum(by_asset[f"hop_{n}_personas"] for n in range(1, 7)) == calls["persona_to_persona"]
    assert by_asset["math_solutions"] == calls["math_solution"] + calls["math_program"]
    assert by_asset["tools"] == calls["tools"]


def test_usage_counts_the_calls_of_a_failed_table(project: SampleProject) -> None:
    project.values["writer"]["concurrency"] = 1
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    project.server.meets = lambda prompt, message: "402" if "storks" in message else None
    project.storage.path("text_personas", BIRDS).unlink()
    runs = project.run("key:text_personas", [BIRDS])
    assert runs[0].error
    project.catalog.rebuild()
    usage = project.catalog.usage([run.run_id for run in runs])
    assert usage["new_calls"].sum() == project.server.calls.total() == 1
    assert usage.filter(pl.col("new_calls") > 0)["shard"].to_list() == [BIRDS]


def test_usage_accepts_malformed_token_counts(storage: Storage, catalog: Catalog) -> None:
    table = write(storage, "texts", "a.txt", {"t1": None})
    with Journal(storage.journal("texts", "a.txt")) as journal:
        for usage in ({"prompt_tokens": "many", "completion_tokens": None}, {"prompt_tokens": 3}):
            journal.append(CallRecord(key=str(usage), status_code=200, body={"usage": usage}))
    catalog.add(*table)
    assert catalog.usage().rows() == [("texts", "a.txt", 2, 3, 0, None, 2, None)]


def record_calls(storage: Storage) -> None:
    """Record calls with and without cost, errors and uncertain attempts, of two runs and models."""
    tokens = {"prompt_tokens": 9, "completion_tokens": 5} | {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    files = storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt")
    with Journal(*files) as journal:
        for run, cost in (("r1", Decimal("0.0000000001")), ("r1", None), ("r2", Decimal("1.25"))):
            key = f"{run} {cost}"
            journal.append(
                CallRecord(
                    key, 200, {"usage": tokens}, model="m", run_id=run, cost=cost, uncertain=2
                )
            )
        journal.append(
            CallRecord("late", error={"code": "timeout", "message": ""}, model="m", run_id="r2"),
            CallRecord("refused", 400, {}, error={"code": "bad_request", "message": ""}, model="n"),
        )


USAGE = [
    ("texts", "a.txt", "m", "r1", 2, 0, 4, 18, 8, 10, 4, Decimal("0.0000000001"), 1),
    ("texts", "a.txt", "m", "r2", 2, 1, 2, 9, 4, 5, 2, Decimal("1.25"), 0),
    ("texts", "a.txt", "n", "", 1, 1, 0, 0, 0, 0, 0, None, 0),
]


def test_usage_counts_a_record_once_in_journal_and_completions(
    storage: Storage, catalog: Catalog
) -> None:
    table = write(storage, "texts", "a.txt", {"t1": None})
    record_calls(storage)
    journal, completions = storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt")
    usage = "FROM usage ORDER BY ALL"
    lines = journal.read_bytes()
    for step in ("live", "compacted", "left in both", "compacted again"):
        if step == "left in both":
            journal.write_bytes(lines)
        elif step != "live":
            compact(journal, completions)
        catalog.add(*table)
        assert catalog.query(usage).rows() == USAGE, step
        catalog.rebuild()
        assert catalog.query(usage).rows() == USAGE, step
    with Journal(journal, completions) as opened:
        opened.append(CallRecord("new", 200, {}, model="n", cost=Decimal("0.5")))
    catalog.add(*table)
    [row] = catalog.query("FROM usage WHERE model = 'n'").rows()
    assert row == ("texts", "a.txt", "n", "", 2, 1, 0, 0, 0, 0, 0, Decimal("0.5"), 0)


EARLIER = Path(__file__).parents[1] / "generation" / "journal" / "earlier" / "a.parquet"
"""Completions file of a version without the column `reused`: 4 records, of which 3 cost 0.5."""


def test_reused_records_count_where_they_were_paid_for(storage: Storage, catalog: Catalog) -> None:
    record_calls(storage)
    paid = list(Journal(storage.journal("texts", "a.txt")).records())
    journal, completions = storage.journal("texts", "b.txt"), storage.completions("texts", "b.txt")
    with Journal(journal) as opened:
        opened.append(*(replace(record, reused=True) for record in paid))
    tables = [write(storage, "texts", shard, {shard: None}) for shard in ("a.txt", "b.txt")]
    for step in ("live", "compacted"):
        if step == "compacted":
            compact(journal, completions)
            compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
        for table in tables:
            catalog.add(*table)
        assert catalog.query("FROM usage ORDER BY ALL").rows() == USAGE, step
        catalog.rebuild()
        assert catalog.query("FROM usage ORDER BY ALL").rows() == USAGE, step
    reused = "SELECT shard, count(*) FROM completions WHERE reused GROUP BY ALL"
    assert catalog.query(reused).rows() == [("b.txt", 5)]


@pytest.mark.parametrize("shard", ["0 earlier.txt", "z earlier.txt"])
def test_files_of_earlier_versions_are_counted_beside_new_ones(
    storage: Storage, catalog: Catalog, shard: str
) -> None:
    record_calls(storage)
    compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
    shutil.copy(EARLIER, storage.completions("texts", shard))
    for each in ("a.txt", shard):
        catalog.add(*write(storage, "texts", each, {each: None}))
    assert dict(catalog.usage().select("shard", "calls").iter_rows()) == {"a.txt": 5, shard: 4}
    counts = "SELECT reused, count(*) FROM completions GROUP BY ALL ORDER BY ALL"
    assert catalog.query(counts).rows() == [(False, 5), (None, 4)]
    assert "line" not in catalog.query("DESCRIBE completions")["column_name"].to_list()


def test_view_of_an_earlier_version_is_replaced(storage: Storage, catalog: Catalog) -> None:
    storage.completions("texts", "a.txt").parent.mkdir(parents=True)
    shutil.copy(EARLIER, storage.completions("texts", "a.txt"))
    table = write(storage, "texts", "a.txt", {"t1": None})
    catalog.add(*table)
    with duckdb.connect(catalog.path) as connection:
        connection.execute(
            "CREATE OR REPLACE VIEW completions AS SELECT 'texts' AS asset, 'a.txt' AS shard, "
            f"t.* EXCLUDE (line) FROM read_parquet('{storage.completions('texts', 'a.txt')}') t"
        )
        connection.execute("UPDATE made_views SET columns = ['key'] WHERE view = 'completions'")
    catalog.add(*table)
    assert "reused" in catalog.query("DESCRIBE completions")["column_name"].to_list()


def test_usage_sums_known_costs_and_counts_unpriced_calls(
    storage: Storage, catalog: Catalog
) -> None:
    record_calls(storage)
    compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    usage = catalog.usage(["r2"])
    assert usage.schema["cost_usd"] == usage.schema["new_cost_usd"] == pl.Decimal(38, 12)
    assert usage.rows(named=True) == [
        {
            "asset": "texts",
            "shard": "a.txt",
            "calls": 5,
            "tokens": 42,
            "new_calls": 2,
            "cost_usd": Decimal("1.2500000001"),
            "unpriced": 1,
            "new_cost_usd": Decimal("1.25"),
        }
    ]
    assert catalog.usage()["new_cost_usd"].to_list() == [None]


def test_completions_join_a_row_to_its_raw_response(storage: Storage) -> None:
    schema = pl.Schema({**ROWS, "completion_id": pl.String()})
    tables = {**TABLES, "texts": Table(schema, "id", makes=True), "curve": Table(ROWS, "id")}
    catalog = Catalog(storage, tables)
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}, completion_id="r2 1.25"))
    assert catalog.query("FROM completions").is_empty()
    empty = catalog.query("DESCRIBE completions").select("column_name", "column_type")
    record_calls(storage)
    compact(storage.journal("texts", "a.txt"), storage.completions("texts", "a.txt"))
    with Journal(storage.journal("curve", None)) as journal:
        journal.append(CallRecord("c", 200, {}))
    compact(storage.journal("curve", None), storage.completions("curve", None))
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}, completion_id="r2 1.25"))
    catalog.add(*write(storage, "curve", None, {"x": None}))
    joined = catalog.query(
        "SELECT t.id, c.asset, c.shard, c.cost_usd, c.body->>'$.usage.prompt_tokens' AS tokens "
        "FROM texts t JOIN completions c ON c.key = t.completion_id AND c.shard = t.shard"
    )
    assert joined.rows() == [("t1", "texts", "a.txt", Decimal("1.25"), "9")]
    assert catalog.query("SELECT asset, shard FROM completions WHERE key = 'c'").rows() == [
        ("curve", None)
    ]
    assert catalog.query("SELECT count(*) FROM completions").item() == 6
    full = catalog.query("DESCRIBE completions").select("column_name", "column_type")
    assert full.equals(empty)
    assert full["column_name"].to_list()[:3] == ["asset", "shard", "key"]
    assert "line" not in full["column_name"]


@pytest.mark.parametrize("newer", [False, True])
def test_completions_of_an_earlier_version_are_read_beside_new_ones(
    storage: Storage, newer: bool
) -> None:
    catalog = Catalog(storage, TABLES)
    earlier = storage.completions("texts", "a.txt")
    earlier.parent.mkdir(parents=True)
    shutil.copy(ZOO / "earlier_completions.parquet", earlier)
    if newer:
        with Journal(storage.journal("texts", "b.txt")) as journal:
            journal.append(CallRecord("k", 200, {}, sent={"seed": None}))
        compact(storage.journal("texts", "b.txt"), storage.completions("texts", "b.txt"))
    for shard in ("a.txt", "b.txt"):
        catalog.add(*write(storage, "texts", shard, {"t1": None}))
        with duckdb.connect(catalog.path) as connection:
            view = "SELECT shard AS key FROM materializations WHERE path <> 'read_parquet'"
            connection.execute(f"CREATE OR REPLACE VIEW completions AS {view}")
            connection.execute("UPDATE made_views SET columns = ['key'] WHERE view = 'completions'")
    catalog.add(*write(storage, "texts", "b.txt", {"t1": None}))
    counts = catalog.query("SELECT count(*), count(sent) FROM completions").row(0)
    assert counts == (10 + newer, newer)
    assert catalog.usage()["calls"].sum() == 10 + newer
