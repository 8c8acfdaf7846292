"""A call that another table has paid for is not sent: its record is copied and counted once."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from persona_assets.generation import (
    Budget,
    Call,
    CallRecord,
    Endpoint,
    Engine,
    Journal,
    Ledger,
    Request,
    SpendingCap,
    Tokens,
    complete,
)
from persona_assets.generation.engine import GROUP
from persona_assets.generation.journal.journal import compact
from persona_assets.generation.journal.paid_records import PaidRecords
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import call, content

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


class Persona(BaseModel):
    persona: str = Field(min_length=5)


class Tables:
    """Tables of a project, by name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def journal(self, table: str) -> Journal:
        return Journal(self.root / "journals" / f"{table}.jsonl", self._completions(table))

    def publish(self, table: str) -> None:
        compact(self.root / "journals" / f"{table}.jsonl", self._completions(table))

    def records(self, table: str) -> list[CallRecord]:
        return list(self.journal(table).records())

    def paid(self, table: str) -> PaidRecords:
        journals, completions = self.root / "journals", self.root / "completions"
        own = journals / f"{table}.jsonl"
        return PaidRecords(self.root / "paid_keys", journals, completions, own)

    def send(self, table: str, endpoint: Endpoint, calls: list[Call], **settings: object) -> Engine:
        """Send the calls of a table; return its engine."""
        with self.journal(table) as journal, self.paid(table) as paid:
            engine = Engine(endpoint, journal, reuse=paid.get, **settings)  # type: ignore[arg-type]
            records = list(engine.send(calls))
        assert [record.key for record in records] == [each.key for each in calls]
        return engine

    def complete(self, table: str, endpoint: Endpoint, requests: list[Request]) -> list[str]:
        """Return the statuses of the answers to the requests of a table."""
        with self.journal(table) as journal, self.paid(table) as paid:
            engine = Engine(endpoint, journal, reuse=paid.get)
            return [answer.status for answer in complete(requests, engine)]

    def _completions(self, table: str) -> Path:
        return self.root / "completions" / f"{table}.parquet"


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def request(message: str, limit: int = 10) -> Request:
    messages = ({"role": "user", "content": message},)
    return Request("writer", messages, {"max_tokens": limit}, Persona, "text")


@pytest.mark.parametrize("published", [True, False])
def test_second_table_sends_only_what_no_table_has_paid_for(
    endpoint: Make, calls: Calls, tables: Tables, published: bool
) -> None:
    with FaultServer() as server:
        rows = calls(3 * GROUP)
        first = tables.send("hop/a", endpoint(server.url), rows, run_id="run 1")
        if published:
            tables.publish("hop/a")
        both = [*rows[:150], call("another"), *rows[150:], rows[0]]
        second = tables.send("hop/b", endpoint(server.url), both, run_id="run 2")
        assert server.asked.total() == len(rows) + 1
    assert (first.usage.calls, first.usage.reused) == (len(rows), 0)
    usage = second.usage
    assert (usage.calls, usage.reused, usage.replayed) == (1, len(rows), 1)
    assert usage.tokens == Tokens(input=7, output=3)
    copies = {record.id: record for record in tables.records("hop/b") if record.reused}
    for record in tables.records("hop/a"):
        assert not record.reused
        copy = copies.pop(record.id)
        assert (copy.time, copy.run_id, copy.cost) == (record.time, "run 1", record.cost)
        assert content(copy) == content(record)
    assert not copies


def test_copies_outlive_the_table_that_paid(endpoint: Make, calls: Calls, tables: Tables) -> None:
    with FaultServer() as server:
        tables.send("hop/a", endpoint(server.url), calls(3))
        tables.publish("hop/a")
        tables.send("hop/b", endpoint(server.url), calls(3))
        tables.publish("hop/b")
        (tables.root / "completions" / "hop" / "a.parquet").unlink()
        again = tables.send("hop/b", endpoint(server.url), calls(3))
        third = tables.send("hop/c", endpoint(server.url), calls(3))
        assert server.asked.total() == 3
    assert (again.usage.replayed, again.usage.reused) == (3, 0)
    assert third.usage.reused == 3


def test_reuse_needs_no_money(endpoint: Make, calls: Calls, tables: Tables, tmp_path: Path) -> None:
    price = {"input": 10, "output": 3000}
    with FaultServer() as server:
        tables.send("hop/a", endpoint(server.url, price=price), calls(5))
        budget = Budget(Ledger(tmp_path / "ledger"), [SpendingCap("s", Decimal("1e-9"), "CAP")])
        engine = tables.send("hop/b", endpoint(server.url, price=price), calls(5), budget=budget)
        budget.close()
    assert engine.usage.cost == 0
    assert sum(Ledger(tmp_path / "ledger").state("s")) == 0


def test_reuse_needs_no_server_and_no_key(
    endpoint: Make, calls: Calls, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as server:
        tables.send("hop/a", endpoint(server.url), calls(5))
    monkeypatch.delenv(endpoint(server.url).api_key_env or "")
    assert tables.send("hop/b", endpoint(server.url), calls(5)).usage.reused == 5


def test_content_filter_is_reused_and_a_failure_is_asked_again(
    endpoint: Make, tables: Tables
) -> None:
    script = {"filtered": ["content_filter"], "down": ["500"]}
    with FaultServer(script) as server:
        once = endpoint(server.url, max_attempts=1, reasks=0)
        requests = [request("filtered"), request("down")]
        assert tables.complete("hop/a", once, requests) == ["filtered", "error"]
        assert tables.complete("hop/b", once, requests) == ["filtered", "ok"]
        assert (server.asked["filtered"], server.asked["down"]) == (1, 2)


@pytest.mark.parametrize("published", [True, False])
def test_retries_of_a_reused_record_are_found_too(
    endpoint: Make, tables: Tables, published: bool
) -> None:
    script = {"long": ["length", "ok"], "bad": ["invalid", "invalid", "ok"], "lost": ["length"] * 2}
    with FaultServer(
        script, answer=lambda message: "no" if message == "bad" else "a persona"
    ) as server:
        requests = [request(message) for message in script]
        first = tables.complete("hop/a", endpoint(server.url), requests)
        if published:
            tables.publish("hop/a")
        asked = server.asked.total()
        assert tables.complete("hop/b", endpoint(server.url), requests) == first
        assert server.asked.total() == asked
    ids = [{record.id for record in tables.records(table)} for table in ("hop/a", "hop/b")]
    assert ids[0] == ids[1]


def test_retry_that_no_table_has_asked_is_asked_until_the_table_is_made(
    endpoint: Make, tables: Tables
) -> None:
    with FaultServer({"long": ["length"]}) as server:
        hasty = endpoint(server.url, larger_retry=1)
        assert tables.complete("hop/a", hasty, [request("long")]) == ["truncated"]
        tables.publish("hop/a")
        patient = endpoint(server.url)
        # The table that paid has been made: it keeps its answer.
        assert tables.complete("hop/a", patient, [request("long")]) == ["truncated"]
        assert tables.complete("hop/b", hasty, [request("long")]) == ["truncated"]
        # Interrupted before it was published, so its settings of today count.
        assert tables.complete("hop/b", patient, [request("long")]) == ["ok"]
        tables.publish("hop/b")
        assert tables.complete("hop/c", patient, [request("long")]) == ["ok"]
        assert server.asked["long"] == 2


def test_paid_calls_enter_no_batch(endpoint: Make, calls: Calls, tables: Tables) -> None:
    with BatchServer() as server:
        batched = endpoint(server.url, transport="batch", batch_poll=0.02)
        tables.send("hop/a", batched, calls(4))
        tables.publish("hop/a")
        engine = tables.send("hop/b", batched, [*calls(4), call("another"), *calls(2)])
        assert set(server.sent.values()) == {1}
        assert len(server.sent) == 5
    assert (engine.usage.reused, engine.usage.calls) == (4, 1)
    assert tables.send("hop/c", batched, calls(4)).usage.reused == 4


def test_runs_side_by_side_share_what_has_landed(
    endpoint: Make, calls: Calls, tables: Tables
) -> None:
    with FaultServer() as server, tables.journal("hop/a") as journal, tables.paid("hop/a") as paid:
        one = Engine(endpoint(server.url), journal, reuse=paid.get)
        stream = one.send(calls(40))
        taken = [next(stream) for _ in range(40)]
        # The first run is still open when the second begins.
        second = tables.send("hop/b", endpoint(server.url), calls(40))
        stream.close()
        assert (len(taken), second.usage.reused, second.usage.calls) == (40, 40, 0)
        assert server.asked.total() == 40
