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
    Limiter,
    TokenBucket,
    crowd,
    whole,
)
from persona_assets_tests.generation.virtual_time import START, run


def test_no_more_than_the_limit_are_in_and_all_get_through_in_order() -> None:
    async def main() -> None:
        gate, most, order = ConcurrencyLimiter(3), 0, list[int]()

        async def visit(number: int) -> None:
            nonlocal most
            await gate.enter()
            order.append(number)
            most = max(most, gate.in_flight)
            await asyncio.sleep(random.Random(number).random())
            gate.leave()

        await asyncio.gather(*map(visit, range(50)))
        assert (most, gate.in_flight) == (3, 0)
        assert order == list(range(50))

    run(main())


def test_one_burst_of_overload_narrows_once_and_answers_widen_again() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(10)
        burst = [await gate.enter() for _ in range(10)]
        await asyncio.sleep(1)
        for entered in burst:
            gate.leave()
            gate.complained(entered, status=503, wait=None)
        assert gate.limit == 7.0
        for _ in range(7):
            gate.answered()
        assert 7.9 < gate.limit < 8.0
        later = await gate.enter()
        gate.leave()
        gate.complained(later, status=529, wait=None)
        assert gate.limit < 5.7
        for _ in range(1000):
            gate.answered()
        assert gate.limit == 10.0

    run(main())


def test_after_an_outage_the_limit_is_soon_where_it_was() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(256)
        gate.answered()
        for _ in range(15):
            entered = await gate.enter()
            gate.leave()
            gate.complained(entered, status=503, wait=None)
            await asyncio.sleep(1)
        assert gate.limit < 2
        for _ in range(256):
            gate.answered()
        assert gate.limit > 0.69 * 256

    run(main())


@pytest.mark.parametrize(("between", "narrows"), [(2, True), (50, False)])
def test_time_outs_count_as_overload_when_many_calls_meet_them(between: int, narrows: bool) -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(64)
        for number in range(600):
            entered = await gate.enter()
            await asyncio.sleep(0.01)
            gate.leave()
            if number % between == between - 1:
                gate.complained(entered, status=None, wait=None)
            else:
                gate.answered()
        assert (gate.limit < 32) == narrows

    run(main())


def test_429_slows_the_rate_and_not_the_concurrency() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(10)
        assert gate.rate is None
        entered = await gate.enter()
        gate.leave()
        gate.complained(entered, status=429, wait=1.0)
        assert gate.limit == 10
        assert gate.rate is not None

    run(main())


def test_nobody_enters_during_a_pause_not_even_who_was_just_called() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(1)
        entered = await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(1)
        gate.leave()
        gate.complained(entered, status=500, wait=30.0)
        assert await waiting == START + 31

    run(main())


def test_who_is_cancelled_loses_no_place_and_no_tokens() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(1, requests_per_minute=600, tokens_per_minute=100)
        loop = asyncio.get_running_loop()
        await gate.enter(90)
        line = [asyncio.create_task(gate.enter(10)) for _ in range(3)]
        await asyncio.sleep(60)
        gate.leave()
        for task in line[:2]:
            task.cancel()
        assert await line[2] == loop.time() == START + 60
        gate.leave()
        assert await gate.enter(90) < START + 70
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await gate.enter(1)
        assert gate.in_flight == 1

    run(main())


def test_who_waits_enters_as_soon_as_an_answer_makes_room() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(2)
        for entered in [await gate.enter(), await gate.enter()]:
            gate.leave()
            gate.complained(entered, status=503, wait=None)
        await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(1)
        assert not waiting.done()
        gate.answered()
        assert await waiting == START + 1

    run(main())


def test_who_waits_enters_as_soon_as_headers_allow_it() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(8)
        for _ in range(2):
            await gate.enter(100)
            gate.answered(requests_left("1"))
        waiting = asyncio.create_task(gate.enter(100))
        await asyncio.sleep(1)
        assert not waiting.done()
        gate.answered(requests_left("1000000"))
        assert await waiting == START + 1

    run(main())


def requests_left(remaining: str) -> dict[str, str]:
    values = {"limit": "1000", "remaining": remaining, "reset": "1h"}
    return {f"x-ratelimit-{what}-requests": value for what, value in values.items()}


def lies(rng: random.Random) -> dict[str, str]:
    return {
        f"x-ratelimit-{what}-{unit}": rng.choice(["0", "1", "7", "1000000", "3s", "1ms", "x"])
        for what in ("limit", "remaining", "reset")
        for unit in ("requests", "tokens")
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(3, 300), st.integers(50, 5000), st.integers(0, 2**32))
def test_whatever_happens_the_rules_hold_and_nobody_is_forgotten(
    ceiling: int, requests: int, tokens: int, seed: int
) -> None:
    """Answers, complaints, pauses, headers that lie and callers who give up, at random."""
    rng = random.Random(seed)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gate = ConcurrencyLimiter(ceiling, requests, tokens, patience=math.inf)
        shut_until, number = 0.0, 0
        entries: list[tuple[float, int, int]] = []

        async def visit(number: int) -> None:
            nonlocal shut_until
            need = rng.randint(1, 50)
            try:
                async with asyncio.timeout(rng.choice([0.0, 1.0, 100.0, None, None, None])):
                    entered = await gate.enter(need)
            except TimeoutError:
                return
            assert entered == loop.time() >= shut_until
            assert gate.in_flight <= min(ceiling, max(1, gate.limit + 1))
            entries.append((entered, need, number))
            await asyncio.sleep(rng.expovariate(2.0))
            gate.leave()
            match rng.randrange(8):
                case 0 | 1 | 2:
                    status = rng.choice([429, 500, 503, 529, None])
                    wait = rng.choice([None, None, 0.0, 0.3, 5.0])
                    gate.complained(entered, status=status, wait=wait, headers=lies(rng))
                    shut_until = max(shut_until, loop.time() + (wait or 0.0))
                case 3:
                    pass
                case _:
                    gate.answered(lies(rng))

        visits = []
        for number in range(60):
            visits.append(asyncio.create_task(visit(number)))
            await asyncio.sleep(rng.choice([0.0, 0.0, 0.5]))
        await asyncio.gather(*visits)
        assert gate.in_flight == 0
        assert [number for _, _, number in entries] == sorted(number for _, _, number in entries)
        for time, _, _ in entries:
            minute = [need for other, need, _ in entries if other <= time < other + 60]
            assert len(minute) <= requests
            assert sum(minute) <= tokens

    run(main())


@pytest.mark.parametrize("latency", [0.05, 5.0])
@pytest.mark.parametrize(
    "limiter",
    [
        lambda: TokenBucket(5.0, 300.0),
        lambda: TokenBucket(5.0, 18_000.0, level=60.0),
        lambda: FixedWindow(5.0, 60.0, phase=25.0),
    ],
    ids=["refilled", "nearly empty", "window"],
)
def test_headers_tell_the_quota_before_any_429(
    limiter: Callable[[], Limiter], latency: float
) -> None:
    outcome = crowd(
        limiter(),
        concurrency=32,
        latency=latency,
        retry_after=whole,
        headers=True,
        warm_up=0.0,
        seconds=240.0,
    )
    assert outcome.goodput >= 4.5
    assert outcome.refused < 0.02


@pytest.mark.parametrize("reset", ["24h0m0s", "1s"])
def test_headers_alone_do_not_stall_a_run(reset: str) -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(4)
        headers = {
            f"x-ratelimit-{what}-{unit}": value
            for what, value in (("limit", "5"), ("remaining", "0"), ("reset", reset))
            for unit in ("requests", "tokens")
        }
        for _ in range(20):
            await gate.enter(2000)
            gate.leave()
            gate.answered(headers)
        assert asyncio.get_running_loop().time() <= START + 200

    run(main())


def test_limits_of_the_settings_are_used_to_nine_tenths() -> None:
    gate = ConcurrencyLimiter(16, requests_per_minute=120)
    outcome = crowd(
        TokenBucket(100.0, 100.0), gate=gate, concurrency=16, latency=1.0, warm_up=60, seconds=300
    )
    assert 1.8 <= outcome.goodput <= 2.0


def test_while_the_endpoint_is_down_callers_wait_and_one_probes() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        gate = ConcurrencyLimiter(64, patience=60.0)
        attempts, most = 0, 0
        back = START + 40.0

        async def call() -> None:
            nonlocal attempts, most
            while True:
                entered = await gate.enter()
                attempts += 1
                if gate.tripped:
                    most = max(most, gate.in_flight)
                await asyncio.sleep(0.01)
                gate.leave()
                if loop.time() >= back:
                    return gate.answered()
                gate.complained(entered, status=None, wait=None)
                await asyncio.sleep(random.Random(attempts).random())

        await asyncio.gather(*(call() for _ in range(64)))
        assert most == 1
        assert attempts < 64 + 64 + 64 + 10
        assert back <= loop.time() < back + 31 + 5
        assert not gate.broken
        assert not gate.tripped

    run(main())


def test_an_endpoint_that_stays_down_breaks_the_gate() -> None:
    async def main() -> float:
        gate = ConcurrencyLimiter(4, patience=60.0)
        while not gate.broken:
            entered = await gate.enter()
            await asyncio.sleep(0.1)
            gate.leave()
            gate.complained(entered, status=502, wait=None)
        return asyncio.get_running_loop().time()

    assert START + 60 <= run(main()) <= START + 100


def test_a_probe_that_is_told_to_slow_down_has_found_the_endpoint() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter(4)
        while not gate.tripped:
            entered = await gate.enter()
            gate.leave()
            gate.complained(entered, status=500, wait=None)
        entered = await gate.enter()
        gate.leave()
        gate.complained(entered, status=429, wait=2.0)
        assert not gate.tripped
        assert await gate.enter() == entered + 2.0

    run(main())
