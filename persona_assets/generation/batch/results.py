"""What came out of a batch: one line a request, in any order, if at all."""

import json
from dataclasses import dataclass
from decimal import Decimal

from persona_assets.generation.batch.files import Batch, BatchFolder, Ticket
from persona_assets.generation.batch.landing import BILLED, Landing, Result
from persona_assets.generation.batch.turn import Turn
from persona_assets.generation.endpoint import Endpoint
from persona_assets.generation.fault import Fault, fault_of_response, parse_object
from persona_assets.generation.record import TRANSIENT, Record, as_object
from persona_assets.generation.spending import NOTHING

UNANSWERED = {
    "batch_expired": "expired",
    "batch_cancelled": "expired",
    "request_timeout": "timeout",
}
"""Codes of lines without a response (BatchRequestOutput in the API reference) and our own."""

MISSING = Fault("expired", "the batch ended without a result of this request")

GROUP = 500
BACKLOG = 8
"""Records that land at once, and such groups that may wait for their reader."""

HELD = 0.1
"""Seconds between two looks whether the reader has taken what landed."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What is left once a batch's results have landed.

    left: requests without an answer that may be sent again, of which `uncertain` may have been
    billed and `unspent` of their charge was certainly not spent. ignored: lines that nobody waited
    for (unknown, repeated, not JSON). stop: the sentence to end the run with, or "".
    """

    left: dict[str, Ticket]
    uncertain: int
    unspent: Decimal
    ignored: int
    stop: str


def collect(
    endpoint: Endpoint, folder: BatchFolder, landing: Landing, batch: Batch, turn: Turn
) -> Collected:
    """Lands the results of a finished batch, and the errors of what may not be sent again."""
    left = folder.tickets(batch)
    faults: dict[str, Fault] = {}
    group: list[Result] = []
    ignored = 0
    for line in folder.results(batch):
        key, outcome = read_result(endpoint, line)
        if key not in left:
            ignored += 1
        elif isinstance(outcome, Fault) and (outcome.stop or outcome.code in TRANSIENT):
            faults[key] = outcome
        else:
            group.append(Result(key, outcome, left.pop(key)))
        if len(group) == GROUP:
            _land(landing, batch, group, turn)
            group = []
    stop = next((fault.stop for fault in faults.values() if fault.stop), "")
    for key, ticket in list(left.items()):
        if ticket.attempt >= endpoint.max_attempts and not stop:
            group.append(Result(key, faults.get(key, MISSING), left.pop(key)))
    _land(landing, batch, group, turn)
    billed = {key for key in left if faults.get(key, MISSING).code in BILLED}
    unspent = sum((ticket.most for key, ticket in left.items() if key not in billed), NOTHING)
    return Collected(left, len(billed), unspent, ignored, stop)


def _land(landing: Landing, batch: Batch, results: list[Result], turn: Turn) -> None:
    while landing.landed.qsize() >= BACKLOG:
        with turn.away():
            turn.stopping.wait(HELD)
    turn.check()
    if results:
        landing.land(batch, results)


def read_result(endpoint: Endpoint, line: bytes) -> tuple[str, Record | Fault]:
    """The custom_id ("" if there is none) of one line of an output or error file, and its result.

    The record holds what the line says: key, response, and that it came in a batch.
    """
    data = parse_object(line.decode("utf-8", "replace")) or {}
    name = data.get("custom_id")
    key = name if isinstance(name, str) else ""
    response = as_object(data.get("response"))
    body = as_object(response.get("body"))
    status = response.get("status_code")
    request_id = str(response.get("request_id") or "")
    if not isinstance(status, int):
        error = as_object(data.get("error"))
        code = UNANSWERED.get(str(error.get("code")), "server_error")
        said = " ".join(str(error.get("message") or "no response").split())[:300]
        return key, Fault(code, said, request_id=request_id)
    if status != 200:
        named = {"x-request-id": request_id}
        return key, fault_of_response(endpoint, status, named, json.dumps(body))
    if not body.get("choices") and not body.get("data"):
        said = "HTTP 200 without the JSON of an answer"
        return key, Fault("malformed", said, status_code=200, request_id=request_id)
    return key, Record(key=key, status_code=200, body=body, request_id=request_id, batch=True)
