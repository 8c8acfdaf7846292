"""Admission of attempts: the number of calls in flight and the rate at which calls start.

Additive increase, multiplicative decrease (Chiu and Jain, 1989) of the calls in flight: each
response adds 1/limit to the limit, each sign of overload multiplies the limit by 7/10, once for all
calls that were in flight together. After an outage each response adds 1, up to the limit after the
first decrease (slow start, RFC 5681). The rate comes from settings and headers (leaky_bucket.py) or
from 429 responses (adaptive_rate.py); a circuit breaker (circuit_breaker.py) stops calls to an
endpoint that is down.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping

from persona_assets.generation.limits.adaptive_rate import AdaptiveRate
from persona_assets.generation.limits.circuit_breaker import CircuitBreaker
from persona_assets.generation.limits.leaky_bucket import MINUTE, HeaderRate, LeakyBucket

DECREASE = 0.7
"""Factor of the limit at a sign of overload."""
OVERLOAD = frozenset({503, 529})
TIMEOUTS = frozenset({None, 408, 504})
"""Status codes of time-outs; None is a lost connection, which looks like a time-out."""
SPARSE = 10
"""Number of responses between two time-outs from which the calls, not the load, are the cause."""
LONGEST_HEADER_WAIT = 10.0
"""Longest wait in seconds caused by headers alone: headers may be wrong, a 429 is not."""
NO_HEADERS: Mapping[str, str] = {}


class ConcurrencyLimiter:
    """Limiter of calls in flight and of calls per second, first come, first served.

    At most `limit` calls are in flight, 1 <= limit <= ceiling, and no call enters during a pause.
    Limits per minute hold in any 60 s. A limiter belongs to a single event loop, and all times are
    of that loop's clock.

    Args:
        ceiling: Upper bound of the calls in flight.
        patience: Seconds of failing probes after which an endpoint that is down counts as `broken`.

    Attributes:
        limit: Current limit of calls in flight; a fraction between two integers rounds down.
        in_flight: Number of calls in flight.

    Example:
        >>> async def main():
        ...     limiter = ConcurrencyLimiter(8, requests_per_minute=600)
        ...     await limiter.enter()
        ...     limiter.leave()
        ...     limiter.record_response()
        ...     return limiter.in_flight, limiter.rate
        >>> asyncio.run(main())
        (0, 10.0)
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
        self._paused_until = self._last_decrease = -math.inf
        self._slow_start_limit = float(ceiling)
        # Number of responses: in all, at the last time-out, at the last outage.
        self._responses = self._responses_at_timeout = 0
        self._responses_at_outage = -1
        self._idle_since = 0.0
        self._requests, self._tokens = (
            LeakyBucket(requests_per_minute),
            LeakyBucket(tokens_per_minute),
        )
        self._header_requests, self._header_tokens = HeaderRate("requests"), HeaderRate("tokens")
        self._adaptive_rate = AdaptiveRate()
        self._breaker = CircuitBreaker(patience)
        self._queue: deque[asyncio.Future[None]] = deque()
        self._wake_up: asyncio.Future[None] | None = None
        self._wake_time = math.inf

    @property
    def broken(self) -> bool:
        """True if the endpoint has been down for longer than `patience`."""
        return self._breaker.given_up

    @property
    def tripped(self) -> bool:
        """True if the endpoint is down and only probes enter."""
        return self._breaker.tripped

    @property
    def rate(self) -> float | None:
        """Requests per second that may enter now, or None for no limit."""
        rate = self._request_rate(asyncio.get_running_loop().time())
        if self._requests.per_minute is not None:
            rate = min(rate, self._requests.per_minute / MINUTE)
        return rate if rate < math.inf else None

    async def enter(self, tokens: int = 0) -> float:
        """Wait for admission and return the time of entry.

        Args:
            tokens: Upper bound of the attempt's tokens, input and output together.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._queue or self._next(now, tokens) > now:
            now = await self._wait_in_queue(loop, tokens)
        elif not self.in_flight:
            self._adaptive_rate.record_idle(self._idle_since, now)
        self.in_flight += 1
        self._requests.take(now, 1, self._request_rate(now))
        self._tokens.take(now, tokens, self._header_tokens.rate(now))
        self._adaptive_rate.record_entry(now)
        self._breaker.record_entry(now)
        return now

    def leave(self) -> None:
        """Note that a call is no longer in flight."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle_since = asyncio.get_running_loop().time()
        self._wake()

    def record_response(self, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Note a normal response, whose headers may contain the endpoint's limits."""
        self._responses += 1
        if self.limit < self.ceiling:
            step = 1.0 if self.limit + 1.0 <= self._slow_start_limit else 1.0 / self.limit
            self.limit = min(float(self.ceiling), self.limit + step)
        if self._breaker.failures:
            self._breaker.reset()
        self._read_headers(headers)
        self._wake()

    def record_failure(
        self,
        entered: float,
        *,
        status: int | None,
        wait: float | None,
        headers: Mapping[str, str] = NO_HEADERS,
        connected: bool = True,
    ) -> None:
        """Note a 429, a 5xx, a time-out or a failed connection.

        Args:
            entered: Time at which the call entered.
            status: Status code; None without a response.
            wait: Retry-After in seconds.
            headers: Headers of the response.
            connected: False if no connection was made.
        """
        now = asyncio.get_running_loop().time()
        self._paused_until = max(self._paused_until, now + (wait or 0.0))
        self._read_headers(headers)
        if status == 429:
            self._paused_until = max(
                self._paused_until, self._adaptive_rate.record_refusal(now, entered, wait)
            )
            if self._breaker.tripped:
                self._breaker.reset()
        else:
            self._breaker.record_failure(now, entered, connected=connected)
            overloaded = status in OVERLOAD
            if status in TIMEOUTS:
                overloaded = self._responses - self._responses_at_timeout < SPARSE
                self._responses_at_timeout = self._responses
            if overloaded and entered >= self._last_decrease:
                self._decrease(now)
        self._wake()

    def _decrease(self, now: float) -> None:
        self._last_decrease = now
        self.limit = max(1.0, self.limit * DECREASE)
        if self._responses > self._responses_at_outage:
            # The first decrease of an outage.
            self._slow_start_limit, self._responses_at_outage = self.limit, self._responses

    def _read_headers(self, headers: Mapping[str, str]) -> None:
        now = asyncio.get_running_loop().time()
        requests = self._header_requests.read(now, headers)
        tokens = self._header_tokens.read(now, headers)
        if requests or tokens:
            self._wake(force=True)

    def _request_rate(self, now: float) -> float:
        return min(
            max(1 / LONGEST_HEADER_WAIT, self._header_requests.rate(now)),
            self._adaptive_rate.rate(now),
        )

    def _next(self, now: float, tokens: int) -> float:
        """Return the time from which the next call may enter; infinite until another event."""
        if self.in_flight >= int(self.limit):
            return math.inf
        token_rate = max(tokens / LONGEST_HEADER_WAIT, self._header_tokens.rate(now))
        return max(
            self._paused_until,
            self._breaker.due(self.in_flight),
            self._requests.due(now, 1, self._request_rate(now)),
            self._tokens.due(now, tokens, token_rate),
        )

    async def _wait_in_queue(self, loop: asyncio.AbstractEventLoop, tokens: int) -> float:
        turn = loop.create_future()
        self._queue.append(turn)
        try:
            if self._queue[0] is not turn:
                await turn
            while (due := self._next(now := loop.time(), tokens)) > now:
                self._wake_time, self._wake_up = due, loop.create_future()
                timer = loop.call_at(due, self._wake, True) if due < math.inf else None
                try:
                    await self._wake_up
                finally:
                    self._wake_up = None
                    if timer is not None:
                        timer.cancel()
            return now
        finally:
            self._queue.remove(turn)
            if self._queue and not self._queue[0].done():
                self._queue[0].set_result(None)

    def _wake(self, force: bool = False) -> None:
        """Let the first call in the queue check again, unless it already waits for a known time."""
        if (
            self._wake_up is not None
            and not self._wake_up.done()
            and (force or self._wake_time == math.inf)
        ):
            self._wake_up.set_result(None)
