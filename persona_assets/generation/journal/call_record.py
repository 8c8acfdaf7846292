"""A record: what came back for one call, and its line in the journal."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Self, cast

from persona_assets.generation.money.usage import Tokens

TRANSIENT = frozenset(
    {"rate_limit", "timeout", "connection", "malformed", "server_error", "expired"}
)
"""Error codes after which the next run asks again; any other error is the endpoint's answer."""

_LINE = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What came back for one call: a response, or the error that ended it.

    error: "code" and "message"; a transient code (TRANSIENT) is accounted for, not an answer.
    cost: US dollars at the price of the day; None where the price or the tokens are unknown.
    uncertain: attempts before this one that may have been billed without an answer.
    batch: whether it came by way of the provider's Batch API.
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
    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex}")
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @property
    def failure(self) -> str | None:
        """Code of the error, or None if the endpoint answered the question."""
        if self.error is not None:
            return self.error.get("code") or "unknown"
        return None if self.status_code == 200 else "bad_request"

    @property
    def answered(self) -> bool:
        """Whether this settles the call for good, be it by an answer or by a lasting error."""
        return self.failure not in TRANSIENT

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens as the endpoint counted them; empty if it did not say."""
        return as_object(as_object(self.body).get("usage"))

    @property
    def tokens(self) -> Tokens | None:
        """The usage, or None if the endpoint did not say."""
        return Tokens.counted(self.usage)

    @property
    def choice(self) -> dict[str, Any]:
        """The first choice of a chat completion; empty if there is none."""
        return as_object(next(iter(as_list(as_object(self.body).get("choices"))), None))

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped: "stop", "length", "content_filter" ..."""
        reason = self.choice.get("finish_reason")
        return reason if isinstance(reason, str) else None

    def to_line(self) -> bytes:
        """One line of the journal, newline included."""
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
        # ASCII escapes keep lone surrogates, which a model may emit, and never a raw line break.
        return _LINE.encode(line).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Reads one line, older ones and the provider's own Batch output included.

        Raises ValueError if it is not a record.
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
            id=data.get("id", ""),
            time=data.get("time", ""),
        )


def as_object(value: object) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one: an endpoint may answer anything."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """`value` if it is a JSON array, else an empty one."""
    return list(cast("Iterable[Any]", value)) if isinstance(value, list) else []
