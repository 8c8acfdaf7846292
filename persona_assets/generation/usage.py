"""What a run has cost so far."""

from dataclasses import astuple, dataclass


@dataclass(slots=True)
class Usage:
    """Counters of one engine.

    attempts: requests sent; calls: those answered with 200, which the endpoint bills;
    replayed: calls answered from the journal; failed: calls that ended in an error;
    tokens as the endpoint counted them; seconds: spent in `Engine.send`.
    """

    attempts: int = 0
    calls: int = 0
    replayed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))
