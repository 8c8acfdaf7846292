"""Event loop of asyncio whose clock jumps to the next timer, so that hours pass in no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 86_400.0
"""Time at which the clock starts: not zero, as with real loops, which count from the boot."""


class _Clock(selectors.SelectSelector):
    """Selector that advances the clock where a real selector would sleep."""

    now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("all tasks wait, and no timer is set")
        self.now += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Event loop in virtual time from START, for tasks and timers but not sockets or threads."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time.

    Raises:
        RuntimeError: All tasks wait without a timer, so that a real loop would hang.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
