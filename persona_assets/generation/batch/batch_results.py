"""Results of a finished batch: a line per request, in any order, with possible gaps."""

import json
from dataclasses import dataclass
from decimal import Decimal

from persona_assets.generation.batch.batch_files import Batch, BatchFolder, Ticket
from persona_assets.generation.batch.pending_requests import BILLED, PendingRequests, RequestResult
from persona_assets.generation.batch.stop_token import StopToken
from persona_assets.generation.calls.attempt_failure import (
    AttemptFailure,
    failure_of_response,
    parse_object,
)
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import TRANSIENT, CallRecord, as_object
from persona_assets.generation.money.spending import ZERO

UNANSWERED = {
    "batch_expired": "expired",
    "batch_cancelled": "expired",
    "request_timeout": "timeout",
}
"""Error code by the provider's code in a line without a response.

See BatchRequestOutput in the API reference."""

MISSING = AttemptFailure("expired", "the batch ended without a result of this request")

GROUP = 500
"""Number of records written to the journal at once."""

BACKLOG = 8
"""Number of groups of records that may wait for the reader."""

READER_POLL = 0.1
"""Seconds between two checks whether the reader has taken records."""


@dataclass(frozen=True, slots=True)
class CollectedResults:
    """Summary of a batch whose results are in the journal.

    Args:
        left: Requests without a response that may be sent again.
        uncertain: Number of requests among `left` that may have been billed.
        unspent: Part of the charge for `left` that was certainly not spent, in US dollars.
        ignored: Number of lines without a pending request: unknown, repeated or not JSON.
        stop: Sentence that ends the run, or "".
    """

    left: dict[str, Ticket]
    uncertain: int
    unspent: Decimal
    ignored: int
    stop: str


def collect_results(
    endpoint: Endpoint,
    folder: BatchFolder,
    pending: PendingRequests,
    batch: Batch,
    stop_token: StopToken,
) -> CollectedResults:
    """Write a finished batch's results, and errors without a further attempt, to the journal."""
    left = folder.tickets(batch)
    failures: dict[str, AttemptFailure] = {}
    group: list[RequestResult] = []
    broken_off: dict[str, RequestResult] = {}
    ignored = 0
    for line in folder.results(batch):
        key, outcome = read_result(endpoint, line)
        if key not in left:
            ignored += 1
        elif isinstance(outcome, AttemptFailure) and (outcome.stop or outcome.code in TRANSIENT):
            failures[key] = outcome
        elif (
            isinstance(outcome, CallRecord)
            and not outcome.answered
            and left[key].attempt < endpoint.max_attempts
        ):
            broken_off[key] = RequestResult(key, outcome, left[key])
        else:
            group.append(RequestResult(key, outcome, left.pop(key)))
        if len(group) == GROUP:
            _land(pending, batch, group, stop_token)
            group = []
    stop = next((failure.stop for failure in failures.values() if failure.stop), "")
    for key, ticket in list(left.items()):
        if ticket.attempt >= endpoint.max_attempts and not stop:
            group.append(RequestResult(key, failures.get(key, MISSING), left.pop(key)))
    _land(pending, batch, group, stop_token)
    broken_off = {key: result for key, result in broken_off.items() if key in left}
    _land(pending, batch, list(broken_off.values()), stop_token, final=False)
    billed = {key for key in left if failures.get(key, MISSING).code in BILLED}
    accounted = billed | broken_off.keys()
    unspent = sum((ticket.most for key, ticket in left.items() if key not in accounted), ZERO)
    return CollectedResults(left, len(billed), unspent, ignored, stop)


def _land(
    pending: PendingRequests,
    batch: Batch,
    results: list[RequestResult],
    stop_token: StopToken,
    *,
    final: bool = True,
) -> None:
    while pending.landed.qsize() >= BACKLOG:
        with stop_token.released():
            stop_token.stopping.wait(READER_POLL)
    stop_token.raise_if_stopped()
    if results:
        pending.land(batch, results, final=final)


def read_result(endpoint: Endpoint, line: bytes) -> tuple[str, CallRecord | AttemptFailure]:
    """Read a line of an output or error file.

    Returns:
        The line's custom_id, "" if it has none, and its result. A record contains the members of
        the line alone: key, response, and that a batch processed the call.
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
        message = " ".join(str(error.get("message") or "no response").split())[:300]
        return key, AttemptFailure(code, message, request_id=request_id)
    if status != 200:
        headers = {"x-request-id": request_id}
        return key, failure_of_response(endpoint, status, headers, json.dumps(body))
    if not body.get("choices") and not body.get("data"):
        message = "HTTP 200 without the JSON of an answer"
        return key, AttemptFailure("malformed", message, status_code=200, request_id=request_id)
    return key, CallRecord(key=key, status_code=200, body=body, request_id=request_id, batch=True)
