"""Record of a model call, and its format as a line of a journal."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Self, cast

from persona_assets.generation.money.usage import UNFINISHED, Tokens
from persona_assets.generation.parsing.finish_reasons import finish_of, finish_text

FINAL = frozenset({"content_filter"})
"""Error codes that settle a call for all runs, since they depend on the request alone.

Every other failure (a key, an account, a server's limit) may be gone in the next run, and a refused
call costs nothing. Codes of earlier versions that are not listed here settle nothing, either."""

_LINE = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Result of a call: a response or an error.

    Args:
        key: Hash of the request (see `call_key`).
        body: JSON object of the response.
        error: Members "code" and "message". An error is recorded for the accounts; only one with a
            code in `FINAL` settles the call.
        attempt: Number of the attempt that ended the call, from 1.
        cost: US dollars at the price of the day; None if the price or the tokens are unknown.
        uncertain: Number of earlier attempts that may have been billed without a response.
        batch: True if the provider's Batch API processed the call.
        sent: Parameters that were sent in place of the request's own, null for one left out; None
            if the request was sent as it is.
        id: Identifier of the record itself; two records of one key differ in it.
        time: ISO 8601 time at which the record was made, in UTC.
        reused: True for a copy of another table's record: it has the same id, and its cost is that
            table's.

    Example:
        >>> record = CallRecord("key", error={"code": "timeout", "message": "no response"})
        >>> record.failure, record.answered
        ('timeout', False)
        >>> CallRecord.from_line(record.to_line()) == record
        True
    """

    key: str
    status_code: int | None = None
    body: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    request_id: str = ""
    attempt: int = 1
    model: str = ""
    prompt_version: str = ""
    run_id: str = ""
    cost: Decimal | None = None
    uncertain: int = 0
    batch: bool = False
    sent: dict[str, Any] | None = None
    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex}")
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    reused: bool = False

    @property
    def failure(self) -> str | None:
        """Error code, or None if the call succeeded.

        A response that the endpoint broke off is a failure, although it has no error and is paid.
        """
        if self.error is not None:
            return self.error.get("code") or "unknown"
        if self.status_code != 200:
            return "bad_request"
        return UNFINISHED if finish_of(self.choice.get("finish_reason")) == "failed" else None

    @property
    def answered(self) -> bool:
        """True if the call needs no further attempt: it succeeded or failed for good."""
        return self.failure is None or self.failure in FINAL

    @property
    def usage(self) -> dict[str, Any]:
        """Token counts in the endpoint's own format; empty if the response has none."""
        return as_object(as_object(self.body).get("usage"))

    @property
    def tokens(self) -> Tokens | None:
        """Token counts, or None if the response has none."""
        return Tokens.counted(self.usage)

    @property
    def choice(self) -> dict[str, Any]:
        """First choice of a chat completion; empty if the response has none."""
        return as_object(next(iter(as_list(as_object(self.body).get("choices"))), None))

    @property
    def finish_reason(self) -> str | None:
        """Reason why the model stopped: "stop", "length", "content_filter" ..."""
        return finish_text(self.choice.get("finish_reason"))

    def to_line(self) -> bytes:
        """Return the record as a line of a journal, newline included."""
        response = None
        if self.status_code is not None:
            response = {
                "status_code": self.status_code,
                "request_id": self.request_id,
                "body": self.body,
            }
        line = {
            "id": self.id,
            "custom_id": self.key,
            "response": response,
            "error": self.error,
            "attempt": self.attempt,
            "model": self.model,
            "prompt_version": self.prompt_version,
            "run_id": self.run_id,
            "usage": self.usage or None,
            "cost_usd": None if self.cost is None else str(self.cost),
            "uncertain": self.uncertain,
            "batch": self.batch,
            "finish_reason": self.finish_reason,
            "time": self.time,
        }
        if self.sent is not None:
            line["sent"] = self.sent
        if self.reused:
            line["reused"] = True
        # ASCII escapes preserve lone surrogates, which a model may emit, and leave no raw newline.
        return _LINE.encode(line).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read a line of a journal, of an older version of it or of the provider's Batch output.

        Raises:
            ValueError: The line is not a record.
        """
        data = as_object(json.loads(line))
        key = data.get("custom_id")
        if not isinstance(key, str):
            raise ValueError("it has no custom_id")
        response = as_object(data.get("response"))
        error, cost = data.get("error"), data.get("cost_usd")
        if error is not None and not isinstance(error, dict):
            raise ValueError("its error is no object")
        if not isinstance(as_object(error).get("code"), str | None):
            raise ValueError("the code of its error is no text")
        try:
            cost = None if cost is None else Decimal(cost)
        except (InvalidOperation, TypeError, ValueError):
            raise ValueError("its cost_usd is no number") from None
        return cls(
            key=key,
            status_code=response.get("status_code"),
            body=response.get("body"),
            error=error,
            request_id=response.get("request_id") or "",
            attempt=data.get("attempt", 1),
            model=data.get("model", ""),
            prompt_version=data.get("prompt_version", ""),
            run_id=data.get("run_id", ""),
            cost=cost,
            uncertain=data.get("uncertain", 0),
            batch=data.get("batch", False),
            sent=data.get("sent"),
            id=data.get("id", ""),
            time=data.get("time", ""),
            reused=data.get("reused") is True,
        )


def as_object(value: object) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else an empty object: an endpoint may send anything.

    Example:
        >>> as_object({"a": 1}), as_object(None), as_object([1])
        ({'a': 1}, {}, {})
    """
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return `value` if it is a JSON array, else an empty list.

    Example:
        >>> as_list([1, 2]), as_list("text")
        ([1, 2], [])
    """
    return list(cast("Iterable[Any]", value)) if isinstance(value, list) else []
