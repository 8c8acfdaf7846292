"""A limiter uses the quota of an endpoint that reveals its quota by 429 alone."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from persona_assets.generation.limits.adaptive_rate import AdaptiveRate
from persona_assets.generation.limits.concurrency_limiter import ConcurrencyLimiter
from persona_assets_tests.generation.limited_server import (
    FixedWindow,
    Quota,
    SlidingWindow,
    TokenBucket,
    exact_retry_after,
    load_test,
    no_retry_after,
    whole_retry_after,
)
from persona_assets_tests.generation.virtual_time import START, run

QUOTAS: dict[str, Callable[[float], Quota]] = {
    "small bucket": lambda rate: TokenBucket(rate, max(1.0, rate / 10)),
    "large bucket": lambda rate: TokenBucket(rate, 60 * rate),
    "second": lambda rate: FixedWindow(rate, 1.0),
    "minute": lambda rate: FixedWindow(rate, 60.0, phase=25.0),
    "sliding second": lambda rate: SlidingWindow(rate, 1.0),
    "sliding minute": lambda rate: SlidingWindow(rate, 60.0),
}


@pytest.mark.parametrize("kind", QUOTAS)
@pytest.mark.parametrize("retry_after", [no_retry_after, exact_retry_after, whole_retry_after])
@pytest.mark.parametrize(("rate", "latency"), [(5.0, 0.05), (5.0, 5.0), (50.0, 0.5)])
def test_limiter_uses_nine_tenths_of_the_quota_with_few_refusals(
    kind: str, retry_after: Callable[[float], float | None], rate: float, latency: float
) -> None:
    result = load_test(
        QUOTAS[kind](rate),
        concurrency=256,
        latency=latency,
        retry_after=retry_after,
        warm_up=180.0 if "minute" in kind or "large" in kind else 60.0,
        seconds=180.0,
    )
    assert result.goodput >= 0.9 * rate
    assert result.refused < 0.02


@pytest.mark.parametrize("kind", ["small bucket", "second", "sliding second"])
@pytest.mark.parametrize("retry_after", [no_retry_after, whole_retry_after])
def test_limiter_uses_a_large_quota(
    kind: str, retry_after: Callable[[float], float | None]
) -> None:
    result = load_test(
        QUOTAS[kind](500.0),
        concurrency=256,
        latency=0.05,
        retry_after=retry_after,
        warm_up=60.0,
        seconds=20.0,
    )
    assert result.goodput >= 450.0
    assert result.refused < 0.02


@pytest.mark.parametrize("kind", QUOTAS)
def test_limiter_uses_a_quota_of_twenty_per_minute(kind: str) -> None:
    result = load_test(
        QUOTAS[kind](20 / 60),
        concurrency=16,
        latency=2.0,
        retry_after=exact_retry_after,
        warm_up=600.0,
        seconds=1200.0,
    )
    assert result.goodput >= 0.9 * 20 / 60
    assert result.refused < 0.02


def test_limiter_uses_the_quota_despite_refusals_that_take_a_second() -> None:
    result = load_test(
        FixedWindow(5.0, 60.0),
        concurrency=256,
        latency=0.5,
        refusal=1.0,
        warm_up=180.0,
        seconds=240.0,
    )
    assert result.goodput >= 4.5
    assert result.refused < 0.02


def test_limiter_fills_the_gaps_of_the_first_minute_of_a_sliding_window() -> None:
    result = load_test(
        SlidingWindow(50.0, 60.0),
        concurrency=128,
        latency=0.3,
        retry_after=whole_retry_after,
        warm_up=180.0,
        seconds=180.0,
    )
    assert result.goodput >= 0.95 * 50
    assert result.refused < 0.02


def test_limiter_stops_obeying_a_retry_after_that_is_far_too_short() -> None:
    result = load_test(
        FixedWindow(50.0, 60.0, phase=25.0),
        concurrency=64,
        latency=0.05,
        retry_after=lambda wait: 1.0,
        warm_up=180.0,
        seconds=180.0,
    )
    assert result.goodput >= 45.0
    assert result.refused < 0.02


@dataclass
class ChangingBucket(TokenBucket):
    """Token bucket whose rate changes at START + 60 s."""

    new: float = 0.0

    def admit(self, now: float) -> float:
        if now >= START + 60:
            self.rate = self.new
        return super().admit(now)


@pytest.mark.parametrize("new", [10.0, 100.0])
def test_limiter_follows_a_change_of_the_quota(new: float) -> None:
    quota = ChangingBucket(50.0, 5.0, new=new)
    result = load_test(quota, concurrency=64, latency=0.1, warm_up=120.0, seconds=60.0)
    assert result.goodput >= 0.9 * new
    assert result.refused < 0.02


def test_limiter_does_not_slow_an_endpoint_without_a_quota() -> None:
    limiter = ConcurrencyLimiter(64)
    result = load_test(
        TokenBucket(math.inf, math.inf),
        limiter=limiter,
        concurrency=64,
        latency=0.5,
        warm_up=5.0,
        seconds=20.0,
    )
    assert result.goodput > 0.95 * 64 / 0.506
    assert limiter.limit == 64


def test_rate_drops_to_the_throughput_and_grows_slowly_near_it() -> None:
    rate = AdaptiveRate()
    assert rate.rate(0.0) == math.inf
    for tick in range(1000):
        rate.record_entry(tick / 100)
    resume = rate.record_refusal(10.0, 9.99, None)
    limit = rate.limit
    assert limit == pytest.approx(100.0, rel=0.01)
    rate.record_entry(resume)
    rate.record_entry(resume)
    rates = [rate.rate(resume + second / 10) for second in range(1200)]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.9 * limit)
    plateau = next(tick for tick, value in enumerate(rates) if value >= limit)
    near = rates[plateau * 2 // 3 : plateau * 4 // 3]
    assert max(near) - min(near) < 0.01 * limit
    assert rates[-1] > 1.5 * limit


def test_limiter_ignores_idle_hours_in_its_estimate() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        limiter = ConcurrencyLimiter(8)
        for _ in range(2):
            for _ in range(50):
                entered = await limiter.enter()
                await asyncio.sleep(0.1)
                limiter.leave()
                limiter.record_response()
            limiter.record_failure(entered, status=429, wait=None)
            await asyncio.sleep(7200.0)
        for _ in range(50):
            entered = await limiter.enter()
            await asyncio.sleep(0.1)
            limiter.leave()
            limiter.record_response()
        limiter.record_failure(entered, status=429, wait=None)
        assert loop.time() > 14_400
        assert limiter.rate is not None
        return limiter.rate

    assert run(main()) > 5.0
