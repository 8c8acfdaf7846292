"""The index names every table that holds a key, whatever happens to its files and to the index."""

import json
import os
import shutil
import signal
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from persona_assets.generation import CallRecord, Journal
from persona_assets.generation.journal import paid_index
from persona_assets.generation.journal.completion_store import merge_journal
from persona_assets.generation.journal.journal import compact
from persona_assets.generation.journal.paid_index import PaidIndex, key_prefix, key_prefixes
from persona_assets.ids import content_id
from persona_assets_tests.generation.child_programs import start

TABLES = ("hop/a", "hop/b", "all")
KEYS = [content_id(str(number)) for number in range(12)] + [
    "odd",
    "\ud800",
    "F" * 32,
    "1_" * 16,
    "",
]


def index_of(root: Path, **settings: object) -> PaidIndex:
    folders = root / "paid_keys", root / "journals", root / "completions"
    return PaidIndex(*folders, **settings)  # type: ignore[arg-type]


def journal_of(root: Path, table: str) -> Path:
    return root / "journals" / f"{table}.jsonl"


def completions_of(root: Path, table: str) -> Path:
    return root / "completions" / f"{table}.parquet"


def record(root: Path, table: str, *keys: str, published: bool = False) -> None:
    """Add responses to a table's journal, and publish them."""
    with Journal(journal_of(root, table)) as journal:
        journal.append(*(CallRecord(key, 200, {}) for key in keys))
    if published:
        compact(journal_of(root, table), completions_of(root, table))


def test_prefixes_of_many_keys_equal_those_of_each() -> None:
    for keys in (KEYS, KEYS[:12], [KEYS[0], "é" * 32], [" " + KEYS[3][1:]], []):
        assert key_prefixes(keys).tolist() == [key_prefix(key) for key in keys]


class Project(RuleBasedStateMachine):
    """Tables beside a dict of their keys, and two indexes of one folder that take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.indexes = [index_of(self.root), index_of(self.root)]
        self.held: dict[str, set[str]] = defaultdict(set)
        self.moved: dict[str, set[str]] = defaultdict(set)

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(table=st.sampled_from(TABLES), keys=st.lists(st.sampled_from(KEYS), min_size=1))
    def append(self, table: str, keys: list[str]) -> None:
        record(self.root, table, *keys)
        self.held[table].update(keys)

    @rule(table=st.sampled_from(TABLES))
    def publish(self, table: str) -> None:
        compact(journal_of(self.root, table), completions_of(self.root, table))
        self.moved[table] = set(self.held[table])

    @rule(table=st.sampled_from(TABLES), key=st.sampled_from(KEYS))
    def tear(self, table: str, key: str) -> None:
        """Leave a line without its end, as a run does that is writing."""
        path = journal_of(self.root, table)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(CallRecord(key, 200, {}).to_line()[:-5])

    @rule(table=st.sampled_from(TABLES))
    def lose(self, table: str) -> None:
        journal_of(self.root, table).unlink(missing_ok=True)
        self.held[table] = set(self.moved[table])

    @rule(table=st.sampled_from(TABLES))
    def remove(self, table: str) -> None:
        journal_of(self.root, table).unlink(missing_ok=True)
        completions_of(self.root, table).unlink(missing_ok=True)
        self.held[table], self.moved[table] = set(), set()

    @rule(number=st.sampled_from((0, 1)))
    def refresh(self, number: int) -> None:
        index = self.indexes[number]
        assert index.refresh()
        for key in KEYS:
            expected = {table for table, keys in self.held.items() if key in keys}
            # Entries of a lost journal may stay beside those of its table's completions file.
            assert expected <= set(index.tables(key)) <= set(TABLES)
        assert index.tables("absent") == []

    @rule()
    def forget(self) -> None:
        shutil.rmtree(self.root / "paid_keys", ignore_errors=True)

    @rule(data=st.binary(max_size=40), name=st.sampled_from(("*.json", "*.u64")))
    def damage(self, data: bytes, name: str) -> None:
        for path in (self.root / "paid_keys").glob(name):
            size = path.stat().st_size
            path.unlink()
            path.write_bytes((data or b"x") * size)

    @invariant()
    def no_file_is_left_over(self) -> None:
        manifest = self.root / "paid_keys" / "manifest.json"
        try:
            segments = json.loads(manifest.read_bytes())["segments"]
        except (OSError, ValueError, TypeError, KeyError):
            return
        names = {segment["name"] for segment in segments}
        assert {path.name for path in manifest.parent.glob("*.u64")} == names


Project.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestProject = Project.TestCase


def test_table_without_files_is_forgotten(tmp_path: Path) -> None:
    record(tmp_path, "hop/a", "k", published=True)
    index = index_of(tmp_path)
    index.refresh()
    completions_of(tmp_path, "hop/a").unlink()
    index.refresh()
    assert index.tables("k") == []


def test_entries_of_removed_tables_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_index, "GARBAGE", 10)
    index = index_of(tmp_path)
    for number in range(20):
        record(tmp_path, f"hop/{number}", *(f"{number} {row}" for row in range(10)))
        index.refresh()
        journal_of(tmp_path, f"hop/{number}").unlink()
    record(tmp_path, "hop/last", "k")
    index.refresh()
    assert len(index) < 40
    assert index.tables("k") == ["hop/last"]


def test_numbers_of_tables_are_given_anew_when_they_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_index, "MOST_TABLES", 4)
    index = index_of(tmp_path)
    for number in range(9):
        record(tmp_path, f"hop/{number}", f"key {number}")
        index.refresh()
        assert index.tables(f"key {number}") == [f"hop/{number}"]
        journal_of(tmp_path, f"hop/{number}").unlink()


def test_ignored_journal_is_left_out_until_another_process_reads_it(tmp_path: Path) -> None:
    record(tmp_path, "hop/a", "published", published=True)
    record(tmp_path, "hop/a", "live")
    own, other = index_of(tmp_path, ignored=("hop/a",)), index_of(tmp_path)
    own.refresh()
    assert (own.tables("published"), own.tables("live")) == (["hop/a"], [])
    other.refresh()
    assert other.tables("live") == ["hop/a"]


def test_files_of_batches_and_hidden_files_are_no_tables(tmp_path: Path) -> None:
    record(tmp_path, "all", "k")
    for name in ("math.0123.batches/x.jsonl", "hop/a.0123.batches/x.jsonl", "hop/.a.jsonl"):
        path = tmp_path / "journals" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(journal_of(tmp_path, "all"), path)
    index = index_of(tmp_path)
    index.refresh()
    assert index.tables("k") == ["all"]


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "other columns": lambda path: shutil.copy(Path(__file__), path),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "folder": replace_by_folder,
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_file_is_told_and_hides_no_other(tmp_path: Path, kind: str) -> None:
    for table in TABLES:
        record(tmp_path, table, table, published=True)
    UNREADABLE[kind](completions_of(tmp_path, "hop/a"))
    index = index_of(tmp_path)
    index.refresh()
    assert [index.tables(table) for table in TABLES[1:]] == [["hop/b"], ["all"]]
    assert set(index.unreadable) == {"hop/a"}
    assert index.refresh()


def test_lines_that_are_no_records_hide_no_others(tmp_path: Path) -> None:
    path = journal_of(tmp_path, "all")
    path.parent.mkdir(parents=True)
    good = [CallRecord(key, 200, {}).to_line() for key in KEYS[:3]]
    path.write_bytes(
        good[0] + b"\x00\xff{\n" + b"[" * 100_000 + b"\n" + good[1] + b"{}\n" + good[2]
    )
    index = index_of(tmp_path)
    index.refresh()
    assert [index.tables(key) for key in KEYS[:4]] == [["all"]] * 3 + [[]]


def test_file_of_an_earlier_version_is_indexed(tmp_path: Path) -> None:
    path = tmp_path / "completions" / "hop" / "a.parquet"
    shutil.copytree(Path(__file__).parent / "earlier", path.parent)
    index = index_of(tmp_path)
    index.refresh()
    assert index.tables("0" * 32) == ["hop/a"]


def test_indexes_that_are_built_at_once_are_one(tmp_path: Path) -> None:
    for number in range(30):
        record(tmp_path, f"hop/{number}", f"key {number}", published=True)
    indexes = [index_of(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=index.refresh, args=(30.0,)) for index in indexes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in indexes:
        assert [index.tables(f"key {n}") for n in range(30)] == [[f"hop/{n}"] for n in range(30)]
    assert len(list((tmp_path / "paid_keys").glob("*.u64"))) == len(indexes[0]._segments)


def test_kill_while_the_index_is_built_leaves_a_usable_index(tmp_path: Path) -> None:
    for number in range(12):
        record(tmp_path, f"hop/{number}", *(f"{number} {row}" for row in range(50)), published=True)
    for point in (1, 2, 3, 5, 8, 13, 21, 34):
        shutil.rmtree(tmp_path / "paid_keys", ignore_errors=True)
        with start("build_index", tmp_path, point) as child:
            child.communicate()
        assert child.returncode == -signal.SIGKILL
        index = index_of(tmp_path)
        assert index.refresh()
        assert [index.tables(f"{n} 7") for n in range(12)] == [[f"hop/{n}"] for n in range(12)]


def test_index_that_another_process_writes_is_not_waited_for(tmp_path: Path) -> None:
    record(tmp_path, "all", "k")
    with start("build_index", tmp_path, 0) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        index = index_of(tmp_path)
        assert not index.refresh()
        assert index.tables("k") == []
        os.kill(child.pid, signal.SIGKILL)
    assert index.refresh()
    assert index.tables("k") == ["all"]


def test_memory_does_not_grow_with_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paid_index, "BATCH", 100)
    held: list[int] = []
    publish = PaidIndex._publish

    def watched(self: PaidIndex, tables: Any, number: int, entries: Any) -> None:
        held.append(len(entries))
        publish(self, tables, number, entries)

    monkeypatch.setattr(PaidIndex, "_publish", watched)
    for number in range(9):
        keys = [f"{number} {row}" for row in range(60)]
        merge_journal(
            completions_of(tmp_path, f"hop/{number}"),
            ((one, one.to_line()) for one in (CallRecord(key, 200, {}) for key in keys)),
        )
    index = index_of(tmp_path)
    index.refresh()
    assert max(held) <= 160
    assert len(index) == 9 * 60
