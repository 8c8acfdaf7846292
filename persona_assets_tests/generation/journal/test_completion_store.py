"""A completions file returns the records of a journal exactly, and a crash never loses a record."""

import itertools
import os
import shutil
import subprocess
import tempfile
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from duckdb import DuckDBPyRelation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_assets.generation import CallRecord, Journal, JournalBusy, JournalCorrupt
from persona_assets.generation.journal.completion_store import (
    GROUP_BYTES,
    GROUP_ROWS,
    CompletionStore,
)
from persona_assets.generation.journal.journal import compact
from persona_assets_tests.generation.child_programs import command


@pytest.fixture
def completions(tmp_path: Path) -> Path:
    return tmp_path / "completions" / "asset" / "shard.parquet"


def answer(key: str, **changes: Any) -> CallRecord:
    """Return the record of a response, with the same id and time at each call."""
    choice = {"message": {"content": f"to {key}"}, "finish_reason": "stop"}
    usage = {
        "prompt_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    defaults: dict[str, Any] = {
        "key": key,
        "status_code": 200,
        "body": {"choices": [choice], "usage": usage},
        "model": "m",
        "run_id": "r",
        "prompt_version": "v",
        "cost": Decimal("0.00012"),
        "id": f"call_{key}",
        "time": "2026-11-23T10:00:00+00:00",
    }
    return CallRecord(**(defaults | changes))


def answers(numbers: range) -> list[CallRecord]:
    return [answer(f"{number:032x}") for number in numbers]


def failed(key: str, code: str, **changes: Any) -> CallRecord:
    error = {"code": code, "message": "no"}
    return answer(key, status_code=None, body=None, error=error, cost=None, **changes)


ODD = [
    answer("\ud800 alone", model="\ud801", run_id="\udfff"),
    answer("lone surrogate in the body", body={"x": "\ud800", "\udc00": 1}),
    answer("not a number", body={"x": float("inf"), "y": 10**400, "z": [1.5, 1e-300]}),
    answer("no object", body=["a", None]),
    answer("fine cost", cost=Decimal("1e-13")),
    answer("great cost", cost=Decimal("1e30")),
    answer("no number", cost=Decimal("NaN").copy_abs()),
    answer("other types", attempt="2", uncertain=None, batch=None, status_code="200"),
    answer("whole numbers", attempt=True, uncertain=2**70),
    answer("nulls", model=None, run_id=None, time=None, id="x", request_id="y"),
    answer("no id", id=""),
    answer("more of an error", error={"code": "x", "message": "y", "param": None}),
    answer("no message", error={"code": "server_error"}),
    answer("nothing of an error", error={}),
    answer("no code", error={"code": None, "message": "y"}),
    answer("mad usage", body={"usage": {"prompt_tokens": 10**30, "completion_tokens": True}}),
    answer("usage of another form", body={"usage": {"prompt_tokens": "many"}}),
    failed("late", "timeout", uncertain=3, attempt=4),
    failed("filtered", "content_filter"),
    answer("你好", body={"text": "你好, two\nlines"}, batch=True),
]
"""Records that occur hardly ever, or never."""


def write_journal(path: Path, records: list[CallRecord]) -> list[CallRecord]:
    """Append records to a journal without opening it, and return the journal's records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(record.to_line() for record in records)
    return list(Journal(path).records())


def equal(left: list[CallRecord], right: list[CallRecord]) -> bool:
    """Return True if records are equal, where NaN equals NaN."""
    pairs = zip(left, right, strict=True)
    return all(a == b or repr(a) == repr(b) for a, b in pairs)


def test_completions_return_the_records_of_the_journal(
    journal_path: Path, completions: Path
) -> None:
    records = answers(range(2 * GROUP_ROWS + 5))
    records = write_journal(journal_path, records)
    with Journal(journal_path, completions) as journal:
        live = [journal.get(record.key) for record in records]
        assert not journal.compacted(records[0].key)
    assert compact(journal_path, completions) == len(records)
    with Journal(journal_path, completions) as journal:
        assert list(journal.records()) == records
        assert list(journal.live()) == []
        assert [journal.get(record.key) for record in records] == live
        assert all(record.key in journal and journal.compacted(record.key) for record in records)
        assert len(journal) == len(records)
        assert journal.get("absent") is None
        assert "absent" not in journal
        assert not journal.compacted("absent")


def test_completions_return_odd_records_unchanged(journal_path: Path, completions: Path) -> None:
    records = write_journal(journal_path, ODD)
    with Journal(journal_path, completions) as journal:
        live = [journal.get(record.key) for record in records]
        known = len(journal)
    assert compact(journal_path, completions) == len(ODD)
    with Journal(journal_path, completions) as journal:
        assert equal(list(journal.records()), records)
        again = [journal.get(record.key) for record in records]
        assert [record is None for record in again] == [record is None for record in live]
        assert equal(list(filter(None, again)), list(filter(None, live)))
        assert len(journal) == known == sum(record.answered for record in ODD)


texts = st.text(st.characters(exclude_categories=()), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
records = st.builds(
    CallRecord,
    key=texts,
    status_code=st.sampled_from([200, 400, 429]),
    body=st.none() | st.dictionaries(texts | st.just("usage"), values, max_size=3),
    error=st.none() | st.fixed_dictionaries({"code": texts, "message": texts}),
    request_id=texts,
    attempt=st.integers(),
    model=texts,
    prompt_version=texts,
    run_id=texts,
    cost=st.none() | st.decimals(0, 100, allow_nan=False),
    uncertain=st.integers(),
    batch=st.booleans(),
    id=st.uuids().map(str),
    time=texts,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, min_size=1, max_size=4))
def test_completions_return_any_record_unchanged(appended: list[CallRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, completions = Path(folder) / "shard.jsonl", Path(folder) / "shard.parquet"
        before = write_journal(path, appended)
        compact(path, completions)
        with Journal(path, completions) as journal:
            assert list(journal.records()) == before
            for record in before:
                settling = (old for old in before if old.key == record.key and old.answered)
                assert journal.get(record.key) == next(settling, None)


def table_of(journal: Path, completions: Path, records: list[CallRecord]) -> DuckDBPyRelation:
    """Return records as the table that SQL reads."""
    write_journal(journal, records)
    compact(journal, completions)
    return duckdb.read_parquet(str(completions))


def test_columns_have_the_types_of_counts_and_money(journal_path: Path, completions: Path) -> None:
    table = table_of(journal_path, completions, [answer("a"), *ODD])
    types = dict(zip(table.columns, map(str, table.types), strict=True))
    assert types["cost_usd"] == "DECIMAL(38,12)"
    assert {types[name] for name in table.columns if name.endswith("_tokens")} == {"BIGINT"}


def test_row_of_a_response_has_a_value_in_each_column_but_line(
    journal_path: Path, completions: Path
) -> None:
    table = table_of(journal_path, completions, [answer("a"), *ODD])
    assert table.filter("key = 'a'").fetchall() == [
        (
            *("a", "2026-11-23T10:00:00+00:00", "r", "m", "v", 1, 0, False, 200, "", None, None),
            *("stop", 9, 4, 5, 2, Decimal("0.00012")),
            '{"choices":[{"message":{"content":"to a"},"finish_reason":"stop"}],"usage":'
            '{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens":5,'
            '"completion_tokens_details":{"reasoning_tokens":2}}}',
            *("call_a", None, None, False),
        )
    ]


def test_row_of_an_error_has_nulls_for_response_and_cost(
    journal_path: Path, completions: Path
) -> None:
    table = table_of(journal_path, completions, [failed("b", "timeout", uncertain=1), *ODD])
    columns = "error_code, error_message, uncertain, cost_usd, input_tokens, body"
    assert table.filter("key = 'b'").select(columns).fetchall() == [
        ("timeout", "no", 1, None, None, None)
    ]


def test_body_is_json_that_sql_can_query(journal_path: Path, completions: Path) -> None:
    table = table_of(journal_path, completions, ODD)
    chinese = table.filter("key = '你好'").select("body, json_extract_string(body, '$.text')")
    assert chinese.fetchall() == [('{"text":"你好, two\\nlines"}', "你好, two\nlines")]
    # In SQL a lone surrogate is no JSON: a single one must not end a query over all bodies.
    surrogate = table.filter("key LIKE 'lone%'").select("json_extract_string(body, '$.x')")
    assert surrogate.fetchall() == [("?",)]
    infinite = table.filter("key = 'not a number'").select("json_extract_string(body, '$.z[0]')")
    assert infinite.fetchall() == [("1.5",)]
    assert table.filter("NOT json_valid(body)").fetchall() == []


@pytest.mark.parametrize("parts", [[3500], [1, 999, 1000, 1500], [700] * 5])
def test_equal_records_give_equal_bytes_however_they_are_compacted(
    tmp_path: Path, parts: list[int]
) -> None:
    records = [
        answer(f"{n:032x}", body={"x": "y" * (9_000_000 if n == 1200 else n)}) for n in range(3500)
    ]
    files = []
    for name, sizes in (("whole", [3500]), ("parts", parts)):
        path, completions = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.parquet"
        rest = iter(records)
        for size in sizes:
            write_journal(path, list(itertools.islice(rest, size)))
            compact(path, completions)
        files.append(completions.read_bytes())
    assert files[0] == files[1]


def test_row_groups_are_bounded_in_rows_and_bytes(journal_path: Path, completions: Path) -> None:
    large = {"data": "x" * (GROUP_BYTES // 3)}
    write_journal(
        journal_path, [*answers(range(1500)), *(answer(str(n), body=large) for n in range(7))]
    )
    compact(journal_path, completions)
    metadata = pq.read_metadata(completions)
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert sizes == [1000, 503, 3, 1]


def test_compact_adds_new_records_behind_old_records(journal_path: Path, completions: Path) -> None:
    everything = answers(range(2500))
    for part in (everything[:1200], everything[1200:1300], everything[1300:]):
        with Journal(journal_path, completions) as journal:
            journal.append(*part)
            assert journal.get(part[0].key) == part[0]
            assert len(journal) == everything.index(part[-1]) + 1
            assert [record.key for record in journal.live()] == [record.key for record in part]
            assert journal.compacted(everything[0].key) == (part[0] is not everything[0])
            assert not journal.compacted(part[0].key)
        assert compact(journal_path, completions) == len(part)
        assert not journal_path.exists()
        assert Path(f"{journal_path}.lock").exists()
    assert list(Journal(journal_path, completions).records()) == everything


def test_first_response_settles_the_call_across_journal_and_completions(
    journal_path: Path, completions: Path
) -> None:
    first, second = answer("k", run_id="1", id="1"), answer("k", run_id="2", id="2")
    write_journal(journal_path, [failed("k", "timeout"), failed("other", "timeout"), first])
    compact(journal_path, completions)
    with Journal(journal_path, completions) as journal:
        journal.append(second, answer("other", id="3"))
        assert journal.get("k") == first
        assert (journal.compacted("k"), journal.compacted("other")) == (True, False)
        assert journal.get("other") == answer("other", id="3")
        assert len(journal) == 2
    compact(journal_path, completions)
    with Journal(journal_path, completions) as journal:
        assert journal.get("k") == first
        assert [record.id for record in journal.records()][2:] == ["1", "2", "3"]


def test_compact_of_an_empty_journal_changes_nothing(journal_path: Path, completions: Path) -> None:
    assert compact(journal_path, completions) == 0
    assert not journal_path.parent.exists()
    with Journal(journal_path, completions):
        pass
    assert compact(journal_path, completions) == 0
    assert not completions.parent.exists()
    assert not journal_path.exists()
    write_journal(journal_path, answers(range(3)))
    compact(journal_path, completions)
    before = completions.stat()
    with Journal(journal_path, completions) as journal:
        assert len(journal) == 3
    assert compact(journal_path, completions) == 0
    assert completions.stat().st_ino == before.st_ino
    assert not journal_path.exists()


def test_record_in_journal_and_completions_counts_once(
    journal_path: Path, completions: Path
) -> None:
    """A crash between publishing the completions and removing the journal leaves this state."""
    old = write_journal(journal_path, [*answers(range(1200)), answer("no id", id=""), *ODD])
    left = journal_path.read_bytes()
    compact(journal_path, completions)
    before = completions.read_bytes()
    journal_path.write_bytes(left)
    with Journal(journal_path, completions) as journal:
        assert equal(list(journal.records()), old)
        assert list(journal.live()) == []
        assert journal.compacted(old[0].key)
        known = len(journal)
    assert compact(journal_path, completions) == 0
    assert completions.read_bytes() == before
    assert not journal_path.exists()
    journal_path.write_bytes(left)
    with Journal(journal_path, completions) as journal:
        journal.append(answer("new"))
        assert len(journal) == known + 1
        assert list(journal.live()) == [answer("new")]
    assert compact(journal_path, completions) == 1
    assert equal(list(Journal(journal_path, completions).records()), [*old, answer("new")])


def test_records_without_an_id_are_compared_by_all_their_fields(
    journal_path: Path, completions: Path
) -> None:
    records = [answer("k", id=""), answer("k", id="", time="later"), answer("k", id="k")]
    for count in (1, 2, 3):
        write_journal(journal_path, records[:count])
        assert compact(journal_path, completions) == 1
    assert list(Journal(journal_path, completions).records()) == records


def test_compact_refuses_a_journal_in_use(journal_path: Path, completions: Path) -> None:
    with Journal(journal_path, completions) as journal:
        journal.append(answer("k"))
        with pytest.raises(JournalBusy, match=f"process {os.getpid()} "):
            compact(journal_path, completions)
        assert not completions.exists()
        journal.append(answer("l"))
    assert compact(journal_path, completions) == 2


def test_compact_sets_a_torn_line_aside(journal_path: Path, completions: Path) -> None:
    write_journal(journal_path, answers(range(2)))
    with journal_path.open("ab") as file:
        file.write(b'{"custom_id": "torn')
    assert compact(journal_path, completions) == 2
    assert Path(f"{journal_path}.torn").read_bytes() == b'{"custom_id": "torn\n'


def test_compact_stops_at_a_corrupt_line_and_changes_no_file(
    journal_path: Path, completions: Path
) -> None:
    write_journal(journal_path, answers(range(1500)))
    compact(journal_path, completions)
    before = completions.read_bytes()
    data = answer("a").to_line() + b"not a record\n" + answer("b").to_line()
    journal_path.write_bytes(data)
    with pytest.raises(JournalCorrupt, match="line 2"):
        compact(journal_path, completions)
    assert journal_path.read_bytes() == data
    assert completions.read_bytes() == before
    assert list(completions.parent.iterdir()) == [completions]


@pytest.mark.parametrize("damage", ["empty", "cut", "foreign", "overwritten"])
def test_damaged_completions_are_named_and_left_unchanged(
    journal_path: Path, completions: Path, damage: str
) -> None:
    write_journal(journal_path, answers(range(1500)))
    compact(journal_path, completions)
    whole = completions.read_bytes()
    if damage == "foreign":
        pq.write_table(pq.read_table(completions, columns=["key", "id"]), completions)
    else:
        middle = len(whole) // 2
        changed = whole[: middle - 2000] + b"\xaa" * 4000 + whole[middle + 2000 :]
        completions.write_bytes({"empty": b"", "cut": whole[:-9], "overwritten": changed}[damage])
    damaged = completions.read_bytes()
    write_journal(journal_path, [answer("new")])
    with pytest.raises(JournalCorrupt, match=r"shard\.parquet"):
        list(Journal(journal_path, completions).records())
    with pytest.raises(JournalCorrupt, match=r"shard\.parquet"):
        compact(journal_path, completions)
    assert completions.read_bytes() == damaged
    assert journal_path.read_bytes() == answer("new").to_line()
    assert list(completions.parent.iterdir()) == [completions]
    completions.write_bytes(whole)
    assert compact(journal_path, completions) == 1


def test_store_reads_the_file_as_it_was_when_opened(journal_path: Path, completions: Path) -> None:
    old, new = answers(range(2500)), answers(range(2500, 2600))
    write_journal(journal_path, old)
    compact(journal_path, completions)
    with CompletionStore(completions) as reader:
        write_journal(journal_path, new)
        compact(journal_path, completions)
        assert reader.get(old[1999].key) == old[1999]
        assert reader.get(new[0].key) is None
        assert list(reader.records()) == old
    assert list(Journal(journal_path, completions).records()) == [*old, *new]


def test_reader_sees_every_record_once_while_records_are_compacted(
    journal_path: Path, completions: Path
) -> None:
    everything = answers(range(400))
    done = threading.Event()

    def work() -> None:
        for first in range(0, 400, 20):
            with Journal(journal_path, completions) as journal:
                journal.append(*everything[first : first + 20])
            compact(journal_path, completions)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    most = 0
    while not done.is_set():
        seen = list(Journal(journal_path, completions).records())
        assert seen == everything[: len(seen)]
        assert len(seen) >= most
        most = len(seen)
    worker.join()
    assert list(Journal(journal_path, completions).records()) == everything


def test_many_threads_may_look_up_records(journal_path: Path, completions: Path) -> None:
    records = answers(range(12_000))
    write_journal(journal_path, records)
    compact(journal_path, completions)
    wrong = list[str]()

    def look_up(journal: Journal, offset: int) -> None:
        for record in records[offset::40]:
            wrong.extend([] if journal.get(record.key) == record else [record.key])

    with Journal(journal_path, completions) as journal:
        threads = [threading.Thread(target=look_up, args=(journal, n)) for n in (0, 1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.fixture(params=[0, 1100], ids=["no completions yet", "completions there"])
def template(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Folder with a journal of 400 records and a torn line, with and without completions."""
    folder = tmp_path / "template"
    journal, completions = folder / "shard.jsonl", folder / "completions" / "shard.parquet"
    if request.param:
        write_journal(journal, answers(range(request.param)))
        compact(journal, completions)
    write_journal(journal, answers(range(request.param, request.param + 400)))
    with journal.open("ab") as file:
        file.write(b"torn")
    return folder


def interrupted(template: Path, way: str) -> tuple[list[int], list[Path]]:
    """Run interrupted compactions; return the wait statuses and the folders left behind."""
    root = template.parent / way
    child = subprocess.run(
        command("interrupted_compactions", template, root, way),
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(line) for line in child.stdout.split()], sorted(root.iterdir())


@pytest.mark.parametrize("way", ["step", "size"])
def test_kill_at_any_instant_neither_loses_nor_repeats_a_record(template: Path, way: str) -> None:
    ends, folders = interrupted(template, way)
    assert len(ends) == len(folders) > 3
    assert all(os.WIFSIGNALED(end) for end in ends[:-1])
    expected = list(
        Journal(template / "shard.jsonl", template / "completions" / "shard.parquet").records()
    )
    whole = (folders[-1] / "completions" / "shard.parquet").read_bytes()
    published = 0
    for folder in folders:
        journal, completions = folder / "shard.jsonl", folder / "completions" / "shard.parquet"
        assert list(Journal(journal, completions).records()) == expected
        published += completions.exists() and completions.read_bytes() == whole
        with Journal(journal, completions) as opened:
            assert len(opened) == len(expected)
            assert [opened.get(record.key) for record in expected[::50]] == expected[::50]
        compact(journal, completions)
        assert completions.read_bytes() == whole
        assert list(completions.parent.iterdir()) == [completions]
        assert not journal.exists()
    # In some steps the completions were published and the journal was still there.
    assert published >= (3 if way == "step" else 1)


def test_full_disk_changes_neither_journal_nor_completions(template: Path) -> None:
    ends, folders = interrupted(template, "full")
    assert len(ends) > 3
    assert {os.waitstatus_to_exitcode(end) for end in ends[:-1]} == {9}
    before = {
        path.relative_to(template): path.read_bytes().removesuffix(b"torn")
        for path in template.rglob("shard.*")
        if path.suffix in (".jsonl", ".parquet")
    }
    for folder in folders[:-1]:
        assert {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*shard.*")
            if path.suffix not in (".lock", ".torn")
        } == before
    shutil.rmtree(template.parent / "full")
