"""Request rate that an endpoint can sustain, estimated from its 429 responses alone.

Requests are sent in cycles. A cycle lasts from the end of a pause to the next 429, the wall. The
number of requests admitted in the cycle and the rate at the wall give the limit. After the pause
the rate follows the curve of CUBIC (RFC 9438, section 4.2): from DECREASE times the limit fast up
to near the limit, slowly around the limit, then ever faster beyond, since the limit may have risen.
Two details differ, because a rate is paced here, not a window of packets: the limit is the
throughput measured, and the time to the plateau is long enough that a wall in each cycle costs at
most SHARE of the requests. The constants were found by simulation; none of them is sharp.
"""

import math
from dataclasses import dataclass

DECREASE = 0.9
"""Factor of the limit at which a cycle starts."""
SHARE = 0.01
"""Share of the requests that may be refused for knowledge of the limit."""
PAUSES = 20.0
"""Least time to the plateau, in pauses: with 20, a Retry-After in whole seconds costs 5 %."""
SHORTEST, LONGEST, FEWEST = 1.0, 60.0, 50.0
"""Bounds of the time to the plateau, in seconds; the time of FEWEST requests per 429 replaces the
upper bound if it is longer."""
BACKOFF = 4.0
"""Longest pause in seconds that the endpoint did not ask for."""
PROBE = 2.0
"""Longest wait in seconds for the 429 of a probe."""
MEMORY = 60.0
"""Seconds of earlier cycles that still count: the longest quota window is a minute."""
TOP = 0.75
"""Weight of the rate at the wall relative to the mean rate of the cycle.

The rate at the wall is right if unused quota expires (short windows, small bursts), the mean rate
if unused quota accumulates."""
TINY = 1e-3
"""Lower bound in seconds for divisors."""


@dataclass(slots=True)
class _Cycle:
    """Cycle up to its wall.

    Args:
        began: Time of its start, at the end of a pause.
        wall: Time of its first 429.
        top: Rate at the wall, in requests per second.
        admitted: Number of requests admitted.
        past: Requests admitted before the cycle that still count, and the seconds they took.
    """

    began: float = 0.0
    wall: float = 0.0
    top: float = math.inf
    admitted: int = 0
    past: tuple[float, float] = (0.0, 0.0)

    @property
    def delivered(self) -> float:
        """Number of requests admitted, with those of the past."""
        return max(1.0, self.past[0] + self.admitted)

    @property
    def seconds(self) -> float:
        """Duration of the cycle and its past."""
        return max(TINY, self.past[1] + self.wall - self.began)

    @property
    def fastest(self) -> float:
        """Rate at the wall, bounded by twice the mean: a higher rate was allowed, but not used."""
        mean = self.delivered / self.seconds
        return mean if self.top == math.inf else min(self.top, 2.0 * mean)

    def remembered(self, until: float, mean: float) -> tuple[float, float]:
        """Return the past of the next cycle: the less it agrees with that cycle, the less of it.

        Args:
            until: End of the pause after this cycle.
            mean: Mean rate of the next cycle.
        """
        seconds = max(TINY, self.past[1] + until - self.began)
        ratio = mean * seconds / self.delivered
        keep = min(ratio, 1.0 / ratio, MEMORY / seconds)
        return keep * self.delivered, keep * seconds


class AdaptiveRate:
    """Sustainable request rate, infinite until the first 429.

    All times are seconds of the caller's clock.

    Attributes:
        limit: Estimated limit in requests per second.

    Example:
        >>> rate = AdaptiveRate()
        >>> rate.rate(0.0)
        inf
        >>> for tick in range(1000):
        ...     rate.record_entry(tick / 100)
        >>> resume = rate.record_refusal(10.0, entered=9.99, wait=None)
        >>> round(rate.limit)
        100
    """

    def __init__(self) -> None:
        self.limit = math.inf
        self._plateau = self._last_plateau = SHORTEST
        self._cycle_start = -math.inf
        self._entered = 0
        self._echo = TINY
        self._last_cycle = _Cycle()
        self._cycle_before: _Cycle | None = None
        # Since that wall: number of 429, number of pauses that proved too short, time of the last
        # 429 that began a pause. A pause is blind if its length is a guess: without a Retry-After,
        # or after a Retry-After that proved too short.
        self._refused = self._tries = 0
        self._pause_start = 0.0
        self._blind = False

    def rate(self, now: float) -> float:
        """Return the requests per second that may be sent at `now`."""
        if self.limit == math.inf:
            return math.inf
        off = max(0.0, now - self._cycle_start) / self._plateau - 1.0
        rate = self.limit * (1.0 + (1.0 - DECREASE) * off**3)
        if self._blind and self._entered == 1:
            # The first call after a blind pause is a probe; the next waits for its possible 429.
            return min(rate, 1.0 / self._probe_wait())
        return rate

    def record_entry(self, now: float) -> None:
        """Note that a request is sent."""
        if self._cycle_start == -math.inf:
            self._cycle_start = now
        self._entered += 1

    def record_idle(self, since: float, now: float) -> None:
        """Exclude an idle period, which holds no information on the endpoint, from the cycle."""
        self._cycle_start += now - max(since, self._cycle_start)

    def record_refusal(self, now: float, entered: float, wait: float | None) -> float:
        """Note a 429 and return the time before which no request should be sent.

        Without Retry-After, or if it proves too short, pauses start at the interval of two requests
        and double, as in any exponential backoff.

        Args:
            now: Time of the 429.
            entered: Time at which the request was sent.
            wait: Retry-After in seconds.
        """
        self._echo = max(now - entered, 0.9 * self._echo)
        until = now + (wait or 0.0)
        if entered < self._cycle_start:
            self._count_late_refusal(entered)
            if not self._entered:
                self._cycle_start = max(self._cycle_start, until)
        else:
            self._reach_wall(now)
            self._blind = not wait or self._tries > 0
            if self._blind:
                pause = max(1.0 / self._last_cycle.fastest, self._echo) * 2.0 ** min(
                    self._tries, 16
                )
                until = max(until, now + min(BACKOFF, pause))
            self._cycle_start, self._entered = until, 0
        self._update_limit()
        return until

    def _probe_wait(self) -> float:
        return min(PROBE, 3.0 * self._echo)

    def _reach_wall(self, now: float) -> None:
        """Handle a 429 for a call of this cycle: end the cycle, or repeat the pause before it."""
        self._pause_start = now
        if self._entered == 1 and self.limit < math.inf:
            self._refused += 1
            self._tries += 1
            return
        admitted, past = self._entered - 1, (0.0, 0.0)
        if self.limit < math.inf:
            self._cycle_before = self._last_cycle
            mean = admitted / max(TINY, now - self._cycle_start)
            past = self._last_cycle.remembered(self._cycle_start, mean)
        self._last_cycle = _Cycle(self._cycle_start, now, self.rate(now), admitted, past)
        self._refused, self._tries = 1, 0
        self._last_plateau = self._plateau

    def _count_late_refusal(self, entered: float) -> None:
        """Handle a 429 for a call that was in flight at the wall."""
        self._refused += 1
        if entered >= self._last_cycle.began:
            self._last_cycle.admitted -= 1
            if not self._last_cycle.admitted and self._cycle_before is not None:
                # The cycle admitted no request, so its pause was too short and the wall is older.
                self._last_cycle = self._cycle_before
                self._tries += 1

    def _update_limit(self) -> None:
        """Set the limit and the time to the plateau from the last cycle.

        The part of the pause that was needed is unknown: with a window of a minute the pause
        belongs to the cycle, with a small burst and a Retry-After of whole seconds it does not. So
        the limit is the geometric mean of both readings; pauses that proved too short and half of
        a long Retry-After count as needed.
        """
        last = self._last_cycle
        pause = self._cycle_start - last.wall
        needed = (
            self._pause_start
            - last.wall
            + max(0.0, self._cycle_start - self._pause_start - 2.0) / 2.0
        )
        share = last.seconds / math.sqrt((last.seconds + needed) * (last.seconds + pause))
        mean = last.delivered / last.seconds
        self.limit = last.fastest**TOP * mean ** (1.0 - TOP) * share
        cost = min(self._refused, 1.0 + self._tries + self.limit * self._echo)
        lost = pause + self._blind * self._probe_wait()
        plateau = max(cost / SHARE / self.limit, PAUSES * lost)
        # At most twice the time observed so far, so that the first walls follow each other fast.
        known = 2.0 * max(last.seconds + pause, self._last_plateau)
        longest = max(LONGEST, cost * FEWEST / self.limit)
        self._plateau = min(longest, max(SHORTEST, min(plateau, known)))
