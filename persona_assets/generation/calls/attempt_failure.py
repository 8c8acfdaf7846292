"""What an attempt can meet other than an answer, and what is to be done about it."""

import json
import math
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import as_object

QUOTA = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "credit_balance_too_low",
    }
)
FILTER = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
MODEL = frozenset({"model_not_found", "invalid_model"})
AGAIN = frozenset({408, 409, 425})
UNHEARD = frozenset({200, 408, 504, 524})


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """One failed attempt.

    code: error class (transient ones are in record.TRANSIENT).
    wait: seconds that the endpoint asked for (Retry-After), or None.
    stop: the sentence to end the run with, or "" to go on.
    connected: False if there was no connection at all.
    status_code, body, request_id: of the response, if one came.
    """

    code: str
    message: str
    wait: float | None = None
    stop: str = ""
    connected: bool = True
    status_code: int | None = None
    body: dict[str, Any] | None = None
    request_id: str = ""

    @property
    def uncertain(self) -> bool:
        """Whether the attempt may have been billed: it was sent, and nobody who knows said that it
        failed. A gateway that gave up waiting does not know."""
        if self.status_code is None:
            return self.connected
        return self.status_code in UNHEARD


def failure_of_response(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], text: str
) -> AttemptFailure:
    """Reads an HTTP error. Nothing of the endpoint's own wording enters a `stop` sentence."""
    body = parse_object(text)
    error = (body or {}).get("error", body)
    named = as_object(error)
    names = {str(named.get("code")), str(named.get("type"))}
    said = named.get("message") or named.get("detail") or text
    stop = stop_sentence(endpoint, status, names)
    wait = retry_after(headers)
    if not stop and wait is not None and wait > endpoint.deadline:
        stop = (
            f"{endpoint.host} asks to wait {wait:.0f} s, longer than the call's deadline of "
            f"{endpoint.deadline:.0f} s: run again later; what was answered is kept."
        )
    if names & FILTER:
        code = "content_filter"
    elif status == 429:
        code = "rate_limit"
    elif status >= 500 or status in AGAIN:
        code = "server_error"
    else:
        code = "bad_request"
    return AttemptFailure(
        code=code,
        message=f"HTTP {status}: {' '.join(str(said).split())[:300]}",
        wait=wait,
        stop=stop,
        status_code=status,
        body=body,
        request_id=headers.get("x-request-id", ""),
    )


def stop_sentence(endpoint: Endpoint, status: int, names: Set[str] = frozenset()) -> str:
    """What to tell the user if this response ends the run, else "". `names`: error code, type."""
    key = endpoint.api_key_env or "(none: api_key_env is not set)"
    if names & FILTER:
        return ""
    if names & QUOTA or status == 402:
        return (
            f"The account behind {key} has no quota left at {endpoint.host}: add credit or raise "
            "its limit, then run again; what was answered is kept."
        )
    if status == 401:
        return (
            f"{endpoint.host} does not accept the API key in the environment variable {key} (401): "
            "set it to a valid key for that endpoint, or correct api_key_env or base_url."
        )
    if status == 403:
        return (
            f"{endpoint.host} forbids this use to the API key in the environment variable {key} "
            f"(403): give it access to the model {endpoint.model!r}, or change model or base_url."
        )
    if status in (404, 405) or names & MODEL:
        return (
            f"{endpoint.host} knows no model {endpoint.model!r} at this address ({status}): "
            "correct model or base_url (it usually ends in /v1)."
        )
    return ""


def unreachable_sentence(endpoint: Endpoint, reason: str) -> str:
    """What to tell the user if there is no connection."""
    return (
        f"{endpoint.host} cannot be reached ({reason}): start the server or correct base_url, then "
        "run again; what was answered is kept."
    )


def broken_sentence(endpoint: Endpoint, reason: str) -> str:
    """What to tell the user if an endpoint does nothing but fail."""
    return (
        f"{endpoint.host} has failed every call for {endpoint.deadline:.0f} s (last: {reason}): "
        "run again when it is well; what was answered is kept."
    )


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, or None if it is empty or anything else (NaN is not JSON)."""
    try:
        return as_object(_DECODER.decode(text)) or None
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: Retry-After (RFC 9110, a number or a date), or retry-after-ms."""
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
