import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Gate


def test_no_more_than_the_limit_are_in_and_all_get_through() -> None:
    async def main() -> None:
        gate, most = Gate(3), 0

        async def visit() -> None:
            nonlocal most
            await gate.enter()
            most = max(most, gate.in_flight)
            await asyncio.sleep(0)
            gate.leave()

        await asyncio.gather(*(visit() for _ in range(50)))
        assert (most, gate.in_flight) == (3, 0)

    asyncio.run(main())


def test_one_burst_of_complaints_narrows_once_and_answers_widen_again() -> None:
    async def main() -> None:
        gate = Gate(10)
        burst = [await gate.enter() for _ in range(10)]
        for entered in burst:
            gate.leave()
            gate.narrow(entered, 0.0)
        assert gate.limit == 7.0
        for _ in range(7):
            gate.widen()
        assert 7.9 < gate.limit < 8.0
        later = await gate.enter()
        gate.leave()
        gate.narrow(later, 0.0)
        assert gate.limit < 5.7
        for _ in range(1000):
            gate.widen()
        assert gate.limit == 10.0

    asyncio.run(main())


def test_nobody_enters_during_a_pause() -> None:
    async def main() -> None:
        gate = Gate(2)
        entered = await gate.enter()
        gate.leave()
        paused = asyncio.get_running_loop().time()
        gate.narrow(entered, 0.05)
        times = await asyncio.gather(gate.enter())
        assert times[0] >= paused + 0.05

    asyncio.run(main())


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.lists(st.booleans(), max_size=60))
def test_the_limit_stays_in_its_bounds_and_nobody_is_forgotten(
    ceiling: int, complaints: list[bool]
) -> None:
    async def main() -> None:
        gate = Gate(ceiling)

        async def visit(complains: bool) -> None:
            entered = await gate.enter()
            assert gate.in_flight <= ceiling
            await asyncio.sleep(0)
            gate.leave()
            if complains:
                gate.narrow(entered, 0.0)
            else:
                gate.widen()
            assert 1 <= gate.limit <= ceiling

        await asyncio.gather(*(visit(complains) for complains in complaints))
        assert gate.in_flight == 0

    asyncio.run(main())
