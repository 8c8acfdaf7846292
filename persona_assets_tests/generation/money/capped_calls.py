"""Calls of known cost, and runs that send them under a cap on spending."""

from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from persona_assets.generation import (
    Budget,
    Call,
    CallRecord,
    Endpoint,
    Engine,
    Journal,
    Ledger,
    Price,
    SpendingCap,
    call_key,
)

PRICE = Price(input=Decimal(10), output=Decimal(3000))
BILL = Decimal("0.00907")
"""US dollars of a call: the fault server counts 7 tokens of input and 3 of output."""


def capped_call(message: str) -> Call:
    """Return a call with a worst case: its response has at most 3 tokens."""
    url = "/chat/completions"
    body = {"messages": [{"role": "user", "content": message}], "max_tokens": 3}
    return Call(call_key("test-model", url, body), url, body)


def capped_calls(number: int, prefix: str = "row") -> list[Call]:
    """Return calls whose messages are the prefix and a number."""
    return [capped_call(f"{prefix} {n}") for n in range(number)]


def ledger_of(folder: Path) -> Ledger:
    """Return the ledger that all runs in a folder share."""
    return Ledger(folder / "ledger.sqlite")


def send_capped(
    endpoint: Endpoint, folder: Path, calls: Sequence[Call], limit: str, name: str = "shard"
) -> list[CallRecord]:
    """Send calls under a cap that all journals in the folder share."""
    cap = SpendingCap("run:1", Decimal(limit), "PERSONA_RUN_BUDGET")
    with (
        Journal(folder / f"{name}.jsonl") as journal,
        closing(Budget(ledger_of(folder), [cap])) as budget,
    ):
        return list(Engine(endpoint, journal, budget=budget).send(calls))
