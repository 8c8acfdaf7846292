"""Batches that a run leaves at the provider, and what the next one makes of them."""

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
    MakeCalls,
    MakeEndpoint,
    Open,
    Opened,
    Purse,
    wait_for,
)
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import call


def left_under_way(
    opened: Opened, server: BatchServer, calls: Sequence[Call], **settings: Any
) -> Open:
    """A run that was closed while the provider had begun its batches and answered nothing."""
    server.hold = True
    with opened(server, **settings) as run:
        run.begin(calls)
        wait_for(lambda: server.counts["retrieve"] > 1)
    return run


def test_close_leaves_batches_at_the_provider_for_the_next_run(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        server.hold = True
        with opened(server, most_requests=2) as run:
            run.begin(calls(4))
            wait_for(lambda: len(server.batches) == 2 and server.counts["retrieve"] > 3)
            assert (run.batches.open_batches, run.batches.waiting) == (2, 4)
        server.hold = False
        with opened(server, most_requests=2) as run:
            assert len(run.land(calls(6))) == 6
        assert set(server.sent.values()) == {1}
        assert len(server.batches) == 3


def test_close_does_not_wait_for_an_answer_to_a_look(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer(faults={"retrieve": ["hang"]}) as server:
        with opened(server) as run:
            run.begin(calls(1))
            wait_for(lambda: server.counts["retrieve"] == 1)
        # The server holds the answer back until it is closed.
        assert not server.closing.is_set()
        with opened(server) as run:
            assert len(run.land(calls(1))) == 1
        assert server.sent.total() == 1


@pytest.mark.parametrize(("scopes", "left"), [("run:1", "9.7"), ("run:2", "10")])
def test_what_one_run_was_charged_is_not_given_back_to_another(
    opened: Opened, calls: MakeCalls, scopes: str, left: str
) -> None:
    with BatchServer() as server:
        first = Purse(cap="10", most="1")
        left_under_way(opened, server, calls(3), spending=first)
        assert first.left == 7
        server.hold = False
        # The same caps have 7 left until the batch, which cost 0.3, has landed.
        second = Purse(cap="7" if scopes == "run:1" else "10", most="1", scopes=scopes)
        with opened(server, spending=second) as run:
            assert len(run.land(calls(3))) == 3
            wait_for(lambda: run.batches.open_batches == 0)
        assert second.left == Decimal(left)
        assert len(server.batches) == 1


def test_a_batch_under_way_is_not_paid_for_again_online(
    opened: Opened, calls: MakeCalls, endpoint: MakeEndpoint
) -> None:
    with BatchServer() as server:
        left = left_under_way(opened, server, calls(3))
        journal = left.journal
        with journal, pytest.raises(EndpointRefused, match="set the role's transport to batch"):
            list(Engine(endpoint(server.url), journal).send(calls(3)))
        server.hold = False
        with journal:
            engine = Engine(left.endpoint, journal)
            assert len(list(engine.send(calls(3)))) == 3
            assert len(list(Engine(endpoint(server.url), journal).send(calls(3)))) == 3
        assert set(server.sent.values()) == {1}


def test_a_finished_batch_that_nobody_asks_for_is_collected(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        left_under_way(opened, server, calls(3))
        server.hold = False
        with opened(server) as run:
            assert len(run.land([call("another")])) == 1
            wait_for(lambda: len(run.journal) == 4)
            assert run.batches.landed.empty()
        assert server.sent.total() == 4


def test_a_batch_that_the_provider_has_forgotten_is_not_paid_for_again(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer() as server:
        left_under_way(opened, server, calls(2))
        forgotten, server.batches = server.batches, []
        for _ in range(2):
            with (
                opened(server, max_attempts=2) as run,
                pytest.raises(EndpointRefused, match="does not know the batch"),
            ):
                run.land(calls(2))
        server.batches, server.hold = forgotten, False
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert set(server.sent.values()) == {1}


def test_a_batch_that_failed_unseen_is_sent_once_more_and_then_refused(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(ends=["completed", "failed:empty_file"]) as server:
        left_under_way(opened, server, calls(3))
        with server.lock:
            server.batches[0] |= {"status": "failed"}
        with opened(server) as run, pytest.raises(EndpointRefused, match="empty_file"):
            run.land(calls(3))


def test_what_was_not_sent_and_nobody_asks_for_is_not_sent(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["401"]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(3))
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert server.sent.total() == 2


def test_what_an_earlier_run_left_is_found_behind_what_others_have_made_since(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(page=2) as server:
        for kind, listed in (("upload", "files"), ("create", "batches")):
            server.faults = {kind: ["drop"], listed: ["401"]}
            with opened(server) as run, pytest.raises(EndpointRefused):
                run.land(calls(2))
            for n in range(5):
                line = json.dumps({"custom_id": f"{kind} {n}", "url": "/v1", "body": {"input": ""}})
                file = server.add_file("another.jsonl", line.encode(), "batch")
                other = {"endpoint": "/v1", "completion_window": "24h", "metadata": None}
                server.add_batch({"input_file_id": file["id"], **other})
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2
        assert [it["filename"] for it in server.uploads].count("another.jsonl") == 10
        assert len(server.uploads) == 11
        assert set(server.sent.values()) == {1}


def test_an_upload_that_was_cut_short_is_not_taken_for_whole(
    opened: Opened, calls: MakeCalls, journal_path: Path
) -> None:
    with BatchServer(faults={"upload": ["drop-early"], "files": ["401"]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(2))
        [requests] = journal_path.parent.rglob("*.requests")
        server.add_file(f"persona_assets-{requests.stem}.jsonl", b"{", "batch")
        with opened(server) as run:
            assert len(run.land(calls(2))) == 2


def test_an_upload_that_is_asked_for_again_is_not_made_again(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(faults={"create": ["401"]}) as server:
        with opened(server) as run, pytest.raises(EndpointRefused):
            run.land(calls(3))
        with opened(server) as run:
            wait_for(lambda: server.counts["batches"] == 1)
            time.sleep(0.05)
            assert len(run.land(calls(3))) == 3
        assert len(server.uploads) == 1
