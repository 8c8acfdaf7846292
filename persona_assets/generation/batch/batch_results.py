"""Results of a finished batch: a line per request, in any order, with possible gaps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from persona_assets.generation.batch.batch_files import Batch, BatchFolder, Ticket
from persona_assets.generation.batch.pending_requests import BILLED, PendingRequests, RequestResult
from persona_assets.generation.batch.stop_token import StopToken
from persona_assets.generation.calls.adaptation import (
    Change,
    adaptation_for,
    apply_all,
    difference,
    untried,
)
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.attempt_failure import (
    ADAPTED,
    RETRIED,
    AttemptFailure,
    failure_of_response,
    outcome_of_response,
    parse_object,
)
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.refusals import FEW, Refusals, same
from persona_assets.generation.journal.call_record import CallRecord, as_object
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
    adaptations: Adaptations,
    refusals: Refusals,
) -> CollectedResults:
    """Write a finished batch's results, and errors without a further attempt, to the journal.

    A request whose parameter the endpoint refuses is left for a further batch, without it.
    """
    left = folder.tickets(batch)
    failures: dict[str, AttemptFailure] = {}
    group: list[RequestResult] = []
    broken_off: dict[str, RequestResult] = {}
    ignored = 0
    sent = set[str]()
    embeddings = batch.url.endswith("/embeddings")
    inputs = dict(folder.bodies(batch)) if embeddings else {}
    for line in folder.results(batch):
        key, outcome = read_result(endpoint, line, batch.url, inputs)
        if key not in left:
            ignored += 1
        elif isinstance(outcome, AttemptFailure) and outcome.code != "content_filter":
            failures[key] = outcome
        elif (
            isinstance(outcome, CallRecord)
            and not outcome.answered
            and left[key].attempt < endpoint.max_attempts
        ):
            broken_off[key] = RequestResult(key, outcome, left[key])
        else:
            ticket = left.pop(key)
            if isinstance(outcome, CallRecord):
                refusals.succeed()
                sent.update(ticket.sent or ())
            group.append(RequestResult(key, outcome, ticket))
        if len(group) == GROUP:
            _land(pending, batch, group, stop_token)
            group = []
    adaptations.confirm(sent)
    adapted = _adapt(folder, batch, left, failures, adaptations)
    lasting = {key: failure for key, failure in failures.items() if key not in adapted}
    whole = len(lasting) == batch.requests
    stop = _stop_sentence(lasting, whole=whole, succeeded=refusals.succeeded)
    for key, ticket in list(left.items()):
        failure = failures.get(key, MISSING)
        again = failure.code in RETRIED or failure.evidence == "named" or key in adapted
        if not stop and (not again or ticket.attempt >= endpoint.max_attempts):
            refusals.said = failure.message
            group.append(RequestResult(key, failure, left.pop(key)))
        elif key in adapted:
            left[key] = ticket._replace(sent={**(ticket.sent or {}), **adapted[key]})
        if len(group) == GROUP:
            _land(pending, batch, group, stop_token)
            group = []
    _land(pending, batch, group, stop_token)
    broken_off = {key: result for key, result in broken_off.items() if key in left}
    _land(pending, batch, list(broken_off.values()), stop_token, final=False)
    billed = {key for key in left if failures.get(key, MISSING).code in BILLED}
    accounted = billed | broken_off.keys()
    unspent = sum((ticket.most for key, ticket in left.items() if key not in accounted), ZERO)
    return CollectedResults(left, len(billed), unspent, ignored, stop)


def _stop_sentence(failures: Mapping[str, AttemptFailure], *, whole: bool, succeeded: bool) -> str:
    """Return the sentence that ends the run, "" if it goes on; see `Refusals`.

    Args:
        failures: Failures of a batch by key, without those that another form of request cures.
        whole: True if all requests of the batch have such failures.
        succeeded: True if an earlier call has an answer.
    """
    named = whole and (not succeeded or len(failures) >= FEW)
    for failure in failures.values():
        if failure.evidence == "account" or (named and failure.evidence == "named"):
            return failure.stop
    last = next(reversed(list(failures.values())), MISSING)
    alike = whole and len(failures) >= FEW and len(set(map(same, failures.values()))) == 1
    return last.stop if alike and not succeeded and last.evidence == "status" else ""


def _adapt(
    folder: BatchFolder,
    batch: Batch,
    left: Mapping[str, Ticket],
    failures: Mapping[str, AttemptFailure],
    adaptations: Adaptations,
) -> dict[str, dict[str, object]]:
    """Return, by key, what to send in place of the parameters that the endpoint refused."""
    refused = {
        key: failure.reply
        for key, failure in failures.items()
        if failure.code in ADAPTED and failure.reply is not None and key in left
    }
    adapted = dict[str, dict[str, object]]()
    for key, body in folder.bodies(batch) if refused else ():
        if key not in refused:
            continue
        changes = adaptation_for(refused[key], body)
        fresh = untried(changes, [Change(name) for name in left[key].sent or ()])
        if fresh:
            adaptations.propose(fresh, refused[key].message)
            adapted[key] = difference(body, apply_all(fresh, body)) or {}
    return adapted


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


def read_result(
    endpoint: Endpoint,
    line: bytes,
    url: str = "/v1/chat/completions",
    bodies: Mapping[str, dict[str, Any]] | None = None,
) -> tuple[str, CallRecord | AttemptFailure]:
    """Read a line of an output or error file.

    Args:
        endpoint: Endpoint of the batch.
        line: Line of the file.
        url: URL of the batch's requests.
        bodies: Bodies of the requests by key, where the form of an answer depends on them.

    Returns:
        The line's custom_id, "" if it has none, and its result.
    """
    data = parse_object(line.decode("utf-8", "replace")) or {}
    name = data.get("custom_id")
    key = name if isinstance(name, str) else ""
    response = as_object(data.get("response"))
    status = response.get("status_code")
    headers = {"x-request-id": str(response.get("request_id") or "")}
    if not isinstance(status, int):
        error = as_object(data.get("error"))
        code = UNANSWERED.get(str(error.get("code")))
        if code is None and error:
            return key, failure_of_response(endpoint, 200, headers, json.dumps({"error": error}))
        message = " ".join(str(error.get("message") or "no response").split())[:300]
        return key, AttemptFailure(code or "server_error", message)
    call = Call(key, url.removeprefix("/v1"), (bodies or {}).get(key, {}))
    outcome = outcome_of_response(
        endpoint, call, status, headers, json.dumps(as_object(response.get("body")))
    )
    return key, replace(outcome, batch=True) if isinstance(outcome, CallRecord) else outcome
