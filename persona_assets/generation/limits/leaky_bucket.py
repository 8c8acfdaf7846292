"""Requests and tokens per minute: limits from the settings and from the endpoint's headers."""

import math
import re
from collections import deque
from collections.abc import Mapping

MINUTE = 60.0
SLACK = 0.02
"""Seconds by which a call may start early, so that late timers cost no throughput."""
UNIT_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(us|µs|ms|s|m|h|d)")
EPOCH = 1e9
"""Bound in seconds above which a plain number is a date, not a duration."""
CAUTION = 0.95
"""Share of the rate computed from headers that calls may use."""


class LeakyBucket:
    """Leaky bucket of requests or tokens whose leak rate may change with every call.

    A call enters when the units of all earlier calls have leaked out. In addition, no 60 s hold
    more than `per_minute` units, whatever the rate; a call that needs more waits for an empty
    minute. All times are seconds of the caller's clock.

    Args:
        per_minute: Limit of units in any 60 s; None for no limit.

    Example:
        >>> bucket = LeakyBucket(per_minute=100)
        >>> bucket.take(0.0, units=100, rate=math.inf)
        >>> bucket.due(1.0, units=1, rate=math.inf)
        60.0
    """

    def __init__(self, per_minute: int | None = None) -> None:
        self.per_minute = per_minute
        self._level = self._seen = 0.0
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def due(self, now: float, units: int, rate: float) -> float:
        """Return the time from which a call may take its units.

        Args:
            now: Current time.
            units: Units that the call needs.
            rate: Units per second that leak out, infinite for no limit.
        """
        due = -math.inf
        if self._level:
            if self.per_minute is not None:
                rate = min(rate, self.per_minute / MINUTE)
            if rate < math.inf:
                self._level -= min(self._level, (now - self._seen) * rate)
            else:
                self._level = 0.0
            due = now + self._level / rate - SLACK
        self._seen = now
        if self.per_minute is None:
            return due
        while self._taken and self._taken[0][0] + MINUTE <= now:
            self._sum -= self._taken.popleft()[1]
        excess = self._sum + units - self.per_minute
        for time, amount in self._taken:
            if excess <= 0:
                break
            due = max(due, time + MINUTE)
            excess -= amount
        return due

    def take(self, now: float, units: int, rate: float) -> None:
        """Take units; the caller has called `due` at the same instant."""
        if self.per_minute is not None:
            self._taken.append((now, units))
            self._sum += units
        elif rate == math.inf:
            return
        self._level += units


class HeaderRate:
    """Rate of requests or tokens that the headers x-ratelimit-{limit,remaining,reset}-<unit> allow.

    Servers of two kinds disagree on `reset`. With a fixed window, `reset` is the time until the
    window ends, and `remaining / reset` spends the rest evenly. With continuous refill (OpenAI,
    Groq), `reset` is the time until the bucket is full, and the rate `remaining / reset` keeps the
    bucket half full. So this rate suits both kinds. Its floor is CAUTION times `limit` over the
    longest `reset` seen, a quotient that is never less than the quota of either kind.

    Args:
        unit: Last part of the headers' names, "requests" or "tokens".

    Example:
        >>> rate = HeaderRate("requests")
        >>> names = [f"x-ratelimit-{part}-requests" for part in ("limit", "remaining", "reset")]
        >>> rate.read(0.0, dict(zip(names, ("300", "300", "60s"))))
        True
        >>> rate.rate(0.0)
        5.0
    """

    def __init__(self, unit: str) -> None:
        self._limit_name, *self._names = (
            f"x-ratelimit-{part}-{unit}" for part in ("limit", "remaining", "reset")
        )
        self._texts: list[str | None] = []
        self._limit = self._rate = self._floor = math.inf
        self._longest_reset = self._valid_until = 0.0

    def rate(self, now: float) -> float:
        """Return units per second; infinite until headers have been read."""
        return self._rate if now < self._valid_until else self._floor

    def read(self, now: float, headers: Mapping[str, str]) -> bool:
        """Read the headers of a response; return True if they are readable and have changed."""
        limit_text = headers.get(self._limit_name)
        if limit_text is None:
            return False
        texts = [limit_text, *map(headers.get, self._names)]
        if texts == self._texts:
            return False
        self._texts = texts
        limit, remaining, reset = map(seconds, texts)
        if not limit or not reset or remaining is None:
            return False
        if limit != self._limit:
            self._limit, self._longest_reset = limit, 0.0
        self._longest_reset = max(self._longest_reset, reset)
        self._floor = CAUTION * limit / self._longest_reset
        self._rate = max(remaining / reset, self._floor)
        self._valid_until = now + reset
        return True


def seconds(text: str | None) -> float | None:
    """Parse a duration such as "6m0s", "2m59.56s", "120ms" or "12"; None for other text and dates.

    Example:
        >>> seconds("6m0s"), seconds("120ms"), seconds("tomorrow")
        (360.0, 0.12, None)
    """
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        parts = DURATION_PART.findall(text)
        if not parts or "".join(amount + unit for amount, unit in parts) != text:
            return None
        return sum(float(amount) * UNIT_SECONDS[unit] for amount, unit in parts)
    return number if 0 <= number < EPOCH else None
