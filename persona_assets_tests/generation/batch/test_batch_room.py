"""Batches for which there is no room: in an upload, in the account's queue, in the budget."""

from decimal import Decimal

import pytest

from persona_assets.generation.calls.errors import BudgetReached
from persona_assets_tests.generation.batch_sending import MakeCalls, Opened, Purse
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import call


def test_a_file_that_is_too_large_for_the_upload_is_halved(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(largest=400) as server, opened(server) as run:
        assert len(run.land(calls(9))) == 9
        assert max(len(server.requests(it)) for it in server.uploads) == 2
        assert set(server.sent.values()) == {1}


def test_batches_wait_for_room_in_the_accounts_queue(opened: Opened, calls: MakeCalls) -> None:
    with BatchServer(queue=5, looks=2) as server, opened(server, most_requests=4) as run:
        assert len(run.land(calls(16))) == 16
        assert set(server.sent.values()) == {1}
        assert [it["status"] for it in server.batches].count("completed") == 4
        assert len(server.batches) <= 4 + 3 + 2 + 1


def test_a_batch_that_can_never_fit_into_the_queue_is_halved(
    opened: Opened, calls: MakeCalls
) -> None:
    with BatchServer(queue=3) as server, opened(server) as run:
        assert len(run.land(calls(10))) == 10
        assert set(server.sent.values()) == {1}
        assert max(it["request_counts"]["total"] for it in server.batches) <= 3


def test_what_the_budget_does_not_allow_waits_for_what_comes_back(
    opened: Opened, calls: MakeCalls
) -> None:
    # At worst 10 calls cost 10, in truth 1: 3 leave room for 3, then for more.
    purse = Purse(cap="3", most="1")
    with BatchServer() as server, opened(server, spending=purse) as run:
        assert len(run.land(calls(10))) == 10
        assert purse.left == 2
        assert set(server.sent.values()) == {1}
        assert max(it["request_counts"]["total"] for it in server.batches) <= 3


def test_the_budget_is_never_exceeded(opened: Opened, calls: MakeCalls) -> None:
    purse = Purse(cap="0.45", most="0.15")
    with BatchServer() as server:
        with opened(server, spending=purse) as run, pytest.raises(BudgetReached):
            run.land(calls(10))
        # Each costs 0.10, so a fourth call is affordable and a fifth is not.
        assert server.billed.total() == 4
        assert purse.left == Decimal("0.05")
        purse.left += 10
        with opened(server, spending=purse) as run:
            run.land([it for it in calls(10) if it.key not in run.journal])
        assert purse.left == Decimal("0.05") + 10 - Decimal("0.60")
        assert set(server.sent.values()) == {1}


def test_what_is_not_answered_is_given_back(opened: Opened) -> None:
    purse = Purse(cap="10", most="1")
    steps = {"bad": ["400"], "late": ["expired"]}
    with BatchServer(lines=steps) as server, opened(server, spending=purse) as run:
        run.land([call("bad"), call("late"), call("good")])
        assert purse.left == Decimal("9.8")
