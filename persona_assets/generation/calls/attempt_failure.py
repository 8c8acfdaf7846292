"""Failures of an attempt, and their consequences: a retry, a lasting error, or the end of the run.

Belongs here: the meaning of an HTTP status and of headers that all providers share. Does not belong
here: error codes and headers of a single provider (providers/).
"""

import json
import math
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import as_object
from persona_assets.generation.providers import provider_of

RETRIABLE = frozenset({408, 409, 425})
"""Statuses below 500 after which the same request may succeed."""

UNCERTAIN = frozenset({200, 408, 504, 524})
"""Statuses that do not exclude a bill: a gateway that gave up waiting does not know."""


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """A failed attempt.

    Attributes:
        code: Error class; transient classes are listed in `call_record.TRANSIENT`.
        message: Reason, for the journal.
        wait: Seconds that the endpoint asked for (Retry-After), or None.
        stop: Sentence to end the run with; "" if the run goes on.
        connected: False if no connection was made.
        status_code: Status of the response, if any.
        body: Body of the response, if any, if it is a JSON object.
        request_id: Provider's name of the request, from the response.
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
        """True if the attempt may have been billed: sent, and not refused by the endpoint."""
        if self.status_code is None:
            return self.connected
        return self.status_code in UNCERTAIN


def failure_of_response(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], text: str
) -> AttemptFailure:
    """Return the failure that an HTTP error response means.

    No words of the endpoint enter the `stop` sentence.

    Args:
        endpoint: Endpoint that responded.
        status: HTTP status other than 200.
        headers: Response headers by lower-case name.
        text: Body of the response.
    """
    provider = provider_of(endpoint)
    body = parse_object(text)
    error = as_object((body or {}).get("error", body))
    names = provider.error_names(error)
    message = error.get("message") or error.get("detail") or text
    stop = stop_sentence(endpoint, status, names)
    wait = retry_after(headers)
    if not stop and wait is not None and wait > endpoint.deadline:
        stop = (
            f"{endpoint.host} asks to wait {wait:.0f} s, longer than the call's deadline of "
            f"{endpoint.deadline:.0f} s: run again later; what was answered is kept."
        )
    if names & provider.error_codes.filter:
        code = "content_filter"
    elif status == 429 or names & provider.error_codes.rate_limit:
        code = "rate_limit"
    elif status >= 500 or status in RETRIABLE:
        code = "server_error"
    else:
        code = "bad_request"
    return AttemptFailure(
        code=code,
        message=f"HTTP {status}: {' '.join(str(message).split())[:300]}",
        wait=wait,
        stop=stop,
        status_code=status,
        body=body,
        request_id=headers.get("x-request-id", ""),
    )


def stop_sentence(endpoint: Endpoint, status: int, names: Set[str] = frozenset()) -> str:
    """Return the sentence for the user if a response ends the run, else "".

    Args:
        endpoint: Endpoint that responded.
        status: HTTP status; 0 if only names are known.
        names: Names in the error object; see `Provider.error_names`.
    """
    key = endpoint.api_key_env or "(none: api_key_env is not set)"
    codes = provider_of(endpoint).error_codes
    if names & (codes.filter | codes.rate_limit):
        return ""
    if names & codes.quota or status == 402:
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
    if status in (404, 405) or names & codes.model:
        return (
            f"{endpoint.host} knows no model {endpoint.model!r} at this address ({status}): "
            "correct model or base_url (it usually ends in /v1)."
        )
    return ""


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
