"""The gate: how many calls may be in flight, learnt from the endpoint's complaints.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as in TCP: each answer opens the
gate by 1/limit, each complaint about load closes it to 7/10, once for all calls that were in flight
together.
"""

import asyncio
from collections import deque

DECREASE = 0.7


class Gate:
    """At most `limit` calls in flight, 1 <= limit <= ceiling, and none during a pause.

    Belongs to one event loop. Times are the loop's, in seconds.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.in_flight = 0
        self._shut_until = 0.0
        self._slowed = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> float:
        """Waits for a place and returns the time at which it was taken."""
        loop = asyncio.get_running_loop()
        while True:
            if (pause := self._shut_until - loop.time()) > 0:
                await asyncio.sleep(pause)
            elif self.in_flight >= int(self.limit):
                place = loop.create_future()
                self._waiting.append(place)
                await place
            else:
                self.in_flight += 1
                return loop.time()

    def leave(self) -> None:
        """Gives the place back."""
        self.in_flight -= 1
        free = int(self.limit) - self.in_flight
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1

    def widen(self) -> None:
        """An answer came: there is room for a little more."""
        self.limit = min(float(self.ceiling), self.limit + 1 / self.limit)

    def narrow(self, entered: float, pause: float) -> None:
        """A call that entered at `entered` met a complaint: less load, and none for `pause` s."""
        now = asyncio.get_running_loop().time()
        self._shut_until = max(self._shut_until, now + pause)
        if entered >= self._slowed:
            self.limit = max(1.0, self.limit * DECREASE)
            self._slowed = now
