"""Limits for a minute: those that the settings give, and those that the endpoint's headers tell."""

import math
import re
from collections import deque
from collections.abc import Mapping

MINUTE = 60.0
SLACK = 0.02
"""Seconds by which a call may be early, so that a timer that wakes late costs no throughput."""
UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(r"(\d+(?:\.\d*)?)(us|µs|ms|s|m|h|d)")
EPOCH = 1e9
"""A plain number as large as this is a date, not a duration."""
CAUTION = 0.95


class LeakyBucket:
    """A leaky bucket of requests or tokens that leaks at a changing rate.

    A call enters when what the calls before it took has leaked out. `per_minute` is kept in any
    60 s whatever the rate; a call that needs more than that waits for an empty minute.
    """

    def __init__(self, per_minute: int | None = None) -> None:
        self.per_minute = per_minute
        self._level = self._seen = 0.0
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def due(self, now: float, units: int, rate: float) -> float:
        """The time from which `units` may be taken if the bucket leaks `rate` a second."""
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
        """Takes `units`; to be called after `due` in the same instant."""
        if self.per_minute is not None:
            self._taken.append((now, units))
            self._sum += units
        elif rate == math.inf:
            return
        self._level += units


class HeaderRate:
    """The rate that the headers x-ratelimit-{limit,remaining,reset}-<unit> leave.

    Two kinds of server mean different things by `reset`. In a fixed window it is the time until
    the window ends, and `remaining / reset` the even pace to its end. With continuous refill
    (OpenAI, Groq) it is the time until the bucket is full, and at the pace `remaining / reset` the
    bucket stays half full. So that pace suits both. The floor below it is CAUTION of `limit` over
    the longest `reset` seen, which is never less than the quota of either kind.
    """

    def __init__(self, unit: str) -> None:
        self._limit_name, *self._names = (
            f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset")
        )
        self._texts: list[str | None] = []
        self._limit = self._pace = self._floor = math.inf
        self._longest = self._ends = 0.0

    def rate(self, now: float) -> float:
        """Units a second; infinite while nothing is known."""
        return self._pace if now < self._ends else self._floor

    def read(self, now: float, headers: Mapping[str, str]) -> bool:
        """Learns from one answer; says whether there was news. What cannot be read is none."""
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
            self._limit, self._longest = limit, 0.0
        self._longest = max(self._longest, reset)
        self._floor = CAUTION * limit / self._longest
        self._pace = max(remaining / reset, self._floor)
        self._ends = now + reset
        return True


def seconds(text: str | None) -> float | None:
    """ "6m0s", "2m59.56s", "120ms" or a plain number; None for anything else, dates included."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        parts = PART.findall(text)
        if not parts or "".join(amount + unit for amount, unit in parts) != text:
            return None
        return sum(float(amount) * UNITS[unit] for amount, unit in parts)
    return number if 0 <= number < EPOCH else None
