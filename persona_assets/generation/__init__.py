"""Paid model calls: never lost, never repeated, never silently dropped. Knows nothing of Dagster.

    from persona_assets.generation import Endpoint, Engine, Journal, Request, complete

    with Journal("journals/personas.jsonl") as journal:
        engine = Engine(Endpoint(model="..."), journal)
        for answer in complete(requests, engine):
            ...

What belongs here: whatever stands between a request and a checked answer. What does not: prompts,
rows, and what an answer is for.
"""

from persona_assets.generation.call import Call, call_key
from persona_assets.generation.client import check, open_client
from persona_assets.generation.completion import Answer, Request, complete, to_answer, to_call
from persona_assets.generation.endpoint import Endpoint
from persona_assets.generation.engine import Engine
from persona_assets.generation.errors import EndpointError, EndpointRefused, EndpointUnreachable
from persona_assets.generation.gate import Gate
from persona_assets.generation.journal import Journal, JournalBusy, JournalCorrupt
from persona_assets.generation.record import Record
from persona_assets.generation.usage import Usage

__all__ = [
    "Answer",
    "Call",
    "Endpoint",
    "EndpointError",
    "EndpointRefused",
    "EndpointUnreachable",
    "Engine",
    "Gate",
    "Journal",
    "JournalBusy",
    "JournalCorrupt",
    "Record",
    "Request",
    "Usage",
    "call_key",
    "check",
    "complete",
    "open_client",
    "to_answer",
    "to_call",
]
