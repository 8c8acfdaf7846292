"""A concurrency limiter admits calls in order, within its limits, and adapts them to load."""

import asyncio
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation.limits.concurrency_limiter import ConcurrencyLimiter
from persona_assets_tests.generation.limited_server import (
    FixedWindow,
    Quota,
    TokenBucket,
    load_test,
    whole_retry_after,
)
from persona_assets_tests.generation.virtual_time import START, run


def test_limiter_admits_all_calls_in_order_and_never_exceeds_its_limit() -> None:
    async def main() -> None:
        limiter, highest, order = ConcurrencyLimiter(3), 0, list[int]()

        async def visit(number: int) -> None:
            nonlocal highest
            await limiter.enter()
            order.append(number)
            highest = max(highest, limiter.in_flight)
            await asyncio.sleep(random.Random(number).random())
            limiter.leave()

        await asyncio.gather(*map(visit, range(50)))
        assert (highest, limiter.in_flight) == (3, 0)
        assert order == list(range(50))

    run(main())


def test_burst_of_overload_decreases_the_limit_once_and_responses_increase_it() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(10)
        burst = [await limiter.enter() for _ in range(10)]
        await asyncio.sleep(1)
        for entered in burst:
            limiter.leave()
            limiter.record_failure(entered, status=503, wait=None)
        assert limiter.limit == 7.0
        for _ in range(7):
            limiter.record_response()
        assert 7.9 < limiter.limit < 8.0
        later = await limiter.enter()
        limiter.leave()
        limiter.record_failure(later, status=529, wait=None)
        assert limiter.limit < 5.7
        for _ in range(1000):
            limiter.record_response()
        assert limiter.limit == 10.0

    run(main())


def test_limit_recovers_fast_after_an_outage() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(256)
        limiter.record_response()
        for _ in range(15):
            entered = await limiter.enter()
            limiter.leave()
            limiter.record_failure(entered, status=503, wait=None)
            await asyncio.sleep(1)
        assert limiter.limit < 2
        for _ in range(256):
            limiter.record_response()
        assert limiter.limit > 0.69 * 256

    run(main())


@pytest.mark.parametrize(("calls_per_timeout", "decreases"), [(2, True), (50, False)])
def test_timeouts_count_as_overload_only_if_frequent(
    calls_per_timeout: int, decreases: bool
) -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(64)
        for number in range(600):
            entered = await limiter.enter()
            await asyncio.sleep(0.01)
            limiter.leave()
            if number % calls_per_timeout == calls_per_timeout - 1:
                limiter.record_failure(entered, status=None, wait=None)
            else:
                limiter.record_response()
        assert (limiter.limit < 32) == decreases

    run(main())


def test_429_limits_the_rate_and_not_the_concurrency() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(10)
        assert limiter.rate is None
        entered = await limiter.enter()
        limiter.leave()
        limiter.record_failure(entered, status=429, wait=1.0)
        assert limiter.limit == 10
        assert limiter.rate is not None

    run(main())


def test_pause_holds_back_a_call_that_was_about_to_enter() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(1)
        entered = await limiter.enter()
        waiting = asyncio.create_task(limiter.enter())
        await asyncio.sleep(1)
        limiter.leave()
        limiter.record_failure(entered, status=500, wait=30.0)
        assert await waiting == START + 31

    run(main())


def test_cancelled_call_loses_no_place_and_no_tokens() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(1, requests_per_minute=600, tokens_per_minute=100)
        loop = asyncio.get_running_loop()
        await limiter.enter(90)
        line = [asyncio.create_task(limiter.enter(10)) for _ in range(3)]
        await asyncio.sleep(60)
        limiter.leave()
        for task in line[:2]:
            task.cancel()
        assert await line[2] == loop.time() == START + 60
        limiter.leave()
        assert await limiter.enter(90) < START + 70
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await limiter.enter(1)
        assert limiter.in_flight == 1

    run(main())


def test_waiting_call_enters_as_soon_as_a_response_makes_room() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(2)
        for entered in [await limiter.enter(), await limiter.enter()]:
            limiter.leave()
            limiter.record_failure(entered, status=503, wait=None)
        await limiter.enter()
        waiting = asyncio.create_task(limiter.enter())
        await asyncio.sleep(1)
        assert not waiting.done()
        limiter.record_response()
        assert await waiting == START + 1

    run(main())


def test_waiting_call_enters_as_soon_as_headers_allow_it() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(8)
        for _ in range(2):
            await limiter.enter(100)
            limiter.record_response(headers_with_remaining("1"))
        waiting = asyncio.create_task(limiter.enter(100))
        await asyncio.sleep(1)
        assert not waiting.done()
        limiter.record_response(headers_with_remaining("1000000"))
        assert await waiting == START + 1

    run(main())


def headers_with_remaining(remaining: str) -> dict[str, str]:
    values = {"limit": "1000", "remaining": remaining, "reset": "1h"}
    return {f"x-ratelimit-{part}-requests": value for part, value in values.items()}


def random_headers(rng: random.Random) -> dict[str, str]:
    return {
        f"x-ratelimit-{part}-{unit}": rng.choice(["0", "1", "7", "1000000", "3s", "1ms", "x"])
        for part in ("limit", "remaining", "reset")
        for unit in ("requests", "tokens")
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(3, 300), st.integers(50, 5000), st.integers(0, 2**32))
def test_limits_hold_and_no_call_is_forgotten_under_random_events(
    ceiling: int, requests: int, tokens: int, seed: int
) -> None:
    """Random responses, failures, pauses, wrong headers and callers that give up."""
    rng = random.Random(seed)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = ConcurrencyLimiter(ceiling, requests, tokens, patience=math.inf)
        paused_until = 0.0
        entries: list[tuple[float, int, int]] = []

        async def visit(number: int) -> None:
            nonlocal paused_until
            tokens_needed = rng.randint(1, 50)
            try:
                async with asyncio.timeout(rng.choice([0.0, 1.0, 100.0, None, None, None])):
                    entered = await limiter.enter(tokens_needed)
            except TimeoutError:
                return
            assert entered == loop.time() >= paused_until
            assert limiter.in_flight <= min(ceiling, max(1, limiter.limit + 1))
            entries.append((entered, tokens_needed, number))
            await asyncio.sleep(rng.expovariate(2.0))
            limiter.leave()
            match rng.randrange(8):
                case 0 | 1 | 2:
                    status = rng.choice([429, 500, 503, 529, None])
                    wait = rng.choice([None, None, 0.0, 0.3, 5.0])
                    limiter.record_failure(
                        entered, status=status, wait=wait, headers=random_headers(rng)
                    )
                    paused_until = max(paused_until, loop.time() + (wait or 0.0))
                case 3:
                    pass
                case _:
                    limiter.record_response(random_headers(rng))

        visits = []
        for number in range(60):
            visits.append(asyncio.create_task(visit(number)))
            await asyncio.sleep(rng.choice([0.0, 0.0, 0.5]))
        await asyncio.gather(*visits)
        assert limiter.in_flight == 0
        assert [number for _, _, number in entries] == sorted(number for _, _, number in entries)
        for time, _, _ in entries:
            minute = [
                tokens_needed for other, tokens_needed, _ in entries if other <= time < other + 60
            ]
            assert len(minute) <= requests
            assert sum(minute) <= tokens

    run(main())


@pytest.mark.parametrize("latency", [0.05, 5.0])
@pytest.mark.parametrize(
    "quota",
    [
        lambda: TokenBucket(5.0, 300.0),
        lambda: TokenBucket(5.0, 18_000.0, level=60.0),
        lambda: FixedWindow(5.0, 60.0, phase=25.0),
    ],
    ids=["refilled", "nearly empty", "window"],
)
def test_headers_reveal_the_quota_before_any_429(
    quota: Callable[[], Quota], latency: float
) -> None:
    result = load_test(
        quota(),
        concurrency=32,
        latency=latency,
        retry_after=whole_retry_after,
        headers=True,
        warm_up=0.0,
        seconds=240.0,
    )
    assert result.goodput >= 4.5
    assert result.refused < 0.02


@pytest.mark.parametrize("reset", ["24h0m0s", "1s"])
def test_headers_alone_do_not_stall_a_run(reset: str) -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(4)
        headers = {
            f"x-ratelimit-{part}-{unit}": value
            for part, value in (("limit", "5"), ("remaining", "0"), ("reset", reset))
            for unit in ("requests", "tokens")
        }
        for _ in range(20):
            await limiter.enter(2000)
            limiter.leave()
            limiter.record_response(headers)
        assert asyncio.get_running_loop().time() <= START + 200

    run(main())


def test_limiter_uses_nine_tenths_of_the_limit_in_the_settings() -> None:
    limiter = ConcurrencyLimiter(16, requests_per_minute=120)
    result = load_test(
        TokenBucket(100.0, 100.0),
        limiter=limiter,
        concurrency=16,
        latency=1.0,
        warm_up=60,
        seconds=300,
    )
    assert 1.8 <= result.goodput <= 2.0


def test_calls_wait_while_an_endpoint_is_down_and_single_probes_enter() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = ConcurrencyLimiter(64, patience=60.0)
        attempts, highest = 0, 0
        recovery = START + 40.0

        async def call() -> None:
            nonlocal attempts, highest
            while True:
                entered = await limiter.enter()
                attempts += 1
                if limiter.tripped:
                    highest = max(highest, limiter.in_flight)
                await asyncio.sleep(0.01)
                limiter.leave()
                if loop.time() >= recovery:
                    return limiter.record_response()
                limiter.record_failure(entered, status=None, wait=None)
                await asyncio.sleep(random.Random(attempts).random())

        await asyncio.gather(*(call() for _ in range(64)))
        assert highest == 1
        assert attempts < 64 + 64 + 64 + 10
        assert recovery <= loop.time() < recovery + 31 + 5
        assert not limiter.broken
        assert not limiter.tripped

    run(main())


def test_limiter_is_broken_by_an_endpoint_that_stays_down() -> None:
    async def main() -> float:
        limiter = ConcurrencyLimiter(4, patience=60.0)
        while not limiter.broken:
            entered = await limiter.enter()
            await asyncio.sleep(0.1)
            limiter.leave()
            limiter.record_failure(entered, status=502, wait=None)
        return asyncio.get_running_loop().time()

    assert START + 60 <= run(main()) <= START + 100


def test_429_to_a_probe_closes_the_breaker() -> None:
    async def main() -> None:
        limiter = ConcurrencyLimiter(4)
        while not limiter.tripped:
            entered = await limiter.enter()
            limiter.leave()
            limiter.record_failure(entered, status=500, wait=None)
        entered = await limiter.enter()
        limiter.leave()
        limiter.record_failure(entered, status=429, wait=2.0)
        assert not limiter.tripped
        assert await limiter.enter() == entered + 2.0

    run(main())
