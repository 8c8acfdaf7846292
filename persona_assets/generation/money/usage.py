"""Tokens and money: what one answer used, and what a run has used so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one answer or of many.

    Among the input are those `cached` by the provider before, and those `written` to its cache now;
    among the output is the `reasoning`.
    """

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    written: int = 0

    @classmethod
    def counted(cls, usage: Mapping[str, Any]) -> Self | None:
        """Reads the `usage` of an answer; None if the endpoint did not count."""
        if not _count(usage, "prompt_tokens") and not _count(usage, "completion_tokens"):
            return None
        return cls(
            input=_count(usage, "prompt_tokens"),
            cached=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
            output=_count(usage, "completion_tokens"),
            reasoning=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
            written=_count(usage.get("prompt_tokens_details"), "cache_write_tokens"),
        )

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.written + other.written,
        )


def _count(of: object, name: str) -> int:
    """A count that an endpoint may have left out, or set to null or to nonsense."""
    value = of.get(name) if isinstance(of, Mapping) else None
    return value if isinstance(value, int) and value >= 0 else 0


@dataclass(slots=True)
class Usage:
    """Counters of one engine.

    attempts: requests sent; calls: those answered with 200, which the endpoint bills;
    replayed: calls answered from the journal; failed: calls that ended in an error;
    tokens: as the endpoint counted them; cost: US dollars of the answers whose price is known;
    unpriced: answers whose price is not; uncertain: attempts without an answer that may have been
    billed all the same (timeouts, broken connections); seconds: spent in `Engine.send`.
    """

    attempts: int = 0
    calls: int = 0
    replayed: int = 0
    failed: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    uncertain: int = 0
    seconds: float = 0.0

    def count(self, failure: str | None, tokens: Tokens | None, cost: Decimal | None) -> None:
        """Adds one record."""
        self.failed += failure is not None
        self.tokens += tokens or Tokens()
        self.cost += cost or 0
        self.unpriced += failure is None and cost is None

    def __add__(self, other: "Usage") -> "Usage":
        names = [it.name for it in fields(self)]
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in names})
