"""A cap on spending, over a real server that counts what it bills."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from persona_assets.generation import (
    Budget,
    BudgetReached,
    Call,
    CallRecord,
    Endpoint,
    EndpointRefused,
    Engine,
    Journal,
    Ledger,
    Price,
    SpendingCap,
    call_key,
)
from persona_assets_tests.generation.fault_server import FaultServer

Make = Callable[..., Endpoint]

PRICE = Price(input=Decimal(10), output=Decimal(3000))
BILL = Decimal("0.00907")
"""What the server's 7 and 3 tokens cost."""


def call(message: str) -> Call:
    url = "/chat/completions"
    body = {"messages": [{"role": "user", "content": message}], "max_tokens": 3}
    return Call(call_key("test-model", url, body), url, body)


def rows(number: int, of: str = "row") -> list[Call]:
    return [call(f"{of} {n}") for n in range(number)]


def spend(
    endpoint: Endpoint, folder: Path, calls: Sequence[Call], limit: str, name: str = "shard"
) -> list[CallRecord]:
    """Asks for everything under one cap, which all journals in the folder share."""
    ledger = Ledger(folder / "ledger.sqlite")
    cap = SpendingCap("run:1", Decimal(limit), "PERSONA_RUN_BUDGET")
    with Journal(folder / f"{name}.jsonl") as journal, closing(Budget(ledger, [cap])) as budget:
        return list(Engine(endpoint, journal, budget=budget).send(calls))


@pytest.mark.parametrize("concurrency", [1, 32])
def test_a_run_ends_before_its_cap_and_goes_on_under_a_higher_one(
    endpoint: Make, tmp_path: Path, concurrency: int
) -> None:
    with FaultServer() as server:
        ready = endpoint(server.url, price=PRICE, concurrency=concurrency)
        with pytest.raises(BudgetReached, match="PERSONA_RUN_BUDGET"):
            spend(ready, tmp_path, rows(300), "1")
        billed = server.billed.total()
        # Its last calls wait for one another's room, so little of the cap is left unused.
        assert Decimal("0.8") < billed * BILL <= 1
        kept = list(Journal(tmp_path / "shard.jsonl").records())
        assert len(kept) == billed
        assert {record.cost for record in kept} == {BILL}
        records = spend(ready, tmp_path, rows(300), "4")
    assert len(records) == 300
    assert set(server.billed.values()) == {1}
    spent, held = Ledger(tmp_path / "ledger.sqlite").state("run:1")
    assert (spent, held) == (300 * BILL, 0)


def test_what_may_have_been_billed_counts_as_spent(endpoint: Make, tmp_path: Path) -> None:
    script = {f"row {n}": ["drop"] for n in range(0, 300, 2)}
    with FaultServer(script) as server:
        ready = endpoint(server.url, price=PRICE, max_attempts=1, concurrency=4)
        with pytest.raises(BudgetReached):
            spend(ready, tmp_path, rows(300), "1")
        assert 60 < server.billed.total() < 100
    lost = [it for it in Journal(tmp_path / "shard.jsonl").records() if it.failure]
    assert {(it.cost, it.failure, it.uncertain) for it in lost} == {(None, "connection", 1)}
    spent, held = Ledger(tmp_path / "ledger.sqlite").state("run:1")
    assert held == 0
    assert spent > server.billed.total() * BILL


def test_a_failure_that_is_told_costs_nothing(endpoint: Make, tmp_path: Path) -> None:
    script = {f"row {n}": ["500"] for n in range(40)}
    with FaultServer(script) as server:
        ready = endpoint(server.url, price=PRICE, concurrency=8)
        spend(ready, tmp_path, rows(40), "0.6")
        assert server.asked.total() == 80
    assert Ledger(tmp_path / "ledger.sqlite").state("run:1") == (40 * BILL, 0)


def test_a_cap_needs_a_price_and_a_bound(endpoint: Make, tmp_path: Path) -> None:
    with FaultServer() as server:
        with pytest.raises(EndpointRefused, match="PERSONA_WRITER__PRICE__INPUT"):
            spend(endpoint(server.url), tmp_path, rows(3), "1")
        endless = Call("key", "/chat/completions", {"messages": rows(1)[0].body["messages"]})
        with pytest.raises(EndpointRefused, match="set max_tokens"):
            spend(endpoint(server.url, price=PRICE), tmp_path, [endless], "1")
    assert server.asked.total() == 0


RUN = """
import sys
from decimal import Decimal
from pathlib import Path
from persona_assets.generation import BudgetReached, Endpoint
from persona_assets_tests.generation.money.test_spending import PRICE, rows, spend
url, folder, name = sys.argv[1:]
endpoint = Endpoint(
    model="test-model", base_url=url, api_key_env=None, price=PRICE, concurrency=16
)
try:
    spend(endpoint, Path(folder), rows(500, name), "4", name)
except BudgetReached:
    print("reached")
"""


def test_four_runs_at_once_stay_below_one_cap(tmp_path: Path) -> None:
    with FaultServer(latency=0.01) as server:
        runs = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", RUN, server.url, tmp_path, f"run-{n}"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(4)
        ]
        said = [run.communicate(timeout=120)[0] for run in runs]
    assert said == ["reached\n"] * 4
    assert Decimal("3.2") < server.billed.total() * BILL <= 4
    spent, held = Ledger(tmp_path / "ledger.sqlite").state("run:1")
    assert (spent, held) == (server.billed.total() * BILL, 0)


def test_what_is_not_sent_when_a_run_stops_is_given_back(endpoint: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    cap = SpendingCap("run:1", Decimal(1), "PERSONA_RUN_BUDGET")
    script = {"row 1": ["hang"], "row 2": ["429-together"]}
    with (
        FaultServer(script) as server,
        Journal(tmp_path / "shard.jsonl") as journal,
        closing(Budget(ledger, [cap])) as budget,
    ):
        ready = endpoint(server.url, price=PRICE, concurrency=3, timeout=50.0)
        engine = Engine(ready, journal, budget=budget, grace=0.1)
        with closing(engine.send(rows(30))) as records:
            assert next(records).cost == BILL
            server.wait_for(2)
        assert engine.usage.uncertain == 1
        billed = server.billed.total()
    spent, held = ledger.state("run:1")
    assert held == 0
    # The one that was cut off may have been billed: at most 3 tokens out, and what goes in.
    assert (billed - 1) * BILL + Decimal("0.009") < spent < (billed - 1) * BILL + Decimal("0.02")
