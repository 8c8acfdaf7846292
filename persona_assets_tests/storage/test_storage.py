"""Storage publishes a table and its quarantine atomically, and reads shards in order of arrival."""

import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.storage.footer import Footer
from persona_assets.storage.step_result import QUARANTINE_SCHEMA, StepResult, quarantine
from persona_assets.storage.storage import MissingTableError, Storage

SHARDS = ["late.jsonl", "b/early.jsonl", "a/last.jsonl"]
ORDER = ["b/early.jsonl", "late.jsonl", "a/last.jsonl"]
"""Shards in their order of arrival."""

NUMBERS = pl.Schema({"n": pl.Int64()})


def footer(asset: str, shard: str | None = None, arrival: int | None = None) -> Footer:
    return Footer(
        asset=asset, shard=shard, run_id="r", code_version="c", data_version="d", arrival=arrival
    )


def numbers(*values: int) -> pl.DataFrame:
    return pl.DataFrame({"n": values}, schema=NUMBERS)


def write_corpus(storage: Storage) -> None:
    """Write three shards; the second of `SHARDS` arrived first."""
    for number, shard in zip((2, 1, 3), SHARDS, strict=True):
        storage.write(StepResult(numbers(number)), footer("raw_corpus", shard, number))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_write_stores_a_table_with_its_quarantine_and_footer(storage: Storage) -> None:
    result = StepResult(numbers(1, 2), quarantine("stage", [("id", "repeat")]))
    path = storage.write(result, footer("hub", "a.jsonl"))
    assert storage.scan("hub", "a.jsonl").collect().equals(result.rows)
    assert storage.quarantine("hub", "a.jsonl").equals(result.dropped)
    assert storage.existing_footer("hub", "a.jsonl") == footer("hub", "a.jsonl")
    quarantined = storage.path("hub", "a.jsonl", "quarantine")
    assert files(storage.data_dir) == sorted([path, quarantined])
    assert quarantined.relative_to(storage.data_dir / "quarantine") == path.relative_to(
        storage.data_dir / "tables"
    )
    assert Footer.read(quarantined) == footer("hub", "a.jsonl")


def test_unpartitioned_table_is_stored_beside_the_folders_of_sharded_tables(
    storage: Storage,
) -> None:
    storage.write(StepResult(numbers(1)), footer("curve"))
    storage.write(StepResult(numbers(2)), footer("curve", "a.jsonl"))
    assert storage.path("curve", None) == storage.data_dir / "tables" / "curve.parquet"
    assert storage.scan("curve", None).collect()["n"].to_list() == [1]
    assert storage.scan("curve", "a.jsonl").collect()["n"].to_list() == [2]
    assert {(footer.asset, footer.shard) for _, footer in storage.footers()} == {
        ("curve", None),
        ("curve", "a.jsonl"),
    }


def test_rewrite_replaces_the_quarantine(storage: Storage) -> None:
    storage.write(StepResult(numbers(1), quarantine("s", [("id", "repeat")])), footer("hub"))
    storage.write(StepResult(numbers(1)), footer("hub"))
    assert storage.quarantine("hub", None).equals(pl.DataFrame(schema=QUARANTINE_SCHEMA))
    assert storage.quarantine("never made", None).schema == QUARANTINE_SCHEMA


def test_failed_write_leaves_the_old_table_and_no_temporary_file(storage: Storage) -> None:
    storage.write(StepResult(numbers(1)), footer("hub"))
    unwritable = pl.DataFrame({"n": [object()]})
    with pytest.raises(pl.exceptions.ComputeError):
        storage.write(StepResult(unwritable), footer("hub"))
    assert storage.scan("hub", None).collect().equals(numbers(1))
    storage.path("curve", None).mkdir()
    with pytest.raises(OSError, match=r"curve\.parquet"):
        storage.write(StepResult(numbers(1)), footer("curve"))
    remaining = {path.name for path in files(storage.data_dir)}
    assert remaining == {"hub.parquet", "curve.parquet"}


def test_reader_never_sees_a_partial_table(storage: Storage) -> None:
    sizes = [1, 50_000]
    tables = [pl.DataFrame({"n": range(size)}) for size in sizes]
    storage.write(StepResult(tables[0]), footer("hub"))
    written = threading.Event()

    def rewrite() -> None:
        for number in range(40):
            storage.write(StepResult(tables[number % 2]), footer("hub"))
        written.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = set[int]()
    while not written.is_set():
        seen.add(len(storage.scan("hub", None).collect()))
        assert storage.footer("hub", None) == footer("hub")
    writer.join()
    assert seen <= set(sizes)
    assert seen


def test_missing_table_is_reported_by_asset_and_shard(storage: Storage) -> None:
    assert storage.footer("hub", "a.jsonl") is None
    for read in (storage.scan, storage.existing_footer):
        with pytest.raises(MissingTableError, match=r"hub of shard 'a\.jsonl' has no table at .*:"):
            read("hub", "a.jsonl")
        with pytest.raises(MissingTableError, match=r"hub has no table .*: materialize hub first"):
            read("hub", None)
    write_corpus(storage)
    with pytest.raises(MissingTableError, match=r"raw_corpus of shard 'new\.txt'"):
        storage.shard_tables("raw_corpus", [*SHARDS, "new.txt"])


@pytest.mark.parametrize("shards", [SHARDS, None])
def test_shard_tables_are_in_order_of_arrival(storage: Storage, shards: list[str] | None) -> None:
    write_corpus(storage)
    tables = storage.shard_tables("raw_corpus", shards)
    assert [(table.shard, table.data_version) for table in tables] == [(s, "d") for s in ORDER]
    assert tables.scan().collect().rows() == [(1, ORDER[0]), (2, ORDER[1]), (3, ORDER[2])]


def test_every_asset_has_the_corpus_order_of_arrival(storage: Storage) -> None:
    write_corpus(storage)
    assert storage.shards("raw_corpus") == ORDER
    for shard in SHARDS:
        storage.write(StepResult(numbers(1)), footer("tools", shard))
    assert storage.shards("tools") == ORDER
    assert [table.shard for table in storage.shard_tables("tools", SHARDS[:2])] == ORDER[:2]
    assert storage.shards("hub") == []


def test_partitions_that_are_not_shards_keep_the_given_order(storage: Storage) -> None:
    for size in ("16", "8"):
        storage.write(StepResult(numbers(int(size))), footer("curve", size))
    sizes = storage.shard_tables("curve", ["16", "8"]).scan().collect()
    assert sizes.rows() == [(16, "16"), (8, "8")]


def test_journals_are_stored_apart_from_tables(storage: Storage) -> None:
    paths = {
        storage.journal(asset, shard) for asset in ("hub", "tools") for shard in (None, "a", "b")
    }
    assert len(paths) == 6
    assert {path.suffix for path in paths} == {".jsonl"}
    assert all(path.is_relative_to(storage.data_dir / "journals") for path in paths)


def test_completions_are_stored_under_the_name_of_their_table(storage: Storage) -> None:
    for shard in (None, "a", "b"):
        path = storage.completions("hub", shard)
        table = storage.path("hub", shard).relative_to(storage.data_dir / "tables")
        assert path == storage.data_dir / "completions" / table
    with pytest.raises(ValueError, match="shard key"):
        storage.completions("hub", "../a")


@settings(deadline=None, max_examples=300)
@given(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
    | st.text("./\\a:~", max_size=12)
)
def test_path_of_a_hostile_shard_key_is_refused_or_stays_below_the_root(key: str) -> None:
    storage = Storage(Path("/data"))
    try:
        path = storage.path("hub", key)
    except ValueError:
        return
    assert path.parent == Path("/data/tables/hub")
    assert path.name.isascii()
    assert not path.name.startswith(".")


@pytest.mark.parametrize(
    "key", ["", "..", "../x", "a/../../x", "/etc/passwd", "C:\\x", "a\nb", "a\x00"]
)
def test_write_refuses_an_invalid_shard_key(storage: Storage, key: str) -> None:
    with pytest.raises(ValueError, match="shard key"):
        storage.write(StepResult(numbers(1)), footer("hub", key))
    assert files(storage.data_dir) == []


def test_similar_shard_keys_name_different_tables(storage: Storage) -> None:
    keys = ["a/b", "a-b", "A-b", "a b", "a?b", "<a>b", "x" * 300 + "1", "x" * 300 + "2"]
    names = [storage.path("hub", key).name.casefold() for key in keys]
    assert len(set(names)) == len(keys)
    for number, key in enumerate(keys):
        storage.write(StepResult(numbers(number)), footer("hub", key))
    assert [storage.scan("hub", key).collect()["n"][0] for key in keys] == list(range(len(keys)))


def test_check_space_reports_a_full_disk(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "project")
    storage.check_space(least=1)
    with pytest.raises(OSError, match=r"MB are free at .*project and a run wants \d+: free some"):
        storage.check_space(least=1 << 60)
