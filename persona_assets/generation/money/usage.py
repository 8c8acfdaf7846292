"""Tokens of a response; tokens, calls and money of an engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of a response, or sums over several responses.

    Args:
        input: Tokens of the input, including `cached` and `written`.
        cached: Input tokens that the provider read from its cache.
        output: Tokens of the output, including `reasoning`.
        reasoning: Output tokens of the model's reasoning.
        written: Input tokens that the provider wrote to its cache.

    Example:
        >>> Tokens(input=7, output=3) + Tokens(input=1, cached=1)
        Tokens(input=8, cached=1, output=3, reasoning=0, written=0)
    """

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    written: int = 0

    @classmethod
    def counted(cls, usage: Mapping[str, Any]) -> Self | None:
        """Read the `usage` object of a response; None if it contains no counts.

        Example:
            >>> Tokens.counted({"prompt_tokens": 7, "completion_tokens": 3})
            Tokens(input=7, cached=0, output=3, reasoning=0, written=0)
        """
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


def _count(counts: object, name: str) -> int:
    """Return a count; 0 if the endpoint left it out or set it to null or nonsense."""
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if isinstance(value, int) and value >= 0 else 0


@dataclass(slots=True)
class Usage:
    """Counters of an engine.

    Args:
        attempts: Number of requests sent.
        calls: Number of requests with status 200, which the endpoint bills.
        replayed: Number of calls answered from the journal.
        reused: Number of calls answered by records of other journals.
        failed: Number of calls that ended in an error.
        tokens: Tokens as counted by the endpoint.
        cost: US dollars of the responses whose price is known.
        unpriced: Number of responses whose price is unknown.
        uncertain: Number of attempts without a response that may have been billed nevertheless
            (time-outs, broken connections).
        seconds: Time spent in `Engine.send`.

    Example:
        >>> (Usage(attempts=2, calls=1) + Usage(attempts=1)).attempts
        3
    """

    attempts: int = 0
    calls: int = 0
    replayed: int = 0
    reused: int = 0
    failed: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    uncertain: int = 0
    seconds: float = 0.0

    def count(self, failure: str | None, tokens: Tokens | None, cost: Decimal | None) -> None:
        """Add a record, given by its error code, its tokens and its cost in US dollars."""
        self.failed += failure is not None
        self.tokens += tokens or Tokens()
        self.cost += cost or 0
        self.unpriced += failure is None and cost is None

    def __add__(self, other: "Usage") -> "Usage":
        names = [counter.name for counter in fields(self)]
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in names})
