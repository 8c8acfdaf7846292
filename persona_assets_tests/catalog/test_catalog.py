"""The catalog equals its rebuild after every update; readers, writers and damage do no harm."""

import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.generation import CallRecord, Journal
from persona_assets.generation.journal.journal import compact
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets.storage.storage import Storage
from persona_assets_tests.sample_project import ROOT, SampleProject
from persona_assets_tests.sample_tables import TABLES, write

ADD_SHARDS = "persona_assets_tests.catalog.programs.add_shards"


def contents(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    names = ("materializations", "lineage", "usage", "held", "links", "quarantine")
    return {name: catalog.query(f"FROM {name} ORDER BY ALL").rows() for name in names}


def test_rebuild_equals_the_updated_catalog(finished: SampleProject, tmp_path: Path) -> None:
    rebuilt = finished.catalog
    rebuilt.path = tmp_path / "rebuilt.duckdb"
    assert rebuilt.rebuild() == len(finished.versions())
    assert contents(rebuilt) == contents(finished.catalog)


@pytest.mark.parametrize(
    "shard",
    ["a b/ü'ñ.jsonl", "x'); DROP TABLE usage; --.txt", "[a]*?.jsonl", '"%_\u202e.txt', "CON.txt"],
)
def test_catalog_treats_any_shard_name_as_data(tmp_path: Path, shard: str) -> None:
    storage = Storage(tmp_path / "it's [1] * \u00fc")
    catalog = Catalog(storage, TABLES)
    with Journal(storage.journal("texts", shard)) as journal:
        journal.append(CallRecord("k", 200, {}))
    compact(storage.journal("texts", shard), storage.completions("texts", shard))
    catalog.add(*write(storage, "texts", shard, {"t1": None}))
    catalog.add(*write(storage, "texts", "plain.txt", {"t2": None}))
    completions = catalog.query("SELECT asset, shard, key FROM completions").rows()
    assert completions == [("texts", shard, "k")]
    assert catalog.usage().select("asset", "shard", "calls").rows() == [("texts", shard, 1)]
    catalog.add(*write(storage, "rows", shard, {"r1": "t1"}))
    assert catalog.trace("r1")["row_id"].to_list() == ["r1", "t1"]
    assert catalog.query("SELECT shard FROM texts WHERE id = 't1'")["shard"].to_list() == [shard]
    assert catalog.query("FROM materializations").height == 3
    assert storage.scan("texts", shard).collect().height == 1
    assert catalog.query("SELECT shard FROM why('t1')")["shard"].to_list() == [shard]
    _, footer = write(storage, "texts", shard, {"t1": None})
    rows = storage.scan("texts", shard).collect()
    dropped = quarantine("texts", [("t0", shard)])
    catalog.add(storage.write(StepResult(rows, dropped), footer), footer)
    assert catalog.query("FROM quarantine").rows() == [("texts", shard, "t0", "texts", shard)]
    assert catalog.query("SELECT shard, reason FROM why('t0')").rows() == [(shard, shard)]
    updated = contents(catalog)
    catalog.rebuild()
    assert contents(catalog) == updated


def test_reader_keeps_its_snapshot_during_an_update(storage: Storage, catalog: Catalog) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    with duckdb.connect(catalog.path, read_only=True) as reader:
        catalog.add(*write(storage, "texts", "b.txt", {"t2": None}))
        catalog.rebuild()
        assert reader.execute("SELECT count(*) FROM materializations").fetchall() == [(1,)]
    assert catalog.query("SELECT count(*) AS n FROM materializations")["n"].item() == 2


def test_add_replaces_the_previous_record_of_a_table(storage: Storage, catalog: Catalog) -> None:
    for rows in ({"t1": None}, {"t1": None, "t2": None}):
        catalog.add(*write(storage, "texts", "a.txt", rows))
        catalog.add(*write(storage, "rows", "a.txt", dict.fromkeys(["r"], "t1")))
    assert catalog.query("SELECT row_count FROM materializations WHERE asset = 'texts'").rows() == [
        (2,)
    ]
    assert catalog.query("FROM lineage").height == 1


def test_rebuild_counts_a_table_and_its_copy_once(storage: Storage, catalog: Catalog) -> None:
    path, _ = write(storage, "rows", "a.txt", {"r": "t1"})
    copy = path.with_name(f"z-{path.name}")
    copy.write_bytes(path.read_bytes())
    assert catalog.rebuild() == 2
    assert catalog.query("SELECT path FROM materializations").rows() == [
        (copy.relative_to(catalog.path.parent).as_posix(),)
    ]
    assert catalog.query("FROM lineage").height == 1


def test_catalog_ignores_a_removed_table(storage: Storage, catalog: Catalog) -> None:
    path, footer = write(storage, "texts", "a.txt", {"t1": None})
    catalog.add(path, footer)
    path.unlink()
    catalog.add(*write(storage, "rows", "a.txt", {"r": "t1"}))
    assert catalog.trace("r")["row_id"].to_list() == ["r"]


@pytest.mark.parametrize("damage", [b"", b"not a database" * 1000, None])
def test_corrupt_catalog_is_an_error_until_it_is_rebuilt(
    storage: Storage, catalog: Catalog, damage: bytes | None
) -> None:
    table = write(storage, "texts", "a.txt", {"t1": None})
    catalog.add(*table)
    # None: the file is cut short.
    catalog.path.write_bytes(catalog.path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(CatalogError, match="persona-assets catalog"):
        catalog.trace("t1")
    with pytest.raises(CatalogError, match="persona-assets catalog"):
        catalog.add(*table)
    assert catalog.rebuild() == 1
    assert catalog.trace("t1")["asset"].to_list() == ["texts"]


def test_add_ignores_the_leftovers_of_a_killed_writer(storage: Storage, catalog: Catalog) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t1": None}))
    scratch = catalog.path.with_name(f".{catalog.path.name}.tmp")
    scratch.write_bytes(b"half a database")
    scratch.with_name(f"{scratch.name}.wal").write_bytes(b"half a log")
    catalog.add(*write(storage, "texts", "b.txt", {"t2": None}))
    assert catalog.query("FROM materializations").height == 2
    assert [file.name for file in catalog.path.parent.glob(".*")] == []


def test_rebuild_names_a_damaged_or_foreign_table(storage: Storage, catalog: Catalog) -> None:
    path, _ = write(storage, "texts", "a.txt", {"t1": None})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CatalogError, match=r"a\.txt.* is damaged"):
        catalog.rebuild()
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(CatalogError, match=r"a\.txt.* is not a table of this project"):
        catalog.rebuild()


def test_concurrent_writers_lose_no_update(tmp_path: Path, catalog: Catalog) -> None:
    command = [sys.executable, "-m", ADD_SHARDS, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert catalog.query("FROM materializations").height == 18
    assert catalog.query("FROM texts").height == 18
