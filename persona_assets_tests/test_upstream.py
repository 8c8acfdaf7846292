"""Dagster, polars and DuckDB behave as this project needs; a failure here is a change of theirs."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

letters = dg.DynamicPartitionsDefinition(name="letters")


class Memory(dg.IOManager):
    """Keep values by asset and partition, set their data version, and record every load."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str | None], Any] = {}
        self.loaded: list[tuple[str, list[str]]] = []

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        name = context.asset_key.to_user_string()
        key = context.partition_key if context.has_asset_partitions else None
        self.values[name, key] = obj
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(f"v-{obj}"))

    def load_input(self, context: dg.InputContext) -> Any:
        name = context.asset_key.to_user_string()
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else []
        self.loaded.append((name, keys))
        return [self.values[name, key] for key in keys]


@dg.asset(partitions_def=letters)
def item(context: dg.AssetExecutionContext) -> str:
    return f"item {context.partition_key}"


@dg.asset
def total(item: list[str]) -> str:
    return ", ".join(item)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)

    @dg.asset_check(asset=item, partitions_def=letters)
    def looks_right(context: dg.AssetCheckExecutionContext, item: Any) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=item == [f"item {context.partition_key}"])


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def materialize(
    memory: Memory, instance: dg.DagsterInstance, asset: str, key: str | None = None
) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(
        assets=[item, total],
        asset_checks=[looks_right],
        resources={"io_manager": memory},
        executor=dg.in_process_executor,
    )
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(asset)], partition_key=key
    )


def test_io_manager_can_set_the_data_version(memory: Memory, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("letters", ["a"])
    [event] = materialize(memory, instance, "item", "a").get_asset_materialization_events()
    tags = event.step_materialization_data.materialization.tags or {}
    assert tags["dagster/data_version"] == "v-item a"


def test_partitioned_check_loads_its_own_partition_alone(
    memory: Memory, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("letters", ["a", "b"])
    result = materialize(memory, instance, "item", "b")
    [check] = result.get_asset_check_evaluations()
    assert check.passed
    assert memory.loaded == [("item", ["b"])]


def test_dynamic_partitions_keep_the_order_of_addition(
    memory: Memory, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("letters", ["z", "m"])
    instance.add_dynamic_partitions("letters", ["a", "m"])
    assert list(instance.get_dynamic_partitions("letters")) == ["z", "m", "a"]
    for key in "zma":
        materialize(memory, instance, "item", key)
    materialize(memory, instance, "total")
    assert memory.loaded[-1] == ("item", ["z", "m", "a"])
    assert memory.values["total", None] == "item z, item m, item a"


def test_asset_over_no_partitions_loads_no_keys(
    memory: Memory, instance: dg.DagsterInstance
) -> None:
    assert materialize(memory, instance, "total").success
    assert memory.loaded == [("item", [])]


@pytest.mark.parametrize("key", ["../x", "two\nlines", "<b>", "a" * 2000])
def test_partition_keys_are_not_validated(
    memory: Memory, instance: dg.DagsterInstance, key: str
) -> None:
    instance.add_dynamic_partitions("letters", [key])
    assert materialize(memory, instance, "item", key).success
    assert memory.values == {("item", key): f"item {key}"}


def test_empty_partition_key_is_registered(
    instance: dg.DagsterInstance,
) -> None:
    instance.add_dynamic_partitions("letters", [""])
    assert list(instance.get_dynamic_partitions("letters")) == [""]


def test_partitioned_asset_cannot_depend_on_itself() -> None:
    def hop() -> str:
        return ""

    decorate = dg.asset(partitions_def=letters, deps=["hop"])
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="depends on itself"):
        decorate(hop)


def test_interruption_is_no_exception() -> None:
    assert not issubclass(dg.DagsterExecutionInterruptedError, Exception)


def test_footer_is_the_same_in_polars_and_duckdb(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    value = '{"shard": "ünï – \\"quoted\\""}'
    pl.DataFrame({"n": [1]}).write_parquet(path, metadata={"persona_assets": value})
    assert pl.read_parquet_metadata(path)["persona_assets"] == value
    with duckdb.connect() as connection:
        values = connection.execute(
            "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = 'persona_assets'",
            [str(path)],
        ).fetchall()
        connection.execute(
            f"COPY (SELECT 2 AS n) TO '{tmp_path / 'other.parquet'}' "
            "(FORMAT parquet, KV_METADATA {persona_assets: 'from duckdb'})"
        )
    assert values == [(value,)]
    footer = pl.read_parquet_metadata(tmp_path / "other.parquet")
    assert footer["persona_assets"] == "from duckdb"


def write(path: Path, number: int) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("CREATE OR REPLACE TABLE numbers AS SELECT ? AS number", [number])


def test_duckdb_reader_keeps_its_file_when_another_replaces_it(tmp_path: Path) -> None:
    path, scratch = tmp_path / "catalog.duckdb", tmp_path / "scratch.duckdb"
    write(path, 1)
    write(scratch, 2)
    with duckdb.connect(path, read_only=True) as reader:
        scratch.replace(path)
        assert reader.execute("SELECT number FROM numbers").fetchall() == [(1,)]
        # A process's connections to the same path share the file that the first connection opened.
        with duckdb.connect(path, read_only=True) as second:
            assert second.execute("SELECT number FROM numbers").fetchall() == [(1,)]
    with duckdb.connect(path, read_only=True) as reader:
        assert reader.execute("SELECT number FROM numbers").fetchall() == [(2,)]


def test_duckdb_view_over_files_needs_a_file(tmp_path: Path) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.IOException, match="No files found"):
        connection.execute(f"CREATE VIEW v AS FROM read_parquet('{tmp_path}/*.parquet')")


def test_match_to_schema_refuses_unknown_columns_and_orders_the_others() -> None:
    frame = pl.DataFrame({"a": [1], "b": ["x"]})
    with pytest.raises(pl.exceptions.SchemaError):
        frame.match_to_schema(pl.Schema({"a": pl.Int64()}))
    assert frame.match_to_schema(pl.Schema({"b": pl.String(), "a": pl.Int64()})).columns == [
        "b",
        "a",
    ]
