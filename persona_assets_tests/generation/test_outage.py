"""An endpoint that is away is waited for, up to a set time, and nothing is paid for twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from persona_assets.generation import Call, Endpoint, EndpointUnreachable, Engine, Journal
from persona_assets.generation.calls.outage import check_or_wait
from persona_assets_tests.generation.fault_server import FaultServer

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


@contextmanager
def away(seconds: float) -> Iterator[FaultServer]:
    """Yield a server that is away, and comes back after some seconds."""
    with FaultServer() as server:
        server.go_away()
        timer = threading.Timer(seconds, server.come_back)
        timer.start()
        yield server
        timer.join()


def test_calls_wait_for_an_endpoint_that_has_answered_before(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    sentences = set[str]()
    with away(3.0) as server, Journal(journal_path) as journal:
        # Neither attempts nor deadline end a call that was never sent.
        patient = endpoint(server.url, concurrency=8, max_attempts=1, deadline=1.0, outage=60)
        engine = Engine(
            patient, journal, known=True, report=lambda *_: sentences.add(engine.outage.sentence)
        )
        records = list(engine.send(calls(40)))
    assert [record.failure for record in records] == [None] * 40
    assert set(server.billed.values()) == {1}
    assert any("is away since" in sentence and "up to 60 s" in sentence for sentence in sentences)
    assert engine.outage.sentence == ""
    # Attempts before the return: three that trip the breaker, then probes after 1, 2, 4 s.
    assert engine.usage.attempts <= 40 + 8 + 3 + 3
    assert engine.usage.uncertain == 0


def test_run_fails_with_a_sentence_after_the_set_time(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer() as server:
        url = server.url
    with Journal(journal_path) as journal:
        engine = Engine(endpoint(url, outage=1), journal, known=True)
        with pytest.raises(EndpointUnreachable, match=r"has been away for 1 s .*OUTAGE"):
            list(engine.send(calls(40)))
    assert journal_path.read_bytes() == b""


def test_gateway_without_its_server_is_waited_for(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer(default="502") as server, Journal(journal_path) as journal:
        server.listing = 502

        def recover() -> None:
            server.wait_for_requests(6)
            server.default, server.listing = "ok", 200

        thread = threading.Thread(target=recover)
        thread.start()
        patient = endpoint(server.url, concurrency=2, max_attempts=2)
        records = list(Engine(patient, journal, known=True).send(calls(2)))
        thread.join()
    assert [record.failure for record in records] == [None, None]
    assert set(server.billed.values()) == {1}


def test_call_that_a_gateway_always_refuses_ends_in_an_error(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with FaultServer({"row 0": ["502"] * 9}) as server, Journal(journal_path) as journal:
        impatient = endpoint(server.url, concurrency=1, max_attempts=2)
        records = list(Engine(impatient, journal, known=True).send(calls(3)))
    assert [record.failure for record in records] == ["server_error", None, None]
    assert server.asked["row 0"] == 2


def test_check_waits_for_an_endpoint_that_has_answered_before(endpoint: Make) -> None:
    sentences: list[str] = []
    with away(1.5) as server:
        check_or_wait(endpoint(server.url, outage=60), known=True, report=sentences.append)
    [sentence] = sentences
    assert "is away since" in sentence
