"""What came out of a batch: one line a request, in any order, if at all."""

import json
from dataclasses import dataclass
from decimal import Decimal

from persona_assets.generation.batch.batch_files import Batch, BatchFolder, Ticket
from persona_assets.generation.batch.landing import BILLED, Landing, RequestResult
from persona_assets.generation.batch.stop_token import StopToken
from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    failure_of_response,
    parse_object,
)
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import TRANSIENT, CallRecord, as_object
from persona_assets.generation.money.spending import NOTHING

UNANSWERED = {
    "batch_expired": "expired",
    "batch_cancelled": "expired",
    "request_timeout": "timeout",
}
"""Codes of lines without a response (BatchRequestOutput in the API reference) and our own."""

MISSING = AttemptFailure("expired", "the batch ended without a result of this request")

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


def collect_results(
    endpoint: Endpoint, folder: BatchFolder, landing: Landing, batch: Batch, turn: StopToken
) -> Collected:
    """Lands the results of a finished batch, and the errors of what may not be sent again."""
    left = folder.tickets(batch)
    faults: dict[str, AttemptFailure] = {}
    group: list[RequestResult] = []
    ignored = 0
    for line in folder.results(batch):
        key, outcome = read_result(endpoint, line)
        if key not in left:
            ignored += 1
        elif isinstance(outcome, AttemptFailure) and (outcome.stop or outcome.code in TRANSIENT):
            faults[key] = outcome
        else:
            group.append(RequestResult(key, outcome, left.pop(key)))
        if len(group) == GROUP:
            _land(landing, batch, group, turn)
            group = []
    stop = next((fault.stop for fault in faults.values() if fault.stop), "")
    for key, ticket in list(left.items()):
        if ticket.attempt >= endpoint.max_attempts and not stop:
            group.append(RequestResult(key, faults.get(key, MISSING), left.pop(key)))
    _land(landing, batch, group, turn)
    billed = {key for key in left if faults.get(key, MISSING).code in BILLED}
    unspent = sum((ticket.most for key, ticket in left.items() if key not in billed), NOTHING)
    return Collected(left, len(billed), unspent, ignored, stop)


def _land(landing: Landing, batch: Batch, results: list[RequestResult], turn: StopToken) -> None:
    while landing.landed.qsize() >= BACKLOG:
        with turn.away():
            turn.stopping.wait(HELD)
    turn.check()
    if results:
        landing.land(batch, results)


def read_result(endpoint: Endpoint, line: bytes) -> tuple[str, CallRecord | AttemptFailure]:
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
        return key, AttemptFailure(code, said, request_id=request_id)
    if status != 200:
        named = {"x-request-id": request_id}
        return key, failure_of_response(endpoint, status, named, json.dumps(body))
    if not body.get("choices") and not body.get("data"):
        said = "HTTP 200 without the JSON of an answer"
        return key, AttemptFailure("malformed", said, status_code=200, request_id=request_id)
    return key, CallRecord(key=key, status_code=200, body=body, request_id=request_id, batch=True)
