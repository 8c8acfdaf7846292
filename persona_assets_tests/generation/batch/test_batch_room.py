"""A batch too large for the upload, the account's queue or the budget is halved or waits."""

from decimal import Decimal

import pytest

from persona_assets.generation.calls.errors import BudgetReached
from persona_assets_tests.generation.batch_sending import FlatSpending, MakeCalls, OpenRun
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import call


def test_input_file_too_large_for_the_upload_is_halved(open_run: OpenRun, calls: MakeCalls) -> None:
    with BatchServer(largest=400) as server, open_run(server) as run:
        assert len(run.land(calls(9))) == 9
        assert max(len(server.requests(upload)) for upload in server.uploads) == 2
        assert set(server.sent.values()) == {1}


def test_batches_wait_for_room_in_the_accounts_queue(open_run: OpenRun, calls: MakeCalls) -> None:
    with BatchServer(queue=5, looks=2) as server, open_run(server, most_requests=4) as run:
        assert len(run.land(calls(16))) == 16
        assert set(server.sent.values()) == {1}
        assert [batch["status"] for batch in server.batches].count("completed") == 4
        assert len(server.batches) <= 4 + 3 + 2 + 1


def test_batch_that_can_never_fit_into_the_queue_is_halved(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    with BatchServer(queue=3) as server, open_run(server) as run:
        assert len(run.land(calls(10))) == 10
        assert set(server.sent.values()) == {1}
        assert max(batch["request_counts"]["total"] for batch in server.batches) <= 3


def test_batch_beyond_the_budget_waits_for_the_refunds_of_others(
    open_run: OpenRun, calls: MakeCalls
) -> None:
    # The worst case of 10 calls is 10, their cost 1: a cap of 3 admits 3 calls, then more.
    spending = FlatSpending(cap="3", most="1")
    with BatchServer() as server, open_run(server, spending=spending) as run:
        assert len(run.land(calls(10))) == 10
        assert spending.left == 2
        assert set(server.sent.values()) == {1}
        assert max(batch["request_counts"]["total"] for batch in server.batches) <= 3


def test_batches_never_exceed_the_budget(open_run: OpenRun, calls: MakeCalls) -> None:
    spending = FlatSpending(cap="0.45", most="0.15")
    with BatchServer() as server:
        with open_run(server, spending=spending) as run, pytest.raises(BudgetReached):
            run.land(calls(10))
        # A call costs 0.10, so a fourth call is affordable and a fifth is not.
        assert server.billed.total() == 4
        assert spending.left == Decimal("0.05")
        spending.left += 10
        with open_run(server, spending=spending) as run:
            run.land([needed for needed in calls(10) if needed.key not in run.journal])
        assert spending.left == Decimal("0.05") + 10 - Decimal("0.60")
        assert set(server.sent.values()) == {1}


def test_charge_of_unanswered_requests_is_refunded(open_run: OpenRun) -> None:
    spending = FlatSpending(cap="10", most="1")
    steps = {"bad": ["400"], "late": ["expired"]}
    with BatchServer(lines=steps) as server, open_run(server, spending=spending) as run:
        run.land([call("bad"), call("late"), call("good")])
        assert spending.left == Decimal("9.8")
