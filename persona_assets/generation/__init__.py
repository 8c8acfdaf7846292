"""Paid model calls: never lost, never repeated, never silently dropped. Knows nothing of Dagster.

    from persona_assets.generation import Endpoint, Engine, Journal, Request, complete

    with Journal("journals/personas.jsonl") as journal:
        engine = Engine(Endpoint(model="..."), journal)
        for answer in complete(requests, engine):
            ...

What belongs here: whatever stands between a request and a checked answer. What does not: prompts,
rows, and what an answer is for.
"""

from persona_assets.generation.budget import Budget, Cap
from persona_assets.generation.call import Call, call_key
from persona_assets.generation.client import Client, check
from persona_assets.generation.completion import Answer, Request, complete, to_answer, to_call
from persona_assets.generation.completions import Completions
from persona_assets.generation.endpoint import Endpoint, Price
from persona_assets.generation.engine import Engine
from persona_assets.generation.errors import (
    BudgetReached,
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
)
from persona_assets.generation.journal import Journal, JournalBusy, JournalCorrupt, compact
from persona_assets.generation.ledger import Ledger
from persona_assets.generation.prices import Pricing, pricing
from persona_assets.generation.record import Record
from persona_assets.generation.usage import Tokens, Usage

__all__ = [
    "Answer",
    "Budget",
    "BudgetReached",
    "Call",
    "Cap",
    "Client",
    "Completions",
    "Endpoint",
    "EndpointError",
    "EndpointRefused",
    "EndpointUnreachable",
    "Engine",
    "Journal",
    "JournalBusy",
    "JournalCorrupt",
    "Ledger",
    "Price",
    "Pricing",
    "Record",
    "Request",
    "Tokens",
    "Usage",
    "call_key",
    "check",
    "compact",
    "complete",
    "pricing",
    "to_answer",
    "to_call",
]
