"""Failures pass, last or end the run, depending on their kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from persona_assets.generation import (
    Call,
    Endpoint,
    EndpointRefused,
    EndpointUnreachable,
    Engine,
    Journal,
)
from persona_assets.generation.calls.refusals import FEW
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import KEY_VARIABLE, call, content

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


FAULTS = [
    "429",
    "429-date",
    "500",
    "502",
    "503",
    "hang",
    "drop",
    "drop-early",
    "truncated",
    "garbage",
    "html-200",
    "error-200",
]


def test_passing_fault_costs_a_second_attempt(endpoint: Make, journal_path: Path) -> None:
    script = {fault: [fault] for fault in FAULTS}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, timeout=1.0, concurrency=6), journal)
        records = list(engine.send([call(fault) for fault in FAULTS]))
        assert {content(record) for record in records} == {f"answer to {f}" for f in FAULTS}
        assert [record.attempt for record in records] == [2] * len(FAULTS)
    assert set(server.asked.values()) == {2}
    assert len(journal_path.read_bytes().splitlines()) == len(FAULTS)


def test_engine_sends_nothing_before_a_retry_after_has_passed(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {"row 0": ["429-together"], "row 1": ["slow"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=2), journal)
        assert len(list(engine.send(calls(6)))) == 6
    assert server.violations == 0
    assert server.asked["row 0"] == 2


CODES = {
    "500": "server_error",
    "502": "server_error",
    "503": "server_error",
    "429": "rate_limit",
    "hang": "timeout",
    "drop": "connection",
    "truncated": "connection",
    "garbage": "malformed",
    "html-200": "malformed",
    "error-200": "server_error",
}


def test_lasting_fault_ends_in_an_error_that_the_next_run_retries(
    endpoint: Make, journal_path: Path
) -> None:
    script = {fault: [fault] * 50 for fault in CODES}
    rows = [*map(call, CODES), call("good")]
    with FaultServer(script) as server, Journal(journal_path) as journal:
        settings = {"timeout": 0.5, "max_attempts": 2, "deadline": 4.0, "concurrency": 11}
        engine = Engine(endpoint(server.url, **settings), journal)
        records = list(engine.send(rows))
        assert [record.failure for record in records] == [*CODES.values(), None]
        assert engine.usage.failed == len(CODES)
        assert server.asked["drop"] == server.asked["500"] == 2
        assert len(journal) == 1
        server.script.clear()
        engine = Engine(endpoint(server.url), journal)
        assert [record.failure for record in engine.send(rows)] == [None] * len(rows)
        assert (engine.usage.replayed, engine.usage.calls) == (1, len(CODES))


def test_rate_limit_costs_no_attempt(endpoint: Make, journal_path: Path) -> None:
    script = {"row": ["429-date", "429-date"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, max_attempts=1), journal)
        [record] = engine.send([call("row")])
    assert (record.failure, record.attempt) == (None, 3)


def test_failed_connection_beside_working_connections_does_not_end_the_run(
    endpoint: Make, journal_path: Path
) -> None:
    with FaultServer(latency=0.03) as server, Journal(journal_path) as journal:

        def stream() -> Iterator[Call]:
            yield call("first")
            server.wait_for(1)
            server.refuse_connections()
            for row in range(80):
                yield call(f"row {row}")

        engine = Engine(endpoint(server.url, concurrency=2, max_attempts=3), journal)
        records = list(engine.send(stream()))
    assert len(records) == 81
    assert {record.failure for record in records} <= {None, "connection"}
    assert engine.usage.attempts > 81


def test_refused_request_is_asked_again_by_the_next_run_and_a_filtered_one_is_not(
    endpoint: Make, journal_path: Path
) -> None:
    script = {"bad": ["400"], "filtered": ["400-filter"]}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        first = list(Engine(endpoint(server.url), journal).send(map(call, script)))
        assert [record.failure for record in first] == ["bad_request", "content_filter"]
        assert [record.status_code for record in first] == [400, 400]
        second = list(Engine(endpoint(server.url), journal).send(map(call, script)))
        assert [record.failure for record in second] == [None, "content_filter"]
    assert server.asked == {"bad": 2, "filtered": 1}


@pytest.mark.parametrize(
    ("fault", "sentence", "asked"),
    [
        ("401", KEY_VARIABLE, 1),
        ("402", "no quota left", 1),
        ("403", "give it access to the model 'test-model'", FEW),
        ("404", "correct model or base_url", FEW),
        ("400", "refuses the calls", FEW),
        ("429-quota", "no quota left", 1),
        ("429-long", "asks to wait 3600 s", 1),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_error_that_only_a_person_can_correct_ends_the_run(
    endpoint: Make,
    calls: Calls,
    journal_path: Path,
    fault: str,
    sentence: str,
    asked: int,
    concurrency: int,
) -> None:
    with FaultServer(default=fault) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=concurrency), journal)
        with pytest.raises(EndpointRefused, match=sentence):
            list(engine.send(calls(500)))
        # Other workers go on while the first calls are refused.
        assert asked <= server.asked.total() < (asked + 1 if concurrency == 1 else 500)
        assert len(journal) == 0


def test_answers_before_a_refusal_are_kept(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    rows = calls(50)
    script = {f"row {row}": ["401"] * 9 for row in range(30, 50)}
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=4), journal)
        with pytest.raises(EndpointRefused, match=KEY_VARIABLE):
            list(engine.send(rows))
        assert len(journal) == server.billed.total() == 30
        server.script.clear()
        assert len(list(Engine(endpoint(server.url), journal).send(rows))) == 50
    assert set(server.billed.values()) == {1}


@pytest.mark.parametrize(("number", "attempts"), [(5, 2), (500, 50)])
def test_server_that_is_not_there_ends_the_run(
    endpoint: Make, calls: Calls, journal_path: Path, number: int, attempts: int
) -> None:
    with FaultServer() as server:
        url = server.url
    with Journal(journal_path) as journal:
        engine = Engine(endpoint(url, max_attempts=attempts), journal)
        with pytest.raises(EndpointUnreachable, match="start the server or correct base_url"):
            list(engine.send(calls(number)))
    assert journal_path.read_bytes() == b""
