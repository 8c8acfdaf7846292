"""What the gate gets out of an endpoint that tells its quota by 429 alone, in virtual time."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from persona_assets.generation.limits.adaptive_rate import AdaptiveRate
from persona_assets.generation.limits.concurrency_limiter import ConcurrencyLimiter
from persona_assets_tests.generation.limited_server import (
    FixedWindow,
    Limiter,
    SlidingWindow,
    TokenBucket,
    crowd,
    exactly,
    never,
    whole,
)
from persona_assets_tests.generation.virtual_time import START, run

SERVERS: dict[str, Callable[[float], Limiter]] = {
    "small bucket": lambda quota: TokenBucket(quota, max(1.0, quota / 10)),
    "large bucket": lambda quota: TokenBucket(quota, 60 * quota),
    "second": lambda quota: FixedWindow(quota, 1.0),
    "minute": lambda quota: FixedWindow(quota, 60.0, phase=25.0),
    "sliding second": lambda quota: SlidingWindow(quota, 1.0),
    "sliding minute": lambda quota: SlidingWindow(quota, 60.0),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("retry_after", [never, exactly, whole])
@pytest.mark.parametrize(("quota", "latency"), [(5.0, 0.05), (5.0, 5.0), (50.0, 0.5)])
def test_nine_tenths_of_the_quota_are_used_and_few_calls_refused(
    server: str, retry_after: Callable[[float], float | None], quota: float, latency: float
) -> None:
    outcome = crowd(
        SERVERS[server](quota),
        concurrency=256,
        latency=latency,
        retry_after=retry_after,
        warm_up=180.0 if "minute" in server or "large" in server else 60.0,
        seconds=180.0,
    )
    assert outcome.goodput >= 0.9 * quota
    assert outcome.refused < 0.02


@pytest.mark.parametrize("server", ["small bucket", "second", "sliding second"])
@pytest.mark.parametrize("retry_after", [never, whole])
def test_a_large_quota_is_used(server: str, retry_after: Callable[[float], float | None]) -> None:
    outcome = crowd(
        SERVERS[server](500.0),
        concurrency=256,
        latency=0.05,
        retry_after=retry_after,
        warm_up=60.0,
        seconds=20.0,
    )
    assert outcome.goodput >= 450.0
    assert outcome.refused < 0.02


@pytest.mark.parametrize("server", SERVERS)
def test_a_quota_of_twenty_a_minute_is_used(server: str) -> None:
    outcome = crowd(
        SERVERS[server](20 / 60),
        concurrency=16,
        latency=2.0,
        retry_after=exactly,
        warm_up=600.0,
        seconds=1200.0,
    )
    assert outcome.goodput >= 0.9 * 20 / 60
    assert outcome.refused < 0.02


def test_refusals_that_take_a_second_are_understood() -> None:
    outcome = crowd(
        FixedWindow(5.0, 60.0),
        concurrency=256,
        latency=0.5,
        refusal=1.0,
        warm_up=180.0,
        seconds=240.0,
    )
    assert outcome.goodput >= 4.5
    assert outcome.refused < 0.02


def test_the_gaps_of_the_first_minute_do_not_come_back_with_each_minute() -> None:
    outcome = crowd(
        SlidingWindow(50.0, 60.0),
        concurrency=128,
        latency=0.3,
        retry_after=whole,
        warm_up=180.0,
        seconds=180.0,
    )
    assert outcome.goodput >= 0.95 * 50
    assert outcome.refused < 0.02


def test_a_retry_after_that_is_far_too_short_is_not_believed_for_ever() -> None:
    outcome = crowd(
        FixedWindow(50.0, 60.0, phase=25.0),
        concurrency=64,
        latency=0.05,
        retry_after=lambda wait: 1.0,
        warm_up=180.0,
        seconds=180.0,
    )
    assert outcome.goodput >= 45.0
    assert outcome.refused < 0.02


@dataclass
class Changing(TokenBucket):
    """A quota that is another one from START + 60 s on."""

    new: float = 0.0

    def admit(self, now: float) -> float:
        if now >= START + 60:
            self.rate = self.new
        return super().admit(now)


@pytest.mark.parametrize("new", [10.0, 100.0])
def test_a_quota_that_changes_is_found_again(new: float) -> None:
    limiter = Changing(50.0, 5.0, new=new)
    outcome = crowd(limiter, concurrency=64, latency=0.1, warm_up=120.0, seconds=60.0)
    assert outcome.goodput >= 0.9 * new
    assert outcome.refused < 0.02


def test_an_endpoint_without_a_quota_is_not_slowed() -> None:
    gate = ConcurrencyLimiter(64)
    outcome = crowd(
        TokenBucket(math.inf, math.inf),
        gate=gate,
        concurrency=64,
        latency=0.5,
        warm_up=5.0,
        seconds=20.0,
    )
    assert outcome.goodput > 0.95 * 64 / 0.506
    assert gate.limit == 64


def test_the_rate_is_cut_to_what_was_delivered_and_grows_slowly_near_it() -> None:
    pace = AdaptiveRate()
    assert pace.rate(0.0) == math.inf
    for tick in range(1000):
        pace.entered(tick / 100)
    opens = pace.refused(10.0, 9.99, None)
    limit = pace.limit
    assert limit == pytest.approx(100.0, rel=0.01)
    pace.entered(opens)
    pace.entered(opens)
    rates = [pace.rate(opens + second / 10) for second in range(1200)]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.9 * limit)
    plateau = next(tick for tick, rate in enumerate(rates) if rate >= limit)
    near = rates[plateau * 2 // 3 : plateau * 4 // 3]
    assert max(near) - min(near) < 0.01 * limit
    assert rates[-1] > 1.5 * limit


def test_hours_with_nothing_to_send_are_not_taken_for_a_small_quota() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        gate = ConcurrencyLimiter(8)
        for _ in range(2):
            for _ in range(50):
                entered = await gate.enter()
                await asyncio.sleep(0.1)
                gate.leave()
                gate.answered()
            gate.complained(entered, status=429, wait=None)
            await asyncio.sleep(7200.0)
        for _ in range(50):
            entered = await gate.enter()
            await asyncio.sleep(0.1)
            gate.leave()
            gate.answered()
        gate.complained(entered, status=429, wait=None)
        assert loop.time() > 14_400
        assert gate.rate is not None
        return gate.rate

    assert run(main()) > 5.0
