"""Tokens of a response; tokens, calls and money of an engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self

UNFINISHED = "unfinished"
"""Error code of a response that is paid for and that the endpoint broke off."""


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

        Some providers leave thinking out of the tokens of the output and count it in the total or
        in a detail alone; here it is part of the output, as it is in the bill.

        Example:
            >>> Tokens.counted({"prompt_tokens": 7, "completion_tokens": 3})
            Tokens(input=7, cached=0, output=3, reasoning=0, written=0)
            >>> Tokens.counted({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 30})
            Tokens(input=7, cached=0, output=23, reasoning=20, written=0)
        """
        plain = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if not any(plain):
            return cls._counted_apart(usage)
        input_tokens, output = plain
        inputs, outputs = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
        reasoning = _count(outputs, "reasoning_tokens") or _count(usage, "reasoning_tokens")
        apart = max(_count(usage, "total_tokens") - input_tokens - output, 0)
        if apart or reasoning > output:
            apart = apart or reasoning
            output, reasoning = output + apart, max(apart, reasoning)
        cached = _count(inputs, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens")
        return cls(
            input=input_tokens,
            cached=cached,
            output=output,
            reasoning=reasoning,
            written=_count(inputs, "cache_write_tokens"),
        )

    @classmethod
    def _counted_apart(cls, usage: Mapping[str, Any]) -> Self | None:
        """Read counts in the names of Anthropic's API, whose input leaves out its cache.

        OpenAI's newer API has the same names and details, with the cache inside of the input.
        """
        plain, output = _count(usage, "input_tokens"), _count(usage, "output_tokens")
        inside = _count(usage.get("input_tokens_details"), "cached_tokens")
        plain -= min(inside, plain)
        cached = inside or _count(usage, "cache_read_input_tokens")
        written = _count(usage, "cache_creation_input_tokens")
        if not plain + output + cached + written:
            return None
        reasoning = _count(usage.get("output_tokens_details"), "reasoning_tokens")
        return cls(
            input=plain + cached + written,
            cached=cached,
            output=max(output, reasoning),
            reasoning=reasoning,
            written=written,
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
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < 16 else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
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
        self.unpriced += failure in (None, UNFINISHED) and cost is None

    def __add__(self, other: "Usage") -> "Usage":
        names = [counter.name for counter in fields(self)]
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in names})
