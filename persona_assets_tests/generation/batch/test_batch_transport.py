"""The batch transport sends each call once, within the limits of files, and records its result."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from persona_assets.generation import Call, Journal, Usage, call_key
from persona_assets.generation.batch import BatchTransport
from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets.generation.journal.journal import JournalBusy
from persona_assets_tests.generation.batch_sending import (
    BatchRun,
    FlatSpending,
    MakeCalls,
    MakeEndpoint,
    OpenRun,
    contents,
    take,
    wait_for,
)
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import CANARY, call


def test_batch_becomes_records_with_their_costs(
    open_run: OpenRun, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(looks=3) as server, open_run(server) as run:
        versioned = [Call(row.key, row.url, row.body, "prompt-7") for row in calls(5)]
        records = run.land(versioned)
        assert contents(records.values()) == {f"answer to row {row}" for row in range(5)}
        for record in records.values():
            assert (record.batch, record.run_id, record.attempt) == (True, "run", 1)
            assert (record.prompt_version, record.model) == ("prompt-7", "test-model")
            assert record.cost == Decimal("0.10")
            assert run.journal.get(record.key) == record
        [batch] = server.batches
        assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
        assert [line["custom_id"] for line in server.requests(server.uploads[0])] == list(records)[
            ::-1
        ]
        assert run.usage.calls == run.usage.attempts == 5
        assert run.usage.cost == Decimal("0.50")
        wait_for(lambda: run.batches.open_batches == run.batches.waiting == 0)
    assert list(journal_path.parent.glob("*.batches")) == []


def test_input_files_are_split_by_requests(open_run: OpenRun, calls: MakeCalls) -> None:
    with BatchServer() as server, open_run(server, most_requests=4) as run:
        assert len(run.land(calls(10))) == 10
        assert [len(server.requests(upload)) for upload in server.uploads] == [4, 4, 2]
        assert set(server.sent.values()) == {1}


def long_calls(number: int) -> list[Call]:
    return [call(f"row {row} " + "x" * 3000) for row in range(number)]


def test_input_files_are_split_by_bytes_exactly(open_run: OpenRun) -> None:
    sent = long_calls(9)
    with BatchServer() as server, open_run(server) as run:
        run.land(sent)
        size = server.uploads[0]["bytes"] // 9
    sent = [Call(call_key("again", old.url, old.body), old.url, old.body) for old in sent]
    with BatchServer() as server, open_run(server, most_bytes=3 * size) as run:
        run.land(sent)
        assert [upload["bytes"] for upload in server.uploads] == [3 * size] * 3
    sent = [Call(call_key("third", old.url, old.body), old.url, old.body) for old in sent]
    with BatchServer() as server, open_run(server, most_bytes=3 * size - 1) as run:
        run.land(sent)
        assert [upload["bytes"] for upload in server.uploads] == [2 * size] * 4 + [size]


def test_embeddings_count_each_input_and_have_files_of_their_own(open_run: OpenRun) -> None:
    bodies = [{"input": [f"text {n}", "text"]} for n in range(3)]
    embeddings = [Call(call_key("m", "/embeddings", body), "/embeddings", body) for body in bodies]
    with BatchServer() as server, open_run(server, most_requests=4) as run:
        records = run.land([*embeddings, call("row")])
        assert [record.failure for record in records.values()] == [None] * 4
        shapes = {(batch["endpoint"], batch["request_counts"]["total"]) for batch in server.batches}
        assert shapes == {("/v1/embeddings", 2), ("/v1/embeddings", 1), ("/v1/chat/completions", 1)}


def test_request_that_fits_into_no_file_fails_alone(open_run: OpenRun) -> None:
    large, small = call("x" * 5000), call("small")
    with BatchServer() as server, open_run(server, most_bytes=2000) as run:
        records = run.land([large, small])
        assert records[large.key].failure == "bad_request"
        assert records[small.key].failure is None
        # Another transport may send it.
        assert run.journal.get(large.key) is None


def test_text_of_all_kinds_arrives_unchanged(open_run: OpenRun) -> None:
    texts = ["Fünf Bücher, 书", "two\nlines\u2028three", "lone \ud800 surrogate", '"quoted" \\']
    with BatchServer() as server, open_run(server) as run:
        run.land([call(text) for text in texts])
        lines = server.requests(server.uploads[0])
        sent = [line["body"]["messages"][0]["content"] for line in lines]
        assert sent == texts


def test_key_submitted_twice_is_sent_once(open_run: OpenRun, calls: MakeCalls) -> None:
    with BatchServer() as server, open_run(server) as run:
        run.batches.submit(calls(3))
        assert len(run.land(calls(4))) == 4
        assert server.sent.total() == 4
        # By now the journal contains their records.
        assert len(run.land(calls(4))) == 4
        assert server.sent.total() == 4


def test_errors_have_the_same_codes_as_online(open_run: OpenRun) -> None:
    steps = {"bad": ["400"], "filter": ["400-content_filter"]}
    with BatchServer(lines=steps) as server, open_run(server) as run:
        bad, filtered, good = call("bad"), call("filter"), call("good")
        records = run.land([bad, filtered, good])
        refused = records[bad.key]
        assert (refused.failure, refused.status_code) == ("bad_request", 400)
        assert records[good.key].failure is None
        assert run.usage.failed == 2


def test_batch_may_end_with_errors_alone(open_run: OpenRun, calls: MakeCalls) -> None:
    steps = {f"row {row}": ["400"] for row in range(3)}
    with BatchServer(lines=steps) as server, open_run(server) as run:
        records = run.land(calls(3))
        assert {record.failure for record in records.values()} == {"bad_request"}
        assert server.batches[0]["output_file_id"] == ""


def test_lines_without_a_pending_request_are_counted(open_run: OpenRun, calls: MakeCalls) -> None:
    steps = {"row 0": ["twice"], "row 1": ["twice"], "row 2": ["garbage"]}
    with BatchServer(lines=steps) as server, open_run(server) as run:
        assert len(run.land(calls(4))) == 4
        assert run.batches.ignored == 3
        assert len(list(run.journal.records())) == 4
        assert server.sent.total() == 5


def test_calls_that_follow_from_responses_are_sent_together(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer() as server, open_run(server) as run:
        run.begin(calls(1200))
        wait_for(lambda: run.batches.waiting == 0)
        while not run.batches.landed.empty():
            landed = run.batches.landed.get()
            assert not isinstance(landed, BaseException)
            run.batches.submit([call(f"follows {record.key}") for record in landed])
            run.batches.flush()
            time.sleep(0.05)
        take(run.batches, [call(f"follows {first.key}").key for first in calls(1200)])
        assert len(server.batches) == 2


def test_missing_api_key_is_reported_before_any_write(
    endpoint: MakeEndpoint, journal_path: Path
) -> None:
    keyless = endpoint("http://127.0.0.1:9/v1", api_key_env="PERSONA_ASSETS_TEST_NO_KEY")
    with Journal(journal_path) as journal, pytest.raises(EndpointRefused, match="NO_KEY"):
        BatchTransport(keyless, journal, Usage(), FlatSpending())
    assert list(journal_path.parent.glob("*.batches")) == []


def test_batch_folder_has_a_single_holder(open_run: OpenRun, endpoint: MakeEndpoint) -> None:
    with BatchServer() as server, open_run(server) as run, pytest.raises(JournalBusy):
        BatchTransport(run.endpoint, run.journal, Usage(), FlatSpending())


def test_models_do_not_share_batches(
    endpoint: MakeEndpoint, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer() as server, Journal(journal_path) as journal:
        server.hold = True
        usual = endpoint(server.url, batch_poll=0.02)
        another = usual.model_copy(update={"model": "another"})
        first, second = (
            BatchTransport(model, journal, Usage(), FlatSpending()) for model in (usual, another)
        )
        for batches in (first, second):
            batches.submit(calls(2))
            batches.flush()
        wait_for(lambda: len(server.batches) == 2)
        models = [server.requests(upload)[0]["body"]["model"] for upload in server.uploads]
        assert sorted(models) == ["another", "test-model"] or models == ["test-model"] * 2
        first.close()
        second.close()


def test_api_key_repeated_in_the_results_is_redacted(open_run: OpenRun, journal_path: Path) -> None:
    rows = [f"row {row}" for row in range(200)]
    with BatchServer(lines={row: ["400"] for row in rows}) as server, open_run(server) as run:
        records = run.land([*map(call, rows), call("good")])
        assert "your key was Bearer [API key]" in str(records[call("row 7").key].body)
    assert CANARY.encode() not in journal_path.read_bytes()


def test_batch_sends_parameters_by_the_names_of_the_provider(
    endpoint: MakeEndpoint, journal_path: Path
) -> None:
    plain = call("row 0")
    limited = Call(plain.key, plain.url, {**plain.body, "max_completion_tokens": 5})
    with BatchServer() as server:
        ready = endpoint(server.url, batch_poll=0.02, transport="batch", provider="ollama")
        with BatchRun(ready, journal_path) as run:
            run.land([limited])
        [line] = server.requests(server.uploads[0])
    assert line["body"]["max_tokens"] == 5
    assert "max_completion_tokens" not in line["body"]
