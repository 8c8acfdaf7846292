"""A journal keeps every record that was appended, once and whole, and has a single holder."""

import json
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_assets.generation import CallRecord, Journal, JournalBusy, JournalCorrupt, Tokens
from persona_assets.generation.journal.journal import compact
from persona_assets_tests.generation.child_programs import command, start

BODY = {
    "choices": [{"message": {"content": "two\nlines, 你好, \ud800"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}


def success(key: str, **changes: object) -> CallRecord:
    """Return the record of a successful call with text that is hard to encode."""
    return CallRecord(**({"key": key, "status_code": 200, "body": BODY, "model": "m"} | changes))  # type: ignore[arg-type]


def failure(key: str, code: str) -> CallRecord:
    return CallRecord(key=key, error={"code": code, "message": "no"})


def test_journal_returns_its_records_after_reopening(journal_path: Path) -> None:
    records = [success(f"{n:032x}", prompt_version="v1", run_id="r") for n in range(5)]
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


def test_line_has_the_format_of_the_providers_batch_output_with_more_members(
    journal_path: Path,
) -> None:
    with Journal(journal_path) as journal:
        journal.append(success("k", request_id="req_1", attempt=2))
    line = json.loads(journal_path.read_text())
    assert line["custom_id"] == "k"
    assert line["response"] == {"status_code": 200, "request_id": "req_1", "body": BODY}
    assert line["error"] is None
    assert line["usage"] == BODY["usage"]
    assert (line["finish_reason"], line["attempt"]) == ("stop", 2)


def test_journal_reads_a_line_of_the_providers_batch_output(journal_path: Path) -> None:
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
"""Lines without costs, uncertain attempts and batches, and lines with little more than a key."""


def test_journal_and_completions_read_lines_of_older_versions(journal_path: Path) -> None:
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


def test_transient_errors_are_recorded_but_settle_no_call(journal_path: Path) -> None:
    with Journal(journal_path) as journal:
        journal.append(failure("a", "timeout"), failure("b", "content_filter"), success("c"))
        assert journal.get("a") is None
        assert journal.get("b") is not None
        journal.append(success("a"))
        assert journal.get("a") == success("a", id=journal.get("a").id, time=journal.get("a").time)  # type: ignore[union-attr]
        assert [record.failure for record in journal.records()] == [
            "timeout",
            "content_filter",
            None,
            None,
        ]


def test_first_of_two_responses_settles_the_call(journal_path: Path) -> None:
    first, second = success("k", run_id="1"), success("k", run_id="2")
    with Journal(journal_path) as journal:
        journal.append(first)
        journal.append(second)
        assert journal.get("k") == first
    with Journal(journal_path) as journal:
        assert journal.get("k") == first
        assert list(journal.records()) == [first, second]


def test_journal_sets_a_torn_last_line_aside_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    kept, last = success("kept"), success("last", body={"choices": []})
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


def test_journal_sets_a_long_torn_line_aside_whole(journal_path: Path) -> None:
    journal_path.parent.mkdir(parents=True)
    torn = b'{"custom_id":"' + b"x" * 200_000
    journal_path.write_bytes(success("kept").to_line() + torn)
    with Journal(journal_path) as journal:
        assert [record.key for record in journal.records()] == ["kept"]
    assert Path(f"{journal_path}.torn").read_bytes() == torn + b"\n"


@pytest.mark.parametrize(
    "line",
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
    ids=lambda line: line[:40].decode(),
)
def test_journal_names_a_corrupt_line_and_leaves_the_file_unchanged(
    journal_path: Path, line: bytes
) -> None:
    journal_path.parent.mkdir(parents=True)
    data = success("a").to_line() + line + b"\n" + success("b").to_line()
    journal_path.write_bytes(data)
    with pytest.raises(JournalCorrupt, match="line 2"), Journal(journal_path):
        pass
    assert journal_path.read_bytes() == data
    journal_path.write_bytes(data.replace(line + b"\n", b""))
    with Journal(journal_path) as journal:
        assert len(journal) == 2


def test_second_opener_learns_the_holder_of_the_lease(journal_path: Path) -> None:
    with Journal(journal_path) as journal:
        with pytest.raises(JournalBusy) as caught, Journal(journal_path):
            pass
        assert str(journal_path) in str(caught.value)
        assert f"process {os.getpid()} " in str(caught.value)
        other = subprocess.run(
            command("open_journal", journal_path), capture_output=True, text=True, check=False
        )
        assert "JournalBusy" in other.stderr
        journal.append(success("k"))
    subprocess.run(command("open_journal", journal_path), check=True)


def test_lease_ends_with_the_process_that_holds_it(journal_path: Path) -> None:
    holder = start("hold_journal", journal_path)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JournalBusy), Journal(journal_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with Journal(journal_path) as journal:
        journal.append(success("k"))


def test_readers_need_no_lease_and_see_whole_lines_alone(journal_path: Path) -> None:
    assert list(Journal(journal_path).records()) == []
    with Journal(journal_path) as journal:
        journal.append(success("a"))
        with journal_path.open("ab") as file:
            file.write(b'{"custom_id": "b"')
        assert [record.key for record in Journal(journal_path).records()] == ["a"]


def test_closed_journal_refuses_records(journal_path: Path) -> None:
    journal = Journal(journal_path)
    with pytest.raises(ValueError, match="is not open"):
        journal.append(success("k"))
    with journal:
        journal.append(success("k"))
    with pytest.raises(ValueError, match="is not open"):
        journal.append(success("k2"))


def test_full_disk_loses_no_record_but_the_first_that_did_not_fit(journal_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    child = subprocess.run(
        command("fill_journal", journal_path), capture_output=True, text=True, check=True
    )
    written, _, indexed = child.stdout.split()
    assert int(written) > 10
    assert indexed == "False"
    with Journal(journal_path) as journal:
        assert len(list(journal.records())) == int(written)
    assert not Path(f"{journal_path}.torn").exists()


texts = st.text(st.characters(), max_size=20)
"""Texts with lone surrogates."""


@settings(max_examples=50, deadline=None)
@given(texts, texts, st.dictionaries(texts, texts), st.sampled_from([200, 400, None]))
def test_any_record_equals_the_record_read_from_its_line(
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
@given(MUTATIONS, st.sampled_from([*OLD_LINES.splitlines(), success("k", cost=1).to_line()[:-1]]))
def test_opening_a_journal_accepts_exactly_the_lines_that_reading_accepts(
    mutations: list[tuple[int, int, bytes]], line: bytes
) -> None:
    for position, removed, inserted in mutations:
        start = position % len(line)
        line = line[:start] + inserted + line[start + removed :]
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
