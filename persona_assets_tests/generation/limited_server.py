"""Models of endpoints that limit requests, and a crowd that calls one through a gate, in virtual
time."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from persona_assets.generation.limits.concurrency_limiter import ConcurrencyLimiter
from persona_assets_tests.generation.virtual_time import START, run

NETWORK = (0.002, 0.010)
"""Seconds, least and most, that a request takes to arrive."""
REFUSAL = 0.02
"""Seconds that the endpoint takes for a 429, on average."""


class Limiter(Protocol):
    """A quota of `rate` requests a second, in the mean."""

    rate: float

    def admit(self, now: float) -> float:
        """0.0 if the request may come, else the seconds after which one may."""

    def left(self, now: float) -> tuple[float, int, float]:
        """What the headers say: limit, remaining, reset."""


@dataclass
class TokenBucket:
    """`burst` requests at once, refilled continuously; `reset` is until it is full."""

    rate: float
    burst: float
    level: float = math.inf
    seen: float = 0.0

    def admit(self, now: float) -> float:
        self.level = min(self.burst, self.level + (now - self.seen) * self.rate)
        self.seen = now
        if self.level < 1 - 1e-9:
            return (1 - self.level) / self.rate
        self.level -= 1
        return 0.0

    def left(self, now: float) -> tuple[float, int, float]:
        return self.burst, int(self.level), (self.burst - self.level) / self.rate


@dataclass
class FixedWindow:
    """A count that starts anew every `seconds`; `reset` is until then. `phase`: at time 0."""

    rate: float
    seconds: float
    phase: float = 0.0
    window: int = -1
    used: int = 0

    def admit(self, now: float) -> float:
        window = int((now + self.phase) / self.seconds)
        if window != self.window:
            self.window, self.used = window, 0
        if self.used >= self.rate * self.seconds:
            return (window + 1) * self.seconds - now - self.phase
        self.used += 1
        return 0.0

    def left(self, now: float) -> tuple[float, int, float]:
        limit = self.rate * self.seconds
        return limit, int(limit - self.used), self.seconds - (now + self.phase) % self.seconds


@dataclass
class SlidingWindow:
    """So many requests in any `seconds`."""

    rate: float
    seconds: float
    admitted: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> float:
        while self.admitted and self.admitted[0] + self.seconds <= now:
            self.admitted.popleft()
        if len(self.admitted) >= self.rate * self.seconds:
            return self.admitted[0] + self.seconds - now
        self.admitted.append(now)
        return 0.0

    def left(self, now: float) -> tuple[float, int, float]:
        limit = self.rate * self.seconds
        return limit, int(limit - len(self.admitted)), self.admitted[0] + self.seconds - now


def never(wait: float) -> None:
    """No Retry-After."""


def exactly(wait: float) -> float:
    return wait


def whole(wait: float) -> float:
    """Retry-After as RFC 9110 has it: whole seconds, one at least."""
    return max(1.0, float(math.ceil(wait)))


@dataclass(frozen=True)
class Outcome:
    """After the warm-up: answers a second, and the share of 429 in all responses."""

    goodput: float
    refused: float


def crowd(
    limiter: Limiter,
    *,
    concurrency: int,
    latency: float,
    retry_after: Callable[[float], float | None] = never,
    headers: bool = False,
    refusal: float = REFUSAL,
    warm_up: float,
    seconds: float,
    gate: ConcurrencyLimiter | None = None,
) -> Outcome:
    """`concurrency` callers who always have another call. Answers take 0.5 to 1.5 `latency`."""
    gate = gate or ConcurrencyLimiter(concurrency)
    rng = random.Random(1)
    begin, end = START + warm_up, START + warm_up + seconds
    answers = refusals = 0

    def tell(now: float) -> Mapping[str, str]:
        if not headers:
            return {}
        limit, remaining, reset = limiter.left(now)
        names = [f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")]
        return dict(zip(names, (f"{limit:.0f}", str(remaining), f"{reset:.3f}s"), strict=True))

    async def call() -> None:
        nonlocal answers, refusals
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            entered = await gate.enter()
            await asyncio.sleep(rng.uniform(*NETWORK))
            wait = limiter.admit(loop.time())
            told = tell(loop.time())
            await asyncio.sleep((refusal if wait else latency) * rng.uniform(0.5, 1.5))
            counts = begin <= loop.time() < end
            gate.leave()
            if wait:
                gate.complained(entered, status=429, wait=retry_after(wait), headers=told)
                refusals += counts
            else:
                gate.answered(told)
                answers += counts

    async def main() -> None:
        await asyncio.gather(*(call() for _ in range(concurrency)))

    run(main())
    return Outcome(answers / seconds, refusals / max(1, answers + refusals))
