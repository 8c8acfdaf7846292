"""Failures of an attempt, and their consequences: a retry, a lasting error, or the end of the run.

Belongs here: the meaning of an HTTP status and of headers that all providers share. Does not belong
here: error codes and headers of a single provider (providers/).
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.error_reply import (
    ErrorReply,
    holds_error,
    inner_status,
    quoted,
    read_error,
)
from persona_assets.generation.journal.call_record import CallRecord, as_object
from persona_assets.generation.parsing.model_names import other_model
from persona_assets.generation.providers import Meaning, provider_of
from persona_assets.generation.providers.error_rules import find_rule

RETRIED = frozenset({"rate_limit", "timeout", "connection", "malformed", "server_error", "expired"})
"""Error codes after which the same run sends the call again.

Whether a later run does is another question: see `call_record.FINAL`."""

ADAPTED = frozenset({"bad_parameter", "bad_request"})
"""Error codes of refusals that another form of the same request may cure."""

UNCERTAIN = frozenset({200, 408, 504, 524})
"""Statuses that do not exclude a bill: a gateway that gave up waiting does not know."""

AWAY = frozenset({502, 503})
"""Statuses of a gateway whose server is away. It may also be one call that they are about."""

STATUS_OF = {
    Meaning.KEY: 401,
    Meaning.QUOTA: 402,
    Meaning.PERMISSION: 403,
    Meaning.MODEL: 404,
    Meaning.RATE_LIMIT: 429,
    Meaning.OVERLOADED: 503,
    Meaning.FILTER: 400,
    Meaning.CONTEXT: 400,
    Meaning.PARAMETER: 400,
    Meaning.REQUEST: 500,
}
"""Status of an error that came with status 200 and states none; an unknown one may pass."""

Evidence = Literal["call", "status", "named", "account"]
"""What a failure proves about other calls: nothing; little, as only its status or an unknown
message tells; that key, model or permission are at fault; that the account is. See Refusals."""


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """A failed attempt.

    Attributes:
        code: Error class; RETRIED lists those after which the call is sent again.
        message: Reason, for the journal.
        wait: Seconds that the endpoint asked for (Retry-After), or None.
        stop: Sentence to end the run with, if `evidence` suffices.
        evidence: What the failure proves about other calls; see `Refusals`.
        connected: False if no connection was made.
        status_code: Status of the response, if any.
        body: Body of the response, if any, if it is a JSON object.
        request_id: Provider's name of the request, from the response.
        reply: What was read from the response, if it was an error.
    """

    code: str
    message: str
    wait: float | None = None
    stop: str = ""
    evidence: Evidence = "call"
    connected: bool = True
    status_code: int | None = None
    body: dict[str, Any] | None = None
    request_id: str = ""
    reply: ErrorReply | None = None

    @property
    def away(self) -> bool:
        """True if the endpoint may be away: nobody computed anything, and no wait was asked for."""
        return not self.connected or (self.status_code in AWAY and self.wait is None)

    @property
    def uncertain(self) -> bool:
        """True if the attempt may have been billed: sent, and not refused by the endpoint."""
        if self.status_code is None:
            return self.connected
        return self.status_code in UNCERTAIN


def outcome_of_response(
    endpoint: Endpoint, call: Call, status: int, headers: Mapping[str, str], text: str
) -> CallRecord | AttemptFailure:
    """Return the answer in an HTTP response, or the failure that the response means.

    An error object that comes with status 200 is that error.

    Args:
        endpoint: Endpoint that responded.
        call: Call that was sent.
        status: HTTP status.
        headers: Response headers by lower-case name.
        text: Body of the response, without the API key.
    """
    if status != 200:
        return failure_of_response(endpoint, status, headers, text)
    answer = parse_object(text)
    request_id = headers.get("x-request-id", "")
    if answer is not None and provider_of(endpoint).is_answer(call, answer):
        if endpoint.by_name and (other := other_model(endpoint.model, answer.get("model"))):
            return _failure_of_another_model(endpoint, other, request_id)
        return CallRecord(
            key=call.key,
            status_code=200,
            body=answer,
            request_id=request_id,
            model=endpoint.model,
            prompt_version=call.prompt_version,
        )
    # What a choice has begun to say may be billed.
    if not (answer or {}).get("choices") and holds_error(text):
        return failure_of_response(endpoint, 200, headers, text)
    message = "HTTP 200 without the JSON of an answer"
    return AttemptFailure("malformed", message, status_code=200, request_id=request_id)


def _failure_of_another_model(endpoint: Endpoint, other: str, request_id: str) -> AttemptFailure:
    message = f"{other!r} answers in place of {endpoint.model!r}"
    return AttemptFailure(
        code=Meaning.MODEL.value,
        message=message,
        stop=(
            f"{endpoint.host} lists {endpoint.model!r}, but {message}, so these answers are not "
            "used: serve the right weights under that name, then run again."
        ),
        evidence="account",
        # As if the server knew no such model: the person who serves the weights bills nobody.
        status_code=STATUS_OF[Meaning.MODEL],
        request_id=request_id,
    )


def failure_of_response(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], text: str
) -> AttemptFailure:
    """Return the failure that an error response means, by status, codes and message together.

    Args:
        endpoint: Endpoint that responded.
        status: HTTP status; 200 if the error is in the body of a response with that status.
        headers: Response headers by lower-case name.
        text: Body of the response, without the API key.
    """
    provider = provider_of(endpoint)
    reply = read_error(status, text)
    inner = inner_status(reply) if status == 200 else status
    names = reply.names | provider.error_names(reply.error)
    rule = find_rule(provider.error_rules, inner or 0, names, reply.text)
    meaning = rule.meaning
    if inner is None:
        inner = STATUS_OF[meaning]
        meaning = Meaning.OVERLOADED if meaning is Meaning.REQUEST else meaning
    wait = retry_after(headers)
    if wait is None:
        wait = provider.retry_delay(reply.error)
    coded = inner == 402 or not names.isdisjoint(rule.codes)
    evidence = _evidence(meaning, named=not rule.by_status, coded=coded)
    stop = "" if evidence == "call" else _stop_sentence(endpoint, meaning, inner, reply.message)
    if evidence == "call" and wait is not None and wait > endpoint.deadline:
        evidence = "account"
        stop = (
            f"{endpoint.host} asks to wait {wait:.0f} s, longer than the call's deadline of "
            f"{endpoint.deadline:.0f} s: run again later; what was answered is kept."
        )
    return AttemptFailure(
        code=meaning.value,
        message=f"HTTP {status}: {reply.message[:300]}",
        wait=wait,
        stop=stop,
        evidence=evidence,
        status_code=inner,
        body=reply.body,
        request_id=headers.get("x-request-id", ""),
        reply=reply,
    )


def _evidence(meaning: Meaning, *, named: bool, coded: bool) -> Evidence:
    match meaning:
        case Meaning.FILTER | Meaning.RATE_LIMIT | Meaning.OVERLOADED:
            return "call"
        case Meaning.QUOTA:
            # By its status, 402, or a code; a phrase may be about something else.
            return "account" if coded else "named"
        case Meaning.KEY:
            return "named"
        case Meaning.MODEL | Meaning.PERMISSION:
            return "named" if named else "status"
        case _:
            return "status"


def _stop_sentence(endpoint: Endpoint, meaning: Meaning, status: int, message: str) -> str:
    """Return the cure of a refusal, and the endpoint's own words, which nobody has verified."""
    return f"{stop_sentence(endpoint, meaning, status)} It says: {quoted(message)}"


def stop_sentence(endpoint: Endpoint, meaning: Meaning, status: int) -> str:
    """Return the sentence for the user if a refusal ends the run.

    Args:
        endpoint: Endpoint that responded.
        meaning: Meaning of the refusal.
        status: HTTP status; 0 if only its code is known.
    """
    key = endpoint.api_key_env or "(none: api_key_env is not set)"
    host, model = endpoint.host, endpoint.model
    match meaning:
        case Meaning.QUOTA:
            return (
                f"The account behind {key} has no quota left at {host}: add credit or raise "
                "its limit, then run again; what was answered is kept."
            )
        case Meaning.KEY:
            return (
                f"{host} does not accept the API key in the environment variable {key} ({status}): "
                "set it to a valid key for that endpoint, or correct api_key_env or base_url."
            )
        case Meaning.PERMISSION:
            return (
                f"{host} forbids this use to the API key in the environment variable {key} "
                f"({status}): give it access to the model {model!r}, or change model or base_url."
            )
        case Meaning.MODEL:
            return (
                f"{host} knows no model {model!r} at this address ({status}): "
                "correct model or base_url (it usually ends in /v1)."
            )
        case Meaning.CONTEXT:
            return (
                f"{host} refuses the calls as too long ({status}): lower max_tokens, shorten the "
                "prompt, or serve the model with a longer context; what was answered is kept."
            )
        case Meaning.PARAMETER:
            return (
                f"{host} refuses a parameter of the calls ({status}): set it to null in the role's "
                "sampling, or change structured_output; what was answered is kept."
            )
        case _:
            return (
                f"{host} refuses the calls ({status}): correct the role's settings or the prompt, "
                "then run again; nothing of them was billed, and what was answered is kept."
            )


def unreachable_sentence(endpoint: Endpoint, reason: str) -> str:
    """Return the sentence for the user if no connection can be made."""
    return (
        f"{endpoint.host} cannot be reached ({reason}): start the server or correct base_url, then "
        "run again; what was answered is kept."
    )


def broken_sentence(endpoint: Endpoint, reason: str) -> str:
    """Return the sentence for the user if each call of an endpoint fails."""
    return (
        f"{endpoint.host} has failed every call for {endpoint.deadline:.0f} s (last: {reason}): "
        "run again when it is well; what was answered is kept."
    )


def away_sentence(endpoint: Endpoint, reason: str) -> str:
    """Return the sentence for the user if an endpoint has been away for longer than its wait."""
    return (
        f"{endpoint.host} has been away for {endpoint.outage:.0f} s (last: {reason}): run again "
        "when it is back, or raise the role's OUTAGE; what was answered is kept."
    )


def parse_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in `text`; None if it is empty or anything else (NaN is not JSON).

    Example:
        >>> parse_object('{"a": 1}'), parse_object("{}"), parse_object('{"a": NaN}')
        ({'a': 1}, None, None)
    """
    try:
        return as_object(_DECODER.decode(text)) or None
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait: Retry-After (RFC 9110, a number or a date), or retry-after-ms.

    Example:
        >>> retry_after({"retry-after": "1.5"}), retry_after({"retry-after-ms": "250"})
        (1.5, 0.25)
        >>> retry_after({}), retry_after({"retry-after": "soon"})
        (None, None)
    """
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            wait = float(milliseconds) / 1000
        elif (value := headers.get("retry-after")) is None:
            return None
        elif value.strip().replace(".", "", 1).isdigit():
            wait = float(value)
        else:
            wait = max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
    return wait if math.isfinite(wait) and wait >= 0 else None
