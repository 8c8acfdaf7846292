import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_assets.generation import CallRecord, Journal, JournalBusy, JournalCorrupt, Tokens
from persona_assets.generation.journal.journal import compact

BODY = {
    "choices": [{"message": {"content": "two\nlines, 你好, \ud800"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}


def answer(key: str, **changes: object) -> CallRecord:
    return CallRecord(**({"key": key, "status_code": 200, "body": BODY, "model": "m"} | changes))  # type: ignore[arg-type]


def error(key: str, code: str) -> CallRecord:
    return CallRecord(key=key, error={"code": code, "message": "no"})


def test_what_was_added_comes_back_after_reopening(journal_path: Path) -> None:
    records = [answer(f"{n:032x}", prompt_version="v1", run_id="r") for n in range(5)]
    with Journal(journal_path) as journal:
        journal.append(records[0])
        journal.append(*records[1:])
        assert journal.get(records[3].key) == records[3]
    with Journal(journal_path) as journal:
        assert list(journal.records()) == records
        assert [journal.get(record.key) for record in records] == records
        assert len(journal) == 5
        assert journal.get("absent") is None
        assert "absent" not in journal


def test_a_line_is_the_providers_batch_output_and_more(journal_path: Path) -> None:
    with Journal(journal_path) as journal:
        journal.append(answer("k", request_id="req_1", attempt=2))
    line = json.loads(journal_path.read_text())
    assert line["custom_id"] == "k"
    assert line["response"] == {"status_code": 200, "request_id": "req_1", "body": BODY}
    assert line["error"] is None
    assert line["usage"] == BODY["usage"]
    assert (line["finish_reason"], line["attempt"]) == ("stop", 2)


def test_a_line_of_the_providers_own_is_read(journal_path: Path) -> None:
    journal_path.parent.mkdir(parents=True)
    response = {"status_code": 200, "request_id": "r", "body": BODY}
    line = {"id": "batch_req_1", "custom_id": "k", "response": response, "error": None}
    journal_path.write_text(json.dumps(line) + "\n")
    with Journal(journal_path) as journal:
        record = journal.get("k")
    assert record is not None
    assert (record.body, record.id, record.finish_reason) == (BODY, "batch_req_1", "stop")


OLD_LINES = (
    b'{"id":"call_1","custom_id":"with usage","response":{"status_code":200,"request_id":"req_1",'
    b'"body":{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":7,"completion_tokens":3}}},"error":null,"attempt":2,"model":"m",'
    b'"prompt_version":"v","run_id":"r","usage":{"prompt_tokens":7,"completion_tokens":3},'
    b'"finish_reason":"stop","time":"2026-11-22T10:00:00+00:00"}\n'
    b'{"custom_id":"bare","response":{"body":{"choices":[]},"status_code":200}}\n'
    b'{"custom_id":"failed","error":{"code":"timeout","message":"late"}}\n'
)
"""Before there were costs, uncertain attempts and batches; and with little more than a key."""


def test_lines_of_older_versions_are_read(journal_path: Path) -> None:
    journal_path.parent.mkdir(parents=True)
    journal_path.write_bytes(OLD_LINES)
    completions = journal_path.with_suffix(".parquet")
    with Journal(journal_path, completions) as journal:
        old, bare = journal.get("with usage"), journal.get("bare")
        before = list(journal.records())
        assert journal.get("failed") is None
    assert old is not None
    assert (old.attempt, old.run_id, old.id) == (2, "r", "call_1")
    assert old.tokens == Tokens(input=7, output=3)
    assert (old.cost, old.uncertain, old.batch) == (None, 0, False)
    assert bare == CallRecord("bare", 200, {"choices": []}, id="", time="")
    assert compact(journal_path, completions) == 3
    with Journal(journal_path, completions) as journal:
        assert [journal.get("with usage"), journal.get("bare")] == [old, bare]
        assert list(journal.records()) == before


def test_transient_errors_are_kept_but_answer_nothing(journal_path: Path) -> None:
    with Journal(journal_path) as journal:
        journal.append(error("a", "timeout"), error("b", "content_filter"), answer("c"))
        assert journal.get("a") is None
        assert journal.get("b") is not None
        journal.append(answer("a"))
        assert journal.get("a") == answer("a", id=journal.get("a").id, time=journal.get("a").time)  # type: ignore[union-attr]
        assert [record.failure for record in journal.records()] == [
            "timeout",
            "content_filter",
            None,
            None,
        ]


def test_of_two_answers_the_first_stays(journal_path: Path) -> None:
    first, second = answer("k", run_id="1"), answer("k", run_id="2")
    with Journal(journal_path) as journal:
        journal.append(first)
        journal.append(second)
        assert journal.get("k") == first
    with Journal(journal_path) as journal:
        assert journal.get("k") == first
        assert list(journal.records()) == [first, second]


def test_cut_at_every_byte_of_the_last_record(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    kept, last = answer("kept"), answer("last", body={"choices": []})
    with Journal(whole) as journal:
        journal.append(kept, last)
    data = whole.read_bytes()
    start = data.index(b"\n") + 1
    for cut in range(start, len(data)):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(data[:cut])
        with Journal(path) as journal:
            assert list(journal.records()) == [kept]
            assert journal.get("last") is None
            if cut % 16 == 0:
                journal.append(last)
        assert path.read_bytes() == (data if cut % 16 == 0 else data[:start])
        torn = Path(f"{path}.torn")
        assert (torn.read_bytes() if torn.exists() else b"") == (
            data[start:cut] + b"\n" if cut > start else b""
        )


def test_a_long_torn_line_is_set_aside_whole(journal_path: Path) -> None:
    journal_path.parent.mkdir(parents=True)
    torn = b'{"custom_id":"' + b"x" * 200_000
    journal_path.write_bytes(answer("kept").to_line() + torn)
    with Journal(journal_path) as journal:
        assert [record.key for record in journal.records()] == ["kept"]
    assert Path(f"{journal_path}.torn").read_bytes() == torn + b"\n"


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"{}",
        b'{"custom_id": 3}',
        b"[]",
        b"\0\0\0",
        b'{"custom_id": "a", "cost_usd": "dear"}',
        b'{"custom_id": "a", "cost_usd": []}',
        b'{"custom_id": "a", "error": "gone"}',
        b'{"custom_id": "a", "error": {"code": []}}',
        b'{"custom_id": "a"} {"custom_id": "b"}',
        b'{"custom_id": "a", "response": {"status_code": 200, "body": {"x": [1, 2}}}',
        b'{"custom_id": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda bad: bad[:40].decode(),
)
def test_a_corrupt_line_is_named(journal_path: Path, bad: bytes) -> None:
    journal_path.parent.mkdir(parents=True)
    data = answer("a").to_line() + bad + b"\n" + answer("b").to_line()
    journal_path.write_bytes(data)
    with pytest.raises(JournalCorrupt, match="line 2"), Journal(journal_path):
        pass
    assert journal_path.read_bytes() == data
    journal_path.write_bytes(data.replace(bad + b"\n", b""))
    with Journal(journal_path) as journal:
        assert len(journal) == 2


def test_a_second_opener_is_told_who_holds_it(journal_path: Path) -> None:
    with Journal(journal_path) as journal:
        with pytest.raises(JournalBusy) as caught, Journal(journal_path):
            pass
        assert str(journal_path) in str(caught.value)
        assert f"process {os.getpid()} " in str(caught.value)
        other = subprocess.run(
            [sys.executable, "-c", OPEN, journal_path], capture_output=True, text=True, check=False
        )
        assert "JournalBusy" in other.stderr
        journal.append(answer("k"))
    subprocess.run([sys.executable, "-c", OPEN, journal_path], check=True)


OPEN = """
import sys
from persona_assets.generation import Journal
with Journal(sys.argv[1]):
    pass
"""


def test_the_lease_ends_with_its_holder(journal_path: Path) -> None:
    script = OPEN.replace("pass", "print('held', flush=True); sys.stdin.read()")
    holder = subprocess.Popen(
        [sys.executable, "-c", script, journal_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JournalBusy), Journal(journal_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with Journal(journal_path) as journal:
        journal.append(answer("k"))


def test_readers_need_no_lease_and_see_whole_lines_only(journal_path: Path) -> None:
    assert list(Journal(journal_path).records()) == []
    with Journal(journal_path) as journal:
        journal.append(answer("a"))
        with journal_path.open("ab") as file:
            file.write(b'{"custom_id": "b"')
        assert [record.key for record in Journal(journal_path).records()] == ["a"]


def test_a_closed_journal_takes_nothing(journal_path: Path) -> None:
    journal = Journal(journal_path)
    with pytest.raises(ValueError, match="is not open"):
        journal.append(answer("k"))
    with journal:
        journal.append(answer("k"))
    with pytest.raises(ValueError, match="is not open"):
        journal.append(answer("k2"))


FILL = """
import resource, sys
from persona_assets.generation import Journal, CallRecord
with Journal(sys.argv[1]) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    for number in range(100):
        record = CallRecord(key=f"{number:032x}", status_code=200, body={"text": "x" * 700})
        try:
            journal.append(record)
        except OSError as error:
            print(number, error.errno, record.key in journal)
            break
"""


def test_a_full_disk_costs_the_record_that_did_not_fit(journal_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    child = subprocess.run(
        [sys.executable, "-c", FILL, journal_path], capture_output=True, text=True, check=True
    )
    written, _, indexed = child.stdout.split()
    assert int(written) > 10
    assert indexed == "False"
    with Journal(journal_path) as journal:
        assert len(list(journal.records())) == int(written)
    assert not Path(f"{journal_path}.torn").exists()


texts = st.text(st.characters(), max_size=20)
"""Lone surrogates included."""


@settings(max_examples=50, deadline=None)
@given(texts, texts, st.dictionaries(texts, texts), st.sampled_from([200, 400, None]))
def test_any_record_survives_its_line(
    key: str, model: str, body: dict[str, str], status: int | None
) -> None:
    record = CallRecord(key=key, status_code=status, body=body if status else None, model=model)
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert CallRecord.from_line(line) == record


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.integers(0, 3),
        st.sampled_from(
            [b"", b"\0", b'"', b"\\", b"}", b"]", b",", b"\xff", b"1e9", b"null", b"{}"]
        ),
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MUTATIONS, st.sampled_from([*OLD_LINES.splitlines(), answer("k", cost=1).to_line()[:-1]]))
def test_a_line_is_a_record_when_opened_if_it_is_one_when_read(
    mutations: list[tuple[int, int, bytes]], line: bytes
) -> None:
    for at, cut, put in mutations:
        at %= len(line)
        line = line[:at] + put + line[at + cut :]
    line = line.replace(b"\n", b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard.jsonl"
        path.write_bytes(line + b"\n")
        try:
            record = next(Journal(path).records())
        except JournalCorrupt:
            with pytest.raises(JournalCorrupt, match="line 1"), Journal(path):
                pass
        else:
            with Journal(path) as journal:
                assert journal.get(record.key) == (record if record.answered else None)
                assert len(journal) == record.answered
