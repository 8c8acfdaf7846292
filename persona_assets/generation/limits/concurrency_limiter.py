"""The gate through which every attempt goes: how many may be in flight, and how fast they go.

Additive increase, multiplicative decrease (Chiu and Jain, 1989) of the calls in flight: each
answer opens the gate by 1/limit, each sign of overload closes it to 7/10, once for all calls that
were in flight together. After an outage each answer opens it by 1, up to where it was closed first
(slow start, RFC 5681). How fast calls go is told by the settings and headers (bucket.py) or learnt
from 429 (pace.py); an endpoint that is down is left alone (breaker.py).
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping

from persona_assets.generation.limits.adaptive_rate import AdaptiveRate
from persona_assets.generation.limits.circuit_breaker import CircuitBreaker
from persona_assets.generation.limits.leaky_bucket import MINUTE, HeaderRate, LeakyBucket

DECREASE = 0.7
OVERLOAD = frozenset({503, 529})
SLOW = frozenset({None, 408, 504})
"""Time-outs, and lost connections, which look like them."""
SPARSE = 10
"""With so many answers between two of them, time-outs are put down to the calls, not to load."""
HOLD = 10.0
"""The longest in seconds that headers alone may hold a call: they may be wrong, a 429 is not."""
NOTHING: Mapping[str, str] = {}


class ConcurrencyLimiter:
    """At most `limit` calls in flight, 1 <= limit <= ceiling; none during a pause; first come,
    first served.

    Belongs to one event loop, whose clock all times are of. Limits for a minute hold for any 60 s.

    patience: seconds for which probes of an endpoint that is down may fail until `broken`.
    """

    def __init__(
        self,
        ceiling: int,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        patience: float = 600.0,
    ) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.in_flight = 0
        self._shut_until = self._slowed = -math.inf
        self._known_good = float(ceiling)
        # Answers in all, and how many there were at the last time-out and at the last overload.
        self._answers = self._answers_slow = 0
        self._answers_crowded = -1
        self._empty_since = 0.0
        self._requests, self._tokens = (
            LeakyBucket(requests_per_minute),
            LeakyBucket(tokens_per_minute),
        )
        self._told_requests, self._told_tokens = HeaderRate("requests"), HeaderRate("tokens")
        self._pace = AdaptiveRate()
        self._breaker = CircuitBreaker(patience)
        self._line: deque[asyncio.Future[None]] = deque()
        self._call: asyncio.Future[None] | None = None
        self._due = math.inf

    @property
    def broken(self) -> bool:
        """The endpoint was down for longer than `patience`."""
        return self._breaker.given_up

    @property
    def tripped(self) -> bool:
        """The endpoint is down; one probe at a time enters."""
        return self._breaker.tripped

    @property
    def rate(self) -> float | None:
        """Requests a second that may enter now, or None if nothing limits them."""
        rate = self._request_rate(asyncio.get_running_loop().time())
        if self._requests.per_minute is not None:
            rate = min(rate, self._requests.per_minute / MINUTE)
        return rate if rate < math.inf else None

    async def enter(self, tokens: int = 0) -> float:
        """Waits for a place, and returns the time at which it was taken.

        tokens: the most that the attempt may use, input and output together.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._line or self._next(now, tokens) > now:
            now = await self._stand_in_line(loop, tokens)
        elif not self.in_flight:
            self._pace.idle(self._empty_since, now)
        self.in_flight += 1
        self._requests.take(now, 1, self._request_rate(now))
        self._tokens.take(now, tokens, self._told_tokens.rate(now))
        self._pace.entered(now)
        self._breaker.entered(now)
        return now

    def leave(self) -> None:
        """Gives the place back."""
        self.in_flight -= 1
        if not self.in_flight:
            self._empty_since = asyncio.get_running_loop().time()
        self._wake()

    def answered(self, headers: Mapping[str, str] = NOTHING) -> None:
        """The endpoint answered as it should; the headers may tell its limits."""
        self._answers += 1
        if self.limit < self.ceiling:
            step = 1.0 if self.limit + 1.0 <= self._known_good else 1.0 / self.limit
            self.limit = min(float(self.ceiling), self.limit + step)
        if self._breaker.failures:
            self._breaker.reset()
        self._read(headers)
        self._wake()

    def complained(
        self,
        entered: float,
        *,
        status: int | None,
        wait: float | None,
        headers: Mapping[str, str] = NOTHING,
    ) -> None:
        """The call that entered at `entered` met a 429, a 5xx, a time-out or no connection.

        status: None if there was no response. wait: seconds of Retry-After.
        """
        now = asyncio.get_running_loop().time()
        self._shut_until = max(self._shut_until, now + (wait or 0.0))
        self._read(headers)
        if status == 429:
            self._shut_until = max(self._shut_until, self._pace.refused(now, entered, wait))
            if self._breaker.tripped:
                self._breaker.reset()
        else:
            self._breaker.failed(now, entered)
            crowded = status in OVERLOAD
            if status in SLOW:
                crowded = self._answers - self._answers_slow < SPARSE
                self._answers_slow = self._answers
            if crowded and entered >= self._slowed:
                self._narrow(now)
        self._wake()

    def _narrow(self, now: float) -> None:
        self._slowed = now
        self.limit = max(1.0, self.limit * DECREASE)
        if self._answers > self._answers_crowded:
            # The first of an outage, or the only one.
            self._known_good, self._answers_crowded = self.limit, self._answers

    def _read(self, headers: Mapping[str, str]) -> None:
        now = asyncio.get_running_loop().time()
        requests = self._told_requests.read(now, headers)
        tokens = self._told_tokens.read(now, headers)
        if requests or tokens:
            self._wake(force=True)

    def _request_rate(self, now: float) -> float:
        return min(max(1 / HOLD, self._told_requests.rate(now)), self._pace.rate(now))

    def _next(self, now: float, tokens: int) -> float:
        """The time from which the next call may enter; infinite until something happens."""
        if self.in_flight >= int(self.limit):
            return math.inf
        token_rate = max(tokens / HOLD, self._told_tokens.rate(now))
        return max(
            self._shut_until,
            self._breaker.due(self.in_flight),
            self._requests.due(now, 1, self._request_rate(now)),
            self._tokens.due(now, tokens, token_rate),
        )

    async def _stand_in_line(self, loop: asyncio.AbstractEventLoop, tokens: int) -> float:
        place = loop.create_future()
        self._line.append(place)
        try:
            if self._line[0] is not place:
                await place
            while (due := self._next(now := loop.time(), tokens)) > now:
                self._due, self._call = due, loop.create_future()
                timer = loop.call_at(due, self._wake, True) if due < math.inf else None
                try:
                    await self._call
                finally:
                    self._call = None
                    if timer is not None:
                        timer.cancel()
            return now
        finally:
            self._line.remove(place)
            if self._line and not self._line[0].done():
                self._line[0].set_result(None)

    def _wake(self, force: bool = False) -> None:
        """Has the first in line look again, if there is no time that it waits for."""
        if self._call is not None and not self._call.done() and (force or self._due == math.inf):
            self._call.set_result(None)
