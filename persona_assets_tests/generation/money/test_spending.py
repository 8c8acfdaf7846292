"""A cap on spending bounds the bill of a real server, in one run and in several at once."""

import subprocess
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from persona_assets.generation import (
    Budget,
    BudgetReached,
    Call,
    Endpoint,
    EndpointRefused,
    Engine,
    Journal,
    SpendingCap,
)
from persona_assets_tests.generation.child_programs import command
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.money.capped_calls import (
    BILL,
    PRICE,
    capped_calls,
    ledger_of,
    send_capped,
)

MakeEndpoint = Callable[..., Endpoint]


@pytest.mark.parametrize("concurrency", [1, 32])
def test_run_ends_before_its_cap_and_continues_under_a_higher_cap(
    endpoint: MakeEndpoint, tmp_path: Path, concurrency: int
) -> None:
    with FaultServer() as server:
        priced = endpoint(server.url, price=PRICE, concurrency=concurrency)
        with pytest.raises(BudgetReached, match="PERSONA_RUN_BUDGET"):
            send_capped(priced, tmp_path, capped_calls(300), "1")
        billed = server.billed.total()
        # The last calls wait for money released by others, so little of the cap is left unused.
        assert Decimal("0.8") < billed * BILL <= 1
        kept = list(Journal(tmp_path / "shard.jsonl").records())
        assert len(kept) == billed
        assert {record.cost for record in kept} == {BILL}
        records = send_capped(priced, tmp_path, capped_calls(300), "4")
    assert len(records) == 300
    assert set(server.billed.values()) == {1}
    spent, held = ledger_of(tmp_path).state("run:1")
    assert (spent, held) == (300 * BILL, 0)


def test_attempt_that_may_have_been_billed_counts_as_spent(
    endpoint: MakeEndpoint, tmp_path: Path
) -> None:
    script = {f"row {n}": ["drop"] for n in range(0, 300, 2)}
    with FaultServer(script) as server:
        priced = endpoint(server.url, price=PRICE, max_attempts=1, concurrency=4)
        with pytest.raises(BudgetReached):
            send_capped(priced, tmp_path, capped_calls(300), "1")
        assert 60 < server.billed.total() < 100
    records = Journal(tmp_path / "shard.jsonl").records()
    lost = [record for record in records if record.failure]
    assert {(record.cost, record.failure, record.uncertain) for record in lost} == {
        (None, "connection", 1)
    }
    spent, held = ledger_of(tmp_path).state("run:1")
    assert held == 0
    assert spent > server.billed.total() * BILL


def test_attempt_with_an_error_response_costs_nothing(
    endpoint: MakeEndpoint, tmp_path: Path
) -> None:
    script = {f"row {n}": ["500"] for n in range(40)}
    with FaultServer(script) as server:
        priced = endpoint(server.url, price=PRICE, concurrency=8)
        send_capped(priced, tmp_path, capped_calls(40), "0.6")
        assert server.asked.total() == 80
    assert ledger_of(tmp_path).state("run:1") == (40 * BILL, 0)


def test_cap_refuses_an_endpoint_without_a_price(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    with (
        FaultServer() as server,
        pytest.raises(EndpointRefused, match="PERSONA_WRITER__PRICE__INPUT"),
    ):
        send_capped(endpoint(server.url), tmp_path, capped_calls(3), "1")
    assert server.asked.total() == 0


def test_cap_refuses_a_call_without_a_worst_case(endpoint: MakeEndpoint, tmp_path: Path) -> None:
    endless = Call("key", "/chat/completions", {"messages": capped_calls(1)[0].body["messages"]})
    with FaultServer() as server, pytest.raises(EndpointRefused, match="set max_tokens"):
        send_capped(endpoint(server.url, price=PRICE), tmp_path, [endless], "1")
    assert server.asked.total() == 0


def test_four_simultaneous_runs_stay_below_a_shared_cap(tmp_path: Path) -> None:
    with FaultServer(latency=0.01) as server:
        runs = [
            subprocess.Popen(
                command("capped_run", server.url, tmp_path, f"run-{n}"),
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(4)
        ]
        outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert outputs == ["reached\n"] * 4
    assert Decimal("3.2") < server.billed.total() * BILL <= 4
    spent, held = ledger_of(tmp_path).state("run:1")
    assert (spent, held) == (server.billed.total() * BILL, 0)


def test_stopped_run_releases_money_reserved_for_unsent_calls(
    endpoint: MakeEndpoint, tmp_path: Path
) -> None:
    ledger = ledger_of(tmp_path)
    cap = SpendingCap("run:1", Decimal(1), "PERSONA_RUN_BUDGET")
    script = {"row 1": ["hang"], "row 2": ["429-together"]}
    with (
        FaultServer(script) as server,
        Journal(tmp_path / "shard.jsonl") as journal,
        closing(Budget(ledger, [cap])) as budget,
    ):
        priced = endpoint(server.url, price=PRICE, concurrency=3, timeout=50.0)
        engine = Engine(priced, journal, budget=budget, grace=0.1)
        with closing(engine.send(capped_calls(30))) as records:
            assert next(records).cost == BILL
            server.wait_for(2)
        assert engine.usage.uncertain == 1
        billed = server.billed.total()
    spent, held = ledger.state("run:1")
    assert held == 0
    # The call that was cut off may have been billed: its input and at most 3 tokens of output.
    assert (billed - 1) * BILL + Decimal("0.009") < spent < (billed - 1) * BILL + Decimal("0.02")
