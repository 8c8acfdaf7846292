"""The engine turns a stream of calls into a stream of records and pays for each call once."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from persona_assets.generation import (
    Call,
    Endpoint,
    Engine,
    Journal,
    Usage,
    call_key,
)
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import KEY_VARIABLE, call, content

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


def test_engine_yields_records_in_the_order_of_the_calls(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {"row 0": ["500"], "row 7": ["429"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=8), journal)
        records = list(engine.send(calls(60)))
    assert [content(record) for record in records] == [f"answer to row {n}" for n in range(60)]
    assert set(server.billed.values()) == {1}
    assert server.most_in_flight <= 8


def test_engine_counts_calls_attempts_and_tokens(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {"row 0": ["500"], "row 7": ["429"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=8), journal)
        list(engine.send(calls(60)))
    usage = engine.usage
    assert (usage.calls, usage.replayed, usage.failed, usage.attempts) == (60, 0, 0, 62)
    assert (usage.tokens.input, usage.tokens.output) == (420, 180)


def test_record_names_its_run_and_its_attempt(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer({"row 0": ["500"]}) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal, run_id="run 1")
        records = list(engine.send(calls(2)))
    assert {record.run_id for record in records} == {"run 1"}
    assert (records[0].attempt, records[1].attempt) == (2, 1)


def test_replay_sends_nothing_and_needs_neither_key_nor_server(
    endpoint: Make, calls: Calls, journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer({"row 2": ["400-filter"]}) as server:
        with Journal(journal_path) as journal:
            first = list(Engine(endpoint(server.url), journal).send(calls(20)))
        url = server.url
    size = journal_path.stat().st_size
    monkeypatch.delenv(KEY_VARIABLE)
    with Journal(journal_path) as journal:
        engine = Engine(endpoint(url), journal)
        assert list(engine.send(calls(20))) == first
    assert (engine.usage.replayed, engine.usage.calls) == (20, 0)
    assert journal_path.stat().st_size == size
    assert server.asked.total() == 20


def test_new_row_in_the_middle_costs_one_call(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        list(engine.send(calls(10)))
        edited = [*calls(5), call("another row"), *calls(10)[6:]]
        keys = [record.key for record in engine.send(edited)]
    assert keys == [call.key for call in edited]
    assert server.billed.total() == 11


def test_key_that_comes_twice_is_sent_once(endpoint: Make, journal_path: Path) -> None:
    with FaultServer(latency=0.05) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        records = list(engine.send([call("same"), call("other"), call("same")] * 3))
    assert len(records) == 9
    assert server.billed == {"same": 1, "other": 1}


def test_sample_index_makes_a_call_of_its_own(endpoint: Make, journal_path: Path) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        list(Engine(endpoint(server.url), journal).send([call("same", 0), call("same", 1)]))
    assert server.billed == {"same": 2}


def test_stream_is_read_as_needed(endpoint: Make, journal_path: Path) -> None:
    read = 0

    def stream() -> Iterator[Call]:
        nonlocal read
        for row in range(1_000_000):
            read += 1
            yield call(f"row {row}")

    with FaultServer() as server, Journal(journal_path) as journal:
        records = Engine(endpoint(server.url, concurrency=4), journal).send(stream())
        with closing(records):
            for _ in range(5):
                next(records)
    assert read <= 1024 + 5
    assert server.asked.total() < 1024


def test_engine_sends_and_replays_embeddings(endpoint: Make, journal_path: Path) -> None:
    body = {"input": "a text"}
    embedding = Call(call_key("test-model", "/embeddings", body), "/embeddings", body)
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        [record] = engine.send([embedding])
        [again] = engine.send([embedding])
    assert record == again
    assert record.body is not None
    assert record.body["data"][0]["embedding"] == [0.25, -0.5]
    assert engine.usage.tokens.input == 5
    assert server.bodies == [{"model": "test-model", "input": "a text"}]


def test_report_holds_calls_done_calls_in_all_and_usage(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    reports: list[tuple[int, int | None, int]] = []

    def report(done: int, total: int | None, usage: Usage) -> None:
        reports.append((done, total, usage.calls))

    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal, report=report)
        list(engine.send(calls(5)))
        list(engine.send(iter(calls(7))))
    assert reports == [(5, 5, 5), (7, None, 7)]
    assert engine.usage.seconds > 0
