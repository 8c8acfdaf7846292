"""Tools of the batch tests: a simple budget, a run over a journal, a reader of records."""

import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from persona_assets.generation import Call, CallRecord, Endpoint, Journal, Usage
from persona_assets.generation.batch import BatchTransport
from persona_assets.generation.calls.errors import BudgetReached
from persona_assets.generation.money.usage import Tokens


class FlatSpending:
    """Spending with a flat worst case per call and a price of a cent per token.

    Args:
        cap: US dollars that may be spent.
        most: Worst case of a call in US dollars.
        scopes: Scopes of the caps (see Spending.scopes).
    """

    def __init__(self, cap: str = "Infinity", most: str = "0", scopes: str = "run:1") -> None:
        self.left = Decimal(cap)
        self.worst = Decimal(most)
        self.scopes = scopes

    def most(self, call: Call) -> Decimal:
        return self.worst

    def charge(self, amount: Decimal) -> None:
        if amount > self.left:
            raise BudgetReached("the cap is reached")
        self.left -= amount

    def refund(self, amount: Decimal) -> None:
        self.left += amount

    def batch_cost(self, tokens: Tokens | None) -> Decimal | None:
        return None if tokens is None else Decimal("0.01") * (tokens.input + tokens.output)


def land(batches: BatchTransport, calls: Sequence[Call]) -> dict[str, CallRecord]:
    """Send calls and return their records by key."""
    batches.submit(calls)
    batches.flush()
    return take(batches, [call.key for call in calls])


def take(batches: BatchTransport, keys: Iterable[str]) -> dict[str, CallRecord]:
    """Return the records of keys by key; each record must land exactly once."""
    wanted, records = set(keys), dict[str, CallRecord]()
    while wanted - records.keys():
        landed = batches.landed.get(timeout=30)
        if isinstance(landed, BaseException):
            raise landed
        for record in landed:
            assert record.key not in records
            records[record.key] = record
    return records


class BatchRun:
    """Journal and batch transport of a run, opened and closed together."""

    def __init__(self, endpoint: Endpoint, path: Path, **settings: Any) -> None:
        self.usage = Usage()
        self.journal = Journal(path)
        self.endpoint = endpoint
        self.spending = settings.pop("spending", FlatSpending())
        self.settings = settings

    def __enter__(self) -> "BatchRun":
        self.journal.__enter__()
        self.batches = BatchTransport(
            self.endpoint, self.journal, self.usage, self.spending, run_id="run", **self.settings
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.batches.close()
        self.journal.close()

    def begin(self, calls: Sequence[Call]) -> None:
        """Send calls."""
        self.batches.submit(calls)
        self.batches.flush()

    def land(self, calls: Sequence[Call]) -> dict[str, CallRecord]:
        """Send calls and return their records by key."""
        return land(self.batches, calls)


MakeEndpoint = Callable[..., Endpoint]
MakeCalls = Callable[[int], list[Call]]
OpenRun = Callable[..., BatchRun]


def contents(records: Iterable[CallRecord]) -> set[str]:
    """Return the messages in the responses."""
    return {record.choice["message"]["content"] for record in records}


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, for 30 seconds at most."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
