import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_assets.generation import CallRecord, Journal, JournalBusy, JournalCorrupt
from persona_assets.generation.journal.completion_store import (
    GROUP_BYTES,
    GROUP_ROWS,
    CompletionStore,
)
from persona_assets.generation.journal.journal import compact


@pytest.fixture
def completions(tmp_path: Path) -> Path:
    return tmp_path / "completions" / "asset" / "shard.parquet"


def answer(key: str, **changes: Any) -> CallRecord:
    """An answer that is the same whenever it is made."""
    choice = {"message": {"content": f"to {key}"}, "finish_reason": "stop"}
    usage = {
        "prompt_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    usual: dict[str, Any] = {
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
    return CallRecord(**(usual | changes))


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
"""Records as they would never be, or hardly ever."""


def written(path: Path, records: list[CallRecord]) -> list[CallRecord]:
    """The records of a journal that is written in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(record.to_line() for record in records)
    return list(Journal(path).records())


def same(one: list[CallRecord], other: list[CallRecord]) -> bool:
    """Whether records are equal, even where NaN is not."""
    pairs = zip(one, other, strict=True)
    return all(a == b or repr(a) == repr(b) for a, b in pairs)


def test_what_the_journal_gave_comes_back(journal_path: Path, completions: Path) -> None:
    usual = answers(range(2 * GROUP_ROWS + 5))
    records = written(journal_path, usual)
    with Journal(journal_path, completions) as journal:
        live = [journal.get(record.key) for record in records]
        assert not journal.landed(records[0].key)
    assert compact(journal_path, completions) == len(records)
    with Journal(journal_path, completions) as journal:
        assert list(journal.records()) == records
        assert list(journal.live()) == []
        assert [journal.get(record.key) for record in records] == live
        assert all(record.key in journal and journal.landed(record.key) for record in records)
        assert len(journal) == len(records)
        assert journal.get("absent") is None
        assert "absent" not in journal
        assert not journal.landed("absent")


def test_odd_records_come_back_as_they_were(journal_path: Path, completions: Path) -> None:
    records = written(journal_path, ODD)
    with Journal(journal_path, completions) as journal:
        live = [journal.get(record.key) for record in records]
        known = len(journal)
    assert compact(journal_path, completions) == len(ODD)
    with Journal(journal_path, completions) as journal:
        assert same(list(journal.records()), records)
        again = [journal.get(record.key) for record in records]
        assert [record is None for record in again] == [record is None for record in live]
        assert same(list(filter(None, again)), list(filter(None, live)))
        assert len(journal) == known == len(ODD) - 2


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
def test_any_record_comes_back(given_records: list[CallRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, completions = Path(folder) / "shard.jsonl", Path(folder) / "shard.parquet"
        before = written(path, given_records)
        compact(path, completions)
        with Journal(path, completions) as journal:
            assert list(journal.records()) == before
            for record in before:
                first = next(it for it in before if it.key == record.key and it.answered is True)
                assert journal.get(record.key) == first


def test_the_columns_are_for_sql(journal_path: Path, completions: Path) -> None:
    written(journal_path, [answer("a"), failed("b", "timeout", uncertain=1), *ODD])
    compact(journal_path, completions)
    found = duckdb.read_parquet(str(completions))
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    assert kinds["cost_usd"] == "DECIMAL(38,12)"
    assert {kinds[name] for name in found.columns if name.endswith("_tokens")} == {"BIGINT"}
    assert found.filter("key = 'a'").fetchall() == [
        (
            *("a", "2026-11-23T10:00:00+00:00", "r", "m", "v", 1, 0, False, 200, "", None, None),
            *("stop", 9, 4, 5, 2, Decimal("0.00012")),
            '{"choices":[{"message":{"content":"to a"},"finish_reason":"stop"}],"usage":'
            '{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens":5,'
            '"completion_tokens_details":{"reasoning_tokens":2}}}',
            *("call_a", None),
        )
    ]
    error = "error_code, error_message, uncertain, cost_usd, input_tokens, body"
    assert found.filter("key = 'b'").select(error).fetchall() == [
        ("timeout", "no", 1, None, None, None)
    ]
    said = found.filter("key = '你好'").select("body, json_extract_string(body, '$.text')")
    assert said.fetchall() == [('{"text":"你好, two\\nlines"}', "你好, two\nlines")]
    # A lone surrogate is no JSON to SQL: one of them must not end a query over all bodies.
    surrogate = found.filter("key LIKE 'lone%'").select("json_extract_string(body, '$.x')")
    assert surrogate.fetchall() == [("?",)]
    infinite = found.filter("key = 'not a number'").select("json_extract_string(body, '$.z[0]')")
    assert infinite.fetchall() == [("1.5",)]
    assert found.filter("NOT json_valid(body)").fetchall() == []


@pytest.mark.parametrize("parts", [[3500], [1, 999, 1000, 1500], [700] * 5])
def test_the_same_records_give_the_same_bytes(tmp_path: Path, parts: list[int]) -> None:
    records = [
        answer(f"{n:032x}", body={"x": "y" * (9_000_000 if n == 1200 else n)}) for n in range(3500)
    ]
    files = []
    for name, sizes in (("whole", [3500]), ("parts", parts)):
        path, completions = tmp_path / f"{name}.jsonl", tmp_path / f"{name}.parquet"
        rest = iter(records)
        for size in sizes:
            written(path, list(itertools.islice(rest, size)))
            compact(path, completions)
        files.append(completions.read_bytes())
    assert files[0] == files[1]


def test_no_group_of_rows_is_large(journal_path: Path, completions: Path) -> None:
    large = {"data": "x" * (GROUP_BYTES // 3)}
    written(journal_path, [*answers(range(1500)), *(answer(str(n), body=large) for n in range(7))])
    compact(journal_path, completions)
    metadata = pq.read_metadata(completions)
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert sizes == [1000, 503, 3, 1]


def test_new_records_come_behind_the_old_ones(journal_path: Path, completions: Path) -> None:
    everything = answers(range(2500))
    for part in (everything[:1200], everything[1200:1300], everything[1300:]):
        with Journal(journal_path, completions) as journal:
            journal.append(*part)
            assert journal.get(part[0].key) == part[0]
            assert len(journal) == everything.index(part[-1]) + 1
            assert [record.key for record in journal.live()] == [record.key for record in part]
            assert journal.landed(everything[0].key) == (part[0] is not everything[0])
            assert not journal.landed(part[0].key)
        assert compact(journal_path, completions) == len(part)
        assert not journal_path.exists()
        assert Path(f"{journal_path}.lock").exists()
    assert list(Journal(journal_path, completions).records()) == everything


def test_of_two_answers_the_first_stays(journal_path: Path, completions: Path) -> None:
    first, second = answer("k", run_id="1", id="1"), answer("k", run_id="2", id="2")
    written(journal_path, [failed("k", "timeout"), failed("other", "timeout"), first])
    compact(journal_path, completions)
    with Journal(journal_path, completions) as journal:
        journal.append(second, answer("other", id="3"))
        assert journal.get("k") == first
        assert (journal.landed("k"), journal.landed("other")) == (True, False)
        assert journal.get("other") == answer("other", id="3")
        assert len(journal) == 2
    compact(journal_path, completions)
    with Journal(journal_path, completions) as journal:
        assert journal.get("k") == first
        assert [record.id for record in journal.records()][2:] == ["1", "2", "3"]


def test_nothing_to_move_changes_nothing(journal_path: Path, completions: Path) -> None:
    assert compact(journal_path, completions) == 0
    assert not journal_path.parent.exists()
    with Journal(journal_path, completions):
        pass
    assert compact(journal_path, completions) == 0
    assert not completions.parent.exists()
    assert not journal_path.exists()
    written(journal_path, answers(range(3)))
    compact(journal_path, completions)
    before = completions.stat()
    with Journal(journal_path, completions) as journal:
        assert len(journal) == 3
    assert compact(journal_path, completions) == 0
    assert completions.stat().st_ino == before.st_ino
    assert not journal_path.exists()


def test_what_is_in_both_is_there_once(journal_path: Path, completions: Path) -> None:
    """The state that a crash leaves after the completions are published, and what follows."""
    old = written(journal_path, [*answers(range(1200)), answer("no id", id=""), *ODD])
    left = journal_path.read_bytes()
    compact(journal_path, completions)
    before = completions.read_bytes()
    journal_path.write_bytes(left)
    with Journal(journal_path, completions) as journal:
        assert same(list(journal.records()), old)
        assert list(journal.live()) == []
        assert journal.landed(old[0].key)
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
    assert same(list(Journal(journal_path, completions).records()), [*old, answer("new")])


def test_lines_without_an_id_are_told_by_all_they_say(
    journal_path: Path, completions: Path
) -> None:
    records = [answer("k", id=""), answer("k", id="", time="later"), answer("k", id="k")]
    for count in (1, 2, 3):
        written(journal_path, records[:count])
        assert compact(journal_path, completions) == 1
    assert list(Journal(journal_path, completions).records()) == records


def test_a_journal_in_use_is_left_alone(journal_path: Path, completions: Path) -> None:
    with Journal(journal_path, completions) as journal:
        journal.append(answer("k"))
        with pytest.raises(JournalBusy, match=f"process {os.getpid()} "):
            compact(journal_path, completions)
        assert not completions.exists()
        journal.append(answer("l"))
    assert compact(journal_path, completions) == 2


def test_a_torn_line_is_set_aside_first(journal_path: Path, completions: Path) -> None:
    written(journal_path, answers(range(2)))
    with journal_path.open("ab") as file:
        file.write(b'{"custom_id": "torn')
    assert compact(journal_path, completions) == 2
    assert Path(f"{journal_path}.torn").read_bytes() == b'{"custom_id": "torn\n'


def test_a_corrupt_line_stops_it_and_nothing_is_lost(journal_path: Path, completions: Path) -> None:
    written(journal_path, answers(range(1500)))
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
def test_damaged_completions_are_named_and_left_alone(
    journal_path: Path, completions: Path, damage: str
) -> None:
    written(journal_path, answers(range(1500)))
    compact(journal_path, completions)
    whole = completions.read_bytes()
    if damage == "foreign":
        pq.write_table(pq.read_table(completions, columns=["key", "id"]), completions)
    else:
        middle = len(whole) // 2
        changed = whole[: middle - 2000] + b"\xaa" * 4000 + whole[middle + 2000 :]
        completions.write_bytes({"empty": b"", "cut": whole[:-9], "overwritten": changed}[damage])
    damaged = completions.read_bytes()
    written(journal_path, [answer("new")])
    with pytest.raises(JournalCorrupt, match=r"shard\.parquet"):
        list(Journal(journal_path, completions).records())
    with pytest.raises(JournalCorrupt, match=r"shard\.parquet"):
        compact(journal_path, completions)
    assert completions.read_bytes() == damaged
    assert journal_path.read_bytes() == answer("new").to_line()
    assert list(completions.parent.iterdir()) == [completions]
    completions.write_bytes(whole)
    assert compact(journal_path, completions) == 1


def test_an_open_file_is_read_as_it_was(journal_path: Path, completions: Path) -> None:
    old, new = answers(range(2500)), answers(range(2500, 2600))
    written(journal_path, old)
    compact(journal_path, completions)
    with CompletionStore(completions) as reader:
        written(journal_path, new)
        compact(journal_path, completions)
        assert reader.get(old[1999].key) == old[1999]
        assert reader.get(new[0].key) is None
        assert list(reader.records()) == old
    assert list(Journal(journal_path, completions).records()) == [*old, *new]


def test_a_reader_is_given_every_record_once_while_they_move(
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
        found = list(Journal(journal_path, completions).records())
        assert found == everything[: len(found)]
        assert len(found) >= most
        most = len(found)
    worker.join()
    assert list(Journal(journal_path, completions).records()) == everything


def test_many_threads_may_ask(journal_path: Path, completions: Path) -> None:
    records = answers(range(12_000))
    written(journal_path, records)
    compact(journal_path, completions)
    wrong = list[str]()

    def ask(journal: Journal, offset: int) -> None:
        for record in records[offset::40]:
            wrong.extend([] if journal.get(record.key) == record else [record.key])

    with Journal(journal_path, completions) as journal:
        threads = [threading.Thread(target=ask, args=(journal, n)) for n in (0, 1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


KILLED = """
import os, resource, shutil, signal, sys
from pathlib import Path
import numpy, pyarrow, pyarrow.parquet
from persona_assets.generation.journal.journal import Journal, compact

# The first array imports pandas, where there is one: here, and not in each child.
pyarrow.array(["x"])
template, root, way = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def work(folder):
    compact(folder / "shard.jsonl", folder / "completions" / "shard.parquet")

def before_step(folder, number):
    '''Is killed where it is about to open, make, rename or remove a file for the n-th time.'''
    left = [number]
    def watch(event, arguments):
        steps = ("open", "os.mkdir", "os.rename", "os.remove")
        if event in steps and str(folder) in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    work(folder)

def at_size(folder, number):
    '''Is killed by the kernel where a file would grow beyond so many bytes.'''
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (number * 1500, number * 1500))
    work(folder)

def on_full_disk(folder, number):
    resource.setrlimit(resource.RLIMIT_FSIZE, (number * 1500, number * 1500))
    try:
        work(folder)
    except OSError:
        os._exit(9)

number = status = 1
while status:
    folder = root / f"{number:03}"
    shutil.copytree(template, folder)
    child = os.fork()
    if not child:
        {"step": before_step, "size": at_size, "full": on_full_disk}[way](folder, number)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(status, flush=True)
    number += 1
"""


@pytest.fixture(params=[0, 1100], ids=["no completions yet", "completions there"])
def template(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a journal of 400 records, a torn line and, maybe, completions."""
    folder = tmp_path / "template"
    journal, completions = folder / "shard.jsonl", folder / "completions" / "shard.parquet"
    if request.param:
        written(journal, answers(range(request.param)))
        compact(journal, completions)
    written(journal, answers(range(request.param, request.param + 400)))
    with journal.open("ab") as file:
        file.write(b"torn")
    return folder


def interrupted(template: Path, way: str) -> tuple[list[int], list[Path]]:
    """The ends of the children, the last of which came through, and the folders they left."""
    root = template.parent / way
    child = subprocess.run(
        [sys.executable, "-c", KILLED, template, root, way],
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(line) for line in child.stdout.split()], sorted(root.iterdir())


@pytest.mark.parametrize("way", ["step", "size"])
def test_a_kill_at_any_instant_loses_nothing_and_repeats_nothing(template: Path, way: str) -> None:
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
    # The file was there, and the journal too, in at least one of the steps.
    assert published >= (3 if way == "step" else 1)


def test_a_full_disk_leaves_everything_where_it_was(template: Path) -> None:
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
