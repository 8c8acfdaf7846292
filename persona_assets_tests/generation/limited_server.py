"""Models of endpoints that limit requests a second, and a crowd of callers, in virtual time."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from persona_assets.generation.gate import Gate


class Limiter(Protocol):
    def admit(self, now: float) -> float:
        """0.0 if a request may come now, else the seconds after which one may."""


@dataclass
class TokenBucket:
    rate: float
    burst: float
    level: float = -1.0
    seen: float = 0.0

    def admit(self, now: float) -> float:
        if self.level < 0:
            self.level = self.burst
        self.level = min(self.burst, self.level + (now - self.seen) * self.rate)
        self.seen = now
        if self.level < 1 - 1e-9:
            return (1 - self.level) / self.rate
        self.level -= 1
        return 0.0


@dataclass
class FixedWindow:
    rate: float
    seconds: float
    shift: float = 0.0
    window: int = -1
    used: int = 0

    def admit(self, now: float) -> float:
        window = math.floor((now + self.shift) / self.seconds)
        if window != self.window:
            self.window, self.used = window, 0
        if self.used >= self.rate * self.seconds:
            return (window + 1) * self.seconds - now - self.shift
        self.used += 1
        return 0.0


@dataclass
class SlidingWindow:
    rate: float
    seconds: float
    log: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> float:
        while self.log and self.log[0] + self.seconds <= now:
            self.log.popleft()
        if len(self.log) >= self.rate * self.seconds:
            return self.log[0] + self.seconds - now
        self.log.append(now)
        return 0.0


@dataclass
class Result:
    goodput: float
    """Answers a second after the warm-up."""
    complaints: float
    """Share of 429 in all responses after the warm-up."""
    rates: list[tuple[float, float | None]]


def crowd(
    limiter: Limiter,
    *,
    concurrency: int,
    latency: float,
    retry_after: Callable[[float], float | None] = lambda wait: None,
    refusal: float = 0.02,
    warm_up: float,
    seconds: float,
    seed: int = 1,
    trace: float = 0,
) -> Result:
    import virtual_time

    rng = random.Random(seed)
    result = Result(0.0, 0.0, [])

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(concurrency)
        good = bad = 0
        end = warm_up + seconds

        async def work() -> None:
            nonlocal good, bad
            while loop.time() < end:
                entered = await gate.enter(0)
                await asyncio.sleep(rng.uniform(0.002, 0.010))
                wait = limiter.admit(loop.time())
                if wait:
                    await asyncio.sleep(refusal * rng.uniform(0.5, 1.5))
                    gate.leave()
                    gate.complained(entered, status=429, wait=retry_after(wait))
                    bad += warm_up <= loop.time() < end
                else:
                    await asyncio.sleep(latency * rng.uniform(0.5, 1.5))
                    gate.leave()
                    gate.answered({})
                    good += warm_up <= loop.time() < end

        async def watch() -> None:
            g = b = 0
            while trace:
                await asyncio.sleep(trace)
                print(f"{loop.time():7.1f} rate {gate.rate or 0:8.2f} lim {gate._pace.limit:8.2f} K {gate._pace._plateau:6.2f} good {good-g} bad {bad-b}")
                g, b = good, bad

        w = asyncio.create_task(watch())
        await asyncio.gather(*(work() for _ in range(concurrency)))
        w.cancel()
        result.goodput = good / seconds
        result.complaints = bad / max(1, good + bad)

    virtual_time.run(main())
    return result
