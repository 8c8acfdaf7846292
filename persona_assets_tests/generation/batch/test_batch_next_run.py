"""A run collects the batches that an earlier run left at the provider, and pays nothing twice."""

import json
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from persona_assets.generation import Call, Engine
from persona_assets.generation.calls.errors import EndpointRefused
from persona_assets_tests.generation.batch_sending import (
    BatchRun,
    FlatSpending,
    MakeCalls,
    MakeEndpoint,
    OpenRun,
    wait_for,
)
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import call


def closed_run(
    open_run: OpenRun, server: BatchServer, calls: Sequence[Call], **settings: Any
) -> BatchRun:
    """Return a run that was closed after the provider had started its batches, before any ended."""
    server.hold = True
    with open_run(server, **settings) as run:
        run.begin(calls)
        wait_for(lambda: server.counts["retrieve"] > 1)
    return run


def test_close_leaves_batches_at_the_provider_for_the_next_run(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        server.hold = True
        with open_run(server, most_requests=2) as run:
            run.begin(calls(4))
            wait_for(lambda: len(server.batches) == 2 and server.counts["retrieve"] > 3)
            assert (run.batches.open_batches, run.batches.waiting) == (2, 4)
        server.hold = False
        with open_run(server, most_requests=2) as run:
            assert len(run.land(calls(6))) == 6
        assert set(server.sent.values()) == {1}
        assert len(server.batches) == 3


def test_close_does_not_wait_for_the_response_to_a_poll(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(faults={"retrieve": ["hang"]}) as server:
        with open_run(server) as run:
            run.begin(calls(1))
            wait_for(lambda: server.counts["retrieve"] == 1)
        # The server holds the response back until the server closes.
        assert not server.closing.is_set()
        with open_run(server) as run:
            assert len(run.land(calls(1))) == 1
        assert server.sent.total() == 1


@pytest.mark.parametrize(("scopes", "left"), [("run:1", "9.7"), ("run:2", "10")])
def test_charge_of_a_run_is_refunded_to_its_own_caps_alone(
    open_run: OpenRun, calls: MakeCalls, scopes: str, left: str
) -> None:
    with BatchServer() as server:
        first = FlatSpending(cap="10", most="1")
        closed_run(open_run, server, calls(3), spending=first)
        assert first.left == 7
        server.hold = False
        # The same caps have 7 left until the batch, which costs 0.3, has landed.
        second = FlatSpending(cap="7" if scopes == "run:1" else "10", most="1", scopes=scopes)
        with open_run(server, spending=second) as run:
            assert len(run.land(calls(3))) == 3
            wait_for(lambda: run.batches.open_batches == 0)
        assert second.left == Decimal(left)
        assert len(server.batches) == 1


def test_open_batch_is_not_paid_for_again_online(
    open_run: OpenRun, calls: MakeCalls, endpoint: MakeEndpoint
) -> None:
    with BatchServer() as server:
        first = closed_run(open_run, server, calls(3))
        journal = first.journal
        with journal, pytest.raises(EndpointRefused, match="set the role's transport to batch"):
            list(Engine(endpoint(server.url), journal).send(calls(3)))
        server.hold = False
        with journal:
            engine = Engine(first.endpoint, journal)
            assert len(list(engine.send(calls(3)))) == 3
            assert len(list(Engine(endpoint(server.url), journal).send(calls(3)))) == 3
        assert set(server.sent.values()) == {1}


def test_finished_batch_is_collected_by_a_run_that_does_not_need_it(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        closed_run(open_run, server, calls(3))
        server.hold = False
        with open_run(server) as run:
            assert len(run.land([call("another")])) == 1
            wait_for(lambda: len(run.journal) == 4)
            assert run.batches.landed.empty()
        assert server.sent.total() == 4


def test_batch_unknown_to_the_provider_is_not_paid_for_again(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        closed_run(open_run, server, calls(2))
        forgotten, server.batches = server.batches, []
        for _ in range(2):
            with (
                open_run(server, max_attempts=2) as run,
                pytest.raises(EndpointRefused, match="does not know the batch"),
            ):
                run.land(calls(2))
        server.batches, server.hold = forgotten, False
        with open_run(server) as run:
            assert len(run.land(calls(2))) == 2
        assert set(server.sent.values()) == {1}


def test_batch_that_failed_between_runs_is_sent_once_more_and_then_refused(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(ends=["completed", "failed:empty_file"]) as server:
        closed_run(open_run, server, calls(3))
        with server.lock:
            server.batches[0] |= {"status": "failed"}
        with open_run(server) as run, pytest.raises(EndpointRefused, match="empty_file"):
            run.land(calls(3))


def test_unsent_request_that_the_next_run_does_not_need_is_not_sent(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["401"]}) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(3))
        with open_run(server) as run:
            assert len(run.land(calls(2))) == 2
        assert server.sent.total() == 2


def test_items_of_an_earlier_run_are_found_behind_newer_items_of_others(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(page=2) as server:
        for kind, listed in (("upload", "files"), ("create", "batches")):
            server.faults = {kind: ["drop"], listed: ["401"]}
            with open_run(server) as run, pytest.raises(EndpointRefused):
                run.land(calls(2))
            for n in range(5):
                line = json.dumps({"custom_id": f"{kind} {n}", "url": "/v1", "body": {"input": ""}})
                file = server.add_file("another.jsonl", line.encode(), "batch")
                other = {"endpoint": "/v1", "completion_window": "24h", "metadata": None}
                server.add_batch({"input_file_id": file["id"], **other})
        with open_run(server) as run:
            assert len(run.land(calls(2))) == 2
        assert [upload["filename"] for upload in server.uploads].count("another.jsonl") == 10
        assert len(server.uploads) == 11
        assert set(server.sent.values()) == {1}


def test_incomplete_upload_is_not_used(
    open_run: OpenRun, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(faults={"upload": ["drop-early"], "files": ["401"]}) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(2))
        [requests] = journal_path.parent.rglob("*.requests")
        server.add_file(f"persona_assets-{requests.stem}.jsonl", b"{", "batch")
        with open_run(server) as run:
            assert len(run.land(calls(2))) == 2


def test_complete_upload_of_an_earlier_run_is_not_repeated(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["401"]}) as server:
        with open_run(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(3))
        with open_run(server) as run:
            wait_for(lambda: server.counts["batches"] == 1)
            time.sleep(0.05)
            assert len(run.land(calls(3))) == 3
        assert len(server.uploads) == 1
