"""The IO manager publishes valid tables with footers, refuses others, and reports to Dagster."""

import logging
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import CallRecord, Journal
from persona_assets.partitions import shards
from persona_assets.resources.io_manager import PREVIEW_CHARS, TableIOManager
from persona_assets.storage.footer import Upstream
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

ROWS = pl.Schema({"id": pl.String(), "note": pl.String()})
TABLES = {
    "raw_corpus": Table(ROWS, "id", makes=True),
    "shouted": Table(ROWS, "id"),
    "everything": Table(pl.Schema({**ROWS, "shard": pl.String()}), "id"),
}
Results = dict[str, StepResult]


@dg.asset(partitions_def=shards)
def raw_corpus(context: dg.AssetExecutionContext, results: dg.ResourceParam[Results]) -> StepResult:
    return results[context.partition_key]


@dg.asset(partitions_def=shards)
def shouted(raw_corpus: pl.LazyFrame) -> StepResult:
    return StepResult(raw_corpus.with_columns(pl.col("note").str.to_uppercase()).collect())


@dg.asset
def everything(shouted: pl.LazyFrame) -> StepResult:
    return StepResult(shouted.collect())


class Graph:
    """Three assets in a Dagster instance; `results` holds the result of `raw_corpus` by shard."""

    def __init__(self, data_dir: Path, instance: dg.DagsterInstance) -> None:
        self.storage = Storage(data_dir)
        self.catalog = Catalog(self.storage, TABLES)
        self.results: Results = {}
        self.instance = instance

    def materialize(self, asset: str, shard: str | None = None) -> dg.ExecuteInProcessResult:
        manager = TableIOManager(self.storage, self.catalog, TABLES)
        defs = dg.Definitions(
            assets=[raw_corpus, shouted, everything],
            resources={"io_manager": manager, "results": self.results},
            executor=dg.in_process_executor,
        )
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset)],
            partition_key=shard,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def add(self, shard: str, result: StepResult) -> dg.ExecuteInProcessResult:
        """Register a shard and materialize its `raw_corpus`."""
        self.instance.add_dynamic_partitions("shards", [shard])
        self.results[shard] = result
        return self.materialize("raw_corpus", shard)


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Graph(tmp_path, instance)


def step_result(*notes: str, **columns: Any) -> StepResult:
    ids = [f"id of {note}" for note in notes]
    return StepResult(pl.DataFrame({"id": ids, "note": notes, **columns}, schema_overrides=ROWS))


def failure(result: dg.ExecuteInProcessResult) -> str:
    [event] = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    return (error.cause or error).message


def test_footer_records_the_data_version_of_the_loaded_shard(graph: Graph) -> None:
    assert graph.add("a.txt", step_result("one", "two")).success
    result = graph.materialize("shouted", "a.txt")
    assert result.success
    assert graph.storage.scan("shouted", "a.txt").collect()["note"].to_list() == ["ONE", "TWO"]
    source = graph.storage.existing_footer("raw_corpus", "a.txt")
    footer = graph.storage.existing_footer("shouted", "a.txt")
    upstream = Upstream(asset="raw_corpus", shard="a.txt", data_version=source.data_version)
    assert footer.upstream == (upstream,)
    assert (footer.run_id, footer.rows) == (result.run_id, 2)
    [event] = result.get_asset_materialization_events()
    tags = event.step_materialization_data.materialization.tags or {}
    assert tags["dagster/data_version"] == footer.data_version


def test_dropped_rows_are_stored_in_quarantine_and_counted_in_the_footer(graph: Graph) -> None:
    dropped = quarantine(
        "reading", [("x", "too odd: even for us"), ("y", "too odd"), ("z", "other")]
    )
    graph.add("a.txt", StepResult(step_result("one").rows, dropped, rows_in=4))
    assert graph.storage.quarantine("raw_corpus", "a.txt").equals(dropped)
    assert graph.storage.existing_footer("raw_corpus", "a.txt").dropped == {
        "too odd": 2,
        "other": 1,
    }


def test_table_of_all_shards_is_in_order_of_arrival(graph: Graph) -> None:
    for shard in ("z.txt", "a.txt"):
        graph.add(shard, step_result(f"from {shard}"))
        graph.materialize("shouted", shard)
    assert graph.materialize("everything").success
    rows = graph.storage.scan("everything", None).collect()
    assert rows["shard"].to_list() == ["z.txt", "a.txt"]
    upstream = graph.storage.existing_footer("everything", None).upstream
    assert [table.shard for table in upstream] == ["z.txt", "a.txt"]


def test_shard_made_again_keeps_its_order_of_arrival(graph: Graph) -> None:
    for shard in ("z.txt", "a.txt"):
        graph.add(shard, step_result(f"from {shard}"))
    graph.add("z.txt", step_result("changed"))
    assert [graph.storage.arrival(shard) for shard in ("z.txt", "a.txt")] == [1, 2]


def test_table_of_no_shards_is_empty(graph: Graph) -> None:
    assert graph.materialize("everything").success
    assert graph.storage.scan("everything", None).collect().is_empty()


def test_missing_table_is_an_error_that_names_asset_and_shard(graph: Graph) -> None:
    graph.instance.add_dynamic_partitions("shards", ["a.txt"])
    assert "raw_corpus of shard 'a.txt' has no table at" in failure(
        graph.materialize("shouted", "a.txt")
    )
    assert "shouted of shard 'a.txt' has no table at" in failure(graph.materialize("everything"))


def test_table_without_rows_keeps_its_schema(graph: Graph) -> None:
    result = graph.add("a.txt", StepResult(pl.DataFrame(schema=ROWS)))
    assert result.success
    assert graph.storage.scan("raw_corpus", "a.txt").collect_schema() == ROWS


@pytest.mark.parametrize(
    "wrong",
    [
        StepResult(pl.DataFrame({"id": ["1"]})),
        StepResult(pl.DataFrame({"id": ["1"], "note": [7]})),
        step_result("one", more=[1]),
    ],
    ids=["column missing", "another type", "column too many"],
)
def test_rows_of_another_schema_are_refused_before_writing(graph: Graph, wrong: StepResult) -> None:
    assert not graph.add("a.txt", wrong).success
    assert list(graph.storage.data_dir.rglob("*.parquet")) == []


@pytest.mark.parametrize("ids", [["1", "1"], ["1", None]])
def test_rows_with_missing_or_repeated_ids_are_refused(graph: Graph, ids: list[str | None]) -> None:
    rows = pl.DataFrame({"id": ids, "note": ["x", "y"]}, schema=ROWS)
    assert "1 of 2 rows have no id of their own" in failure(graph.add("a.txt", StepResult(rows)))
    assert list(graph.storage.data_dir.rglob("*.parquet")) == []


def test_columns_are_stored_in_the_order_of_the_contract(graph: Graph) -> None:
    rows = step_result("one").rows.select("note", "id")
    graph.add("a.txt", StepResult(rows))
    assert graph.storage.scan("raw_corpus", "a.txt").collect_schema().names() == ROWS.names()
    version = graph.storage.existing_footer("raw_corpus", "a.txt").data_version
    graph.add("a.txt", step_result("one"))
    assert graph.storage.existing_footer("raw_corpus", "a.txt").data_version == version


def test_equal_rows_of_two_runs_have_the_same_data_version(graph: Graph) -> None:
    graph.add("a.txt", step_result("one"))
    first = graph.storage.existing_footer("raw_corpus", "a.txt")
    graph.add("a.txt", step_result("one"))
    again = graph.storage.existing_footer("raw_corpus", "a.txt")
    graph.add("a.txt", step_result("two"))
    other = graph.storage.existing_footer("raw_corpus", "a.txt")
    assert first.run_id != again.run_id
    assert first.data_version == again.data_version != other.data_version


def test_metadata_has_row_count_schema_uri_preview_and_lineage(graph: Graph) -> None:
    hostile = "<script>alert(1)</script> [x](javascript:x) " * 10
    result = graph.add("a.txt", step_result(hostile, "second"))
    downstream = graph.materialize("shouted", "a.txt")
    [event] = result.get_asset_materialization_events()
    metadata: Mapping[str, Any] = event.step_materialization_data.materialization.metadata
    assert metadata["dagster/partition_row_count"].value == 2
    assert metadata["dagster/column_schema"].value.columns[0].name == "id"
    assert Path(metadata["dagster/uri"].value).exists()
    preview = metadata["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    shown = str(preview.records[0].data["note"])
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == f"{hostile[:PREVIEW_CHARS]}..."
    assert " " not in shown
    [event] = downstream.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    deps = metadata["dagster/column_lineage"].value.deps_by_column
    assert deps["note"] == [dg.TableColumnDep(dg.AssetKey("raw_corpus"), "note")]


def test_broken_catalog_fails_no_table(graph: Graph) -> None:
    graph.catalog.path.write_bytes(b"no database" * 1000)
    assert graph.add("a.txt", step_result("one")).success
    assert graph.storage.scan("raw_corpus", "a.txt").collect().height == 1


def warnings_of(result: dg.ExecuteInProcessResult, graph: Graph) -> list[str]:
    logs = graph.instance.all_logs(result.run_id)
    return [log.user_message for log in logs if log.level == logging.WARNING]


def test_publishing_moves_responses_from_journal_to_completions(graph: Graph) -> None:
    journal = graph.storage.journal("raw_corpus", "a.txt")
    completions = graph.storage.completions("raw_corpus", "a.txt")
    for number in (1, 2):
        record = CallRecord(f"k{number}", 200, {}, cost=Decimal("0.5"), run_id="r")
        with Journal(journal, completions) as opened:
            opened.append(record)
            assert not opened.compacted(record.key)
        result = graph.add("a.txt", step_result("one"))
        assert result.success
        assert warnings_of(result, graph) == []
        assert not journal.exists()
        with Journal(journal, completions) as opened:
            assert opened.compacted(record.key)
            assert opened.get(record.key) == record
        [usage] = graph.catalog.usage(["r"]).rows(named=True)
        assert (usage["calls"], usage["new_cost_usd"]) == (number, Decimal("0.5") * number)


def test_failed_table_keeps_its_journal(graph: Graph) -> None:
    journal = graph.storage.journal("raw_corpus", "a.txt")
    with Journal(journal) as opened:
        opened.append(CallRecord("k", 200, {}))
    assert not graph.add("a.txt", StepResult(pl.DataFrame({"id": ["1"]}))).success
    assert [record.key for record in Journal(journal).records()] == ["k"]
    assert not graph.storage.completions("raw_corpus", "a.txt").exists()


def test_journal_in_use_fails_no_table(graph: Graph) -> None:
    with Journal(graph.storage.journal("raw_corpus", "a.txt")) as journal:
        journal.append(CallRecord("k", 200, {}))
        result = graph.add("a.txt", step_result("one"))
        assert result.success
        [warning] = warnings_of(result, graph)
        assert "is held by process" in warning
        assert [record.key for record in journal.records()] == ["k"]


def test_unwritable_completions_fail_no_table(graph: Graph) -> None:
    journal = graph.storage.journal("raw_corpus", "a.txt")
    with Journal(journal) as opened:
        opened.append(CallRecord("k", 200, {}))
    (graph.storage.data_dir / "completions").write_text("in the way")
    result = graph.add("a.txt", step_result("one"))
    assert result.success
    assert any(str(journal) in warning for warning in warnings_of(result, graph))
    assert [record.key for record in Journal(journal).records()] == ["k"]


def test_corrupt_journal_fails_no_table(graph: Graph) -> None:
    journal = graph.storage.journal("raw_corpus", "a.txt")
    journal.parent.mkdir(parents=True)
    journal.write_text("not a record\n")
    result = graph.add("a.txt", step_result("one"))
    assert result.success
    assert any("line 1 is not a record" in warning for warning in warnings_of(result, graph))
    assert journal.read_text() == "not a record\n"


@pytest.mark.parametrize("shard", ["../up.txt", "", "a\nb.txt", "/etc/passwd", "C:/x.txt"])
def test_partition_key_that_is_no_shard_writes_nothing(graph: Graph, shard: str) -> None:
    assert not graph.add(shard, step_result("one")).success
    assert list(graph.storage.data_dir.rglob("*.parquet")) == []


def test_failed_write_leaves_the_previous_table(graph: Graph) -> None:
    graph.add("a.txt", step_result("one"))
    target = graph.storage.path("raw_corpus", "a.txt")
    before = target.read_bytes()
    quarantine = graph.storage.path("raw_corpus", "a.txt", "quarantine")
    quarantine.unlink()
    quarantine.mkdir()
    assert not graph.add("a.txt", step_result("two")).success
    assert target.read_bytes() == before
    assert list(graph.storage.data_dir.rglob("*.tmp")) == []
