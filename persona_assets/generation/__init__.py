"""Paid model calls: never lost, never repeated, never silently dropped. Knows nothing of Dagster.

    from persona_assets.generation import Endpoint, Engine, Journal, Request, complete

    with Journal("journals/personas.jsonl") as journal:
        engine = Engine(Endpoint(model="..."), journal)
        for answer in complete(requests, engine):
            ...

Belongs here: everything between a request and a checked answer. Does not belong here: prompts,
rows, and the purpose of an answer.
"""

from persona_assets.generation.calls.call import Call, call_key
from persona_assets.generation.calls.client import Client
from persona_assets.generation.calls.endpoint import Endpoint, Price
from persona_assets.generation.calls.errors import (
    BudgetReached,
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
)
from persona_assets.generation.calls.free_requests import check_endpoint
from persona_assets.generation.completion import Answer, Request, complete, to_answer, to_call
from persona_assets.generation.engine import Engine
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_store import CompletionStore
from persona_assets.generation.journal.journal import Journal, JournalBusy, JournalCorrupt, compact
from persona_assets.generation.money.budget import Budget, SpendingCap
from persona_assets.generation.money.ledger import Ledger
from persona_assets.generation.money.prices import Pricing, pricing
from persona_assets.generation.money.usage import Tokens, Usage

__all__ = [
    "Answer",
    "Budget",
    "BudgetReached",
    "Call",
    "CallRecord",
    "Client",
    "CompletionStore",
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
    "Request",
    "SpendingCap",
    "Tokens",
    "Usage",
    "call_key",
    "check_endpoint",
    "compact",
    "complete",
    "pricing",
    "to_answer",
    "to_call",
]
