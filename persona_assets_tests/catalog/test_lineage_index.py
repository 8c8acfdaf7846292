"""The lineage index answers as a walk over all tables does, whatever was replaced or removed."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.catalog import lineage_index, segments
from persona_assets.catalog.catalog import Catalog
from persona_assets.catalog.entries import key_of
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table
from persona_assets_tests.sample_project import ROOT
from persona_assets_tests.sample_tables import ROWS, TABLES, write

ADD_SHARDS = "persona_assets_tests.catalog.programs.add_shards"

IDS = [f"r{number}" for number in range(6)]
CHANGES = st.tuples(
    st.sampled_from(["texts", "rows"]),
    st.sampled_from(["a.txt", "b.txt"]),
    # No rows: the table is removed. A row's parent has a lower number, so there is no circle.
    st.dictionaries(st.sampled_from(IDS), st.integers(0, 5), max_size=4),
    # False: a run was killed before it could update the catalog.
    st.booleans(),
)


def walked(storage: Storage, start: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the ancestors and descendants of a row, as asset and id, from all tables."""
    rows = [
        (footer.asset, row["id"], row["parent"] if footer.asset == "rows" else None)
        for path, footer in storage.footers()
        for row in pl.read_parquet(path, glob=False).iter_rows(named=True)
    ]
    above, below = {start}, {row_id for _, row_id, _ in rows if row_id == start}
    for _ in IDS:
        above |= {parent for _, row_id, parent in rows if row_id in above and parent is not None}
        below |= {row_id for _, row_id, parent in rows if parent in below}
    return (
        {(asset, row_id) for asset, row_id, _ in rows if row_id in above},
        {(asset, row_id) for asset, row_id, _ in rows if row_id in below},
    )


def parents(asset: str, numbers: Mapping[str, int]) -> dict[str, str | None]:
    if asset == "texts":
        return dict.fromkeys(numbers)
    lower = {row_id: min(number, int(row_id[1:]) - 1) for row_id, number in numbers.items()}
    return {row_id: None if parent < 0 else f"r{parent}" for row_id, parent in lower.items()}


@settings(max_examples=8, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=5))
def test_index_equals_a_walk_over_all_tables(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, dict[str, int], bool]]
) -> None:
    storage = Storage(tmp_path_factory.mktemp("project"))
    catalog = Catalog(storage, TABLES)
    catalog.rebuild()
    for asset, shard, numbers, is_added in changes:
        if not numbers:
            storage.path(asset, shard).unlink(missing_ok=True)
            continue
        table = write(storage, asset, shard, parents(asset, numbers))
        if is_added:
            catalog.add(*table)
    for row_id in IDS:
        above, below = walked(storage, row_id)
        affected = catalog.affected_by(row_id)
        assert set(affected.select("asset", "row_id").iter_rows()) == below
        assert set(catalog.locate([row_id])["asset"]) == {it for it, own in below if own == row_id}
        if above:
            chain = catalog.trace(row_id)
            assert set(chain.select("asset", "row_id").iter_rows()) == above
    # A macro follows as many links as there are assets in a row, here two.
    last = catalog.affected_by(IDS[3])
    assert catalog.query("FROM affected_by(?)", [IDS[3]]).equals(last)


def test_merged_segments_keep_every_entry(
    storage: Storage, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 3 entries each, every third table is written to a segment, with those before it.
    monkeypatch.setattr(lineage_index, "RECENT", 8)
    for number in range(12):
        rows: dict[str, str | None] = {f"t{number}-{row}": None for row in range(3)}
        catalog.add(*write(storage, "texts", f"{number}.txt", rows))
    catalog.add(*write(storage, "texts", "0.txt", {"new": None}))
    for number in range(1, 12):
        row_id = f"t{number}-2"
        assert catalog.locate([row_id])["shard"].to_list() == [f"{number}.txt"]
        assert catalog.query("SELECT shard FROM trace(?)", [row_id]).rows() == [(f"{number}.txt",)]
    assert catalog.locate(["t0-2"]).is_empty()
    assert catalog.query("FROM affected_by('t0-2')").is_empty()
    listed = catalog.query("SELECT file FROM lineage_files ORDER BY file")["file"].to_list()
    folder = storage.data_dir / "lineage"
    assert sorted(path.name for path in (folder / "part=15").iterdir()) == listed
    assert 1 <= len(listed) <= 3


def test_files_of_a_killed_writer_are_removed_and_not_shown(
    storage: Storage, catalog: Catalog
) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    folder = storage.data_dir / "lineage"
    [listed] = (folder / "part=0").iterdir()
    stale = pl.DataFrame([(key_of("t"), 1, segments.MADE, None)], segments.ENTRIES, orient="row")
    name = segments.write(folder, stale)
    *_, last = segments.files(folder, name)
    last.rename(last.with_name(name + segments.SCRATCH))
    assert catalog.affected_by("t").equals(catalog.query("FROM affected_by('t')"))
    catalog.add(*write(storage, "texts", "b.txt", {"u": None}))
    assert {path.name for path in folder.rglob("*.parquet*")} == {listed.name}
    assert catalog.locate(["t", "u"]).height == 2


def test_lost_files_of_the_index_are_made_again(storage: Storage, catalog: Catalog) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    catalog.add(*write(storage, "rows", "a.txt", {"r": "t"}))
    shutil.rmtree(storage.data_dir / "lineage")
    assert catalog.trace("r")["row_id"].to_list() == ["r", "t"]
    assert catalog.affected_by("t").height == 2


def test_writers_at_a_time_lose_no_entry(tmp_path: Path, catalog: Catalog) -> None:
    command = [sys.executable, "-m", ADD_SHARDS, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(2)]
    # A reader meets files that are merged and removed beneath it.
    catalog.rebuild()
    catalog.add(*write(Storage(tmp_path), "texts", "first", {"first": None}))
    while any(writer.poll() is None for writer in writers):
        assert Catalog(Storage(tmp_path), TABLES).locate(["first"])["shard"].to_list() == ["first"]
        assert catalog.query("SELECT row_id FROM trace('first')")["row_id"].to_list() == ["first"]
    assert [writer.wait() for writer in writers] == [0, 0]
    ids = catalog.query("SELECT id FROM texts")["id"].to_list()
    assert len(ids) == 13
    assert sorted(catalog.locate(ids)["row_id"]) == sorted(ids)


def test_tables_are_recorded_anew_once_their_contract_changes(
    storage: Storage, catalog: Catalog
) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    catalog.add(*write(storage, "rows", "a.txt", {"r": "t"}))
    judged = pl.Schema({**ROWS, "kept": pl.Boolean(), "reason": pl.String(), "text": pl.String()})
    for table, affected in (
        (Table(ROWS, "id", makes=True), ["t"]),
        (Table(ROWS, "id", aggregates=True, members=("parent",)), [None, "t"]),
        # The table lacks columns of a later contract.
        (Table(judged, "id", "parent", makes=True, verdicts=True, text="text"), ["r", "t"]),
    ):
        changed = Catalog(storage, {**TABLES, "rows": table})
        assert changed.affected_by("t")["row_id"].to_list() == affected
        assert changed.query("FROM affected_by('t')")["row_id"].to_list() == affected
        assert changed.why("t")["outcome"].to_list() == ["kept"]


def test_tables_of_an_asset_that_is_gone_are_not_shown(storage: Storage, catalog: Catalog) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    catalog.add(*write(storage, "rows", "a.txt", {"r": "t"}))
    without = Catalog(storage, {"texts": TABLES["texts"]})
    assert without.affected_by("t")["asset"].to_list() == ["texts"]
    assert without.why("r").is_empty()
    assert catalog.affected_by("t")["asset"].to_list() == ["rows", "texts"]


def test_copied_project_answers_from_its_own_files(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "original")
    Catalog(storage, TABLES).add(*write(storage, "texts", "a.txt", {"t": None}))
    copy = shutil.copytree(storage.data_dir, tmp_path / "copy [1]")
    write(storage, "texts", "a.txt", {"other": None})
    copied = Catalog(Storage(copy), TABLES)
    assert copied.query("SELECT id FROM texts")["id"].to_list() == ["t"]
    assert copied.query("SELECT path FROM materializations")["path"][0].startswith("tables/texts/")
    with duckdb.connect(copy / "catalog.duckdb", read_only=True) as connection:
        for query in ("FROM texts", "FROM trace('t')", "FROM affected_by('t')"):
            with pytest.raises(duckdb.Error, match=r"moved or copied.*persona-assets catalog"):
                connection.sql(query).fetchall()
        connection.execute(f"SET VARIABLE data_dir = '{copy}'")
        assert connection.sql("SELECT id FROM texts").fetchall() == [("t",)]
    shutil.rmtree(storage.data_dir)
    assert copied.trace("t")["row_id"].to_list() == ["t"]
    copied.rebuild()
    with duckdb.connect(copy / "catalog.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT row_id FROM trace('t')").fetchall() == [("t",)]


def test_catalog_without_an_index_is_made_again(storage: Storage, catalog: Catalog) -> None:
    catalog.add(*write(storage, "texts", "a.txt", {"t": None}))
    with duckdb.connect(catalog.path) as connection:
        connection.execute("DROP TABLE lineage_recent")
    assert catalog.trace("t")["row_id"].to_list() == ["t"]
