"""Models of endpoints with a quota of requests, and a load test of a limiter in virtual time."""

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
"""Bounds in seconds of the time that a request takes to arrive."""
REFUSAL = 0.02
"""Mean seconds that the endpoint takes for a 429."""


class Quota(Protocol):
    """Quota of requests whose mean is `rate` per second."""

    rate: float

    def admit(self, now: float) -> float:
        """Admit a request and return 0.0, or return the seconds until the next admission."""

    def headers_at(self, now: float) -> tuple[float, int, float]:
        """Return the values of the headers: limit, remaining, reset."""


@dataclass
class TokenBucket:
    """Token bucket with continuous refill; `reset` is the time until the bucket is full."""

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

    def headers_at(self, now: float) -> tuple[float, int, float]:
        return self.burst, int(self.level), (self.burst - self.level) / self.rate


@dataclass
class FixedWindow:
    """Fixed window of `seconds`, shifted by `phase`; `reset` is the time until its end."""

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

    def headers_at(self, now: float) -> tuple[float, int, float]:
        limit = self.rate * self.seconds
        return limit, int(limit - self.used), self.seconds - (now + self.phase) % self.seconds


@dataclass
class SlidingWindow:
    """Sliding window: at most `rate * seconds` requests in any `seconds`."""

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

    def headers_at(self, now: float) -> tuple[float, int, float]:
        limit = self.rate * self.seconds
        return limit, int(limit - len(self.admitted)), self.admitted[0] + self.seconds - now


def no_retry_after(wait: float) -> None:
    """Send no Retry-After."""


def exact_retry_after(wait: float) -> float:
    """Send the exact wait as Retry-After."""
    return wait


def whole_retry_after(wait: float) -> float:
    """Send Retry-After in whole seconds (RFC 9110), at least 1."""
    return max(1.0, float(math.ceil(wait)))


@dataclass(frozen=True)
class LoadResult:
    """Result of a load test after its warm-up.

    Args:
        goodput: Responses per second.
        refused: Share of 429 in all responses.
    """

    goodput: float
    refused: float


def load_test(
    quota: Quota,
    *,
    concurrency: int,
    latency: float,
    retry_after: Callable[[float], float | None] = no_retry_after,
    headers: bool = False,
    refusal: float = REFUSAL,
    warm_up: float,
    seconds: float,
    limiter: ConcurrencyLimiter | None = None,
) -> LoadResult:
    """Send calls through a limiter without a break, and measure goodput and refusals.

    Args:
        quota: Quota of the endpoint.
        concurrency: Number of callers.
        latency: Mean seconds of a response; responses take 0.5 to 1.5 times that.
        retry_after: Function from the true wait to the Retry-After that is sent.
        headers: True if responses contain the x-ratelimit headers.
        refusal: Mean seconds of a 429.
        warm_up: Seconds before the measurement.
        seconds: Seconds of the measurement.
        limiter: Limiter under test, by default new with the ceiling `concurrency`.
    """
    limiter = limiter or ConcurrencyLimiter(concurrency)
    rng = random.Random(1)
    begin, end = START + warm_up, START + warm_up + seconds
    responses = refusals = 0

    def response_headers(now: float) -> Mapping[str, str]:
        if not headers:
            return {}
        limit, remaining, reset = quota.headers_at(now)
        names = [f"x-ratelimit-{part}-requests" for part in ("limit", "remaining", "reset")]
        return dict(zip(names, (f"{limit:.0f}", str(remaining), f"{reset:.3f}s"), strict=True))

    async def call() -> None:
        nonlocal responses, refusals
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            entered = await limiter.enter()
            await asyncio.sleep(rng.uniform(*NETWORK))
            wait = quota.admit(loop.time())
            sent = response_headers(loop.time())
            await asyncio.sleep((refusal if wait else latency) * rng.uniform(0.5, 1.5))
            measured = begin <= loop.time() < end
            limiter.leave()
            if wait:
                limiter.record_failure(entered, status=429, wait=retry_after(wait), headers=sent)
                refusals += measured
            else:
                limiter.record_response(sent)
                responses += measured

    async def main() -> None:
        await asyncio.gather(*(call() for _ in range(concurrency)))

    run(main())
    return LoadResult(responses / seconds, refusals / max(1, responses + refusals))
