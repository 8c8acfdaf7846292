"""An asyncio event loop whose clock jumps to the next timer: hours of waiting in no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 86_400.0
"""Not zero, just as the clocks of real loops, which count from the machine's start."""


class _Clock(selectors.SelectSelector):
    """Where the loop would sleep, time passes instead."""

    now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for something that will never come")
        self.now += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at START. For tasks and timers alone: sockets and other threads are never heard."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run in virtual time. Raises RuntimeError where real time would stand still."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
