"""How many requests a second an endpoint bears, learnt from its 429 alone.

Sending goes in cycles: from the end of one pause to the next 429, the wall. What the endpoint let
through in between, and how fast calls went when it refused, give the limit. After the pause the
rate follows the curve of CUBIC (RFC 9438, section 4.2): from DECREASE of the limit fast up to near
it, slow around it, then ever faster beyond, since the limit may have risen. Two things differ,
because a rate is paced here, not a window of packets: the limit is what was really delivered, and
the time to the plateau is so long that one wall in each cycle costs no more than SHARE of the
requests. The constants were found by simulation; none of them is sharp.
"""

import math
from dataclasses import dataclass

DECREASE = 0.9
SHARE = 0.01
"""Part of the requests that may be refused for the sake of knowing the limit."""
PAUSES = 20.0
"""The plateau comes after as many pauses at least: a Retry-After in whole seconds costs 5 %."""
SHORTEST, LONGEST, FEWEST = 1.0, 60.0, 50.0
"""Bounds of the time to the plateau, in seconds; the longest is FEWEST requests for each 429 where
that is more."""
BACKOFF = 4.0
"""The longest pause in seconds that is not the endpoint's own word."""
PROBE = 2.0
"""The longest wait in seconds for the 429 of a probe."""
MEMORY = 60.0
"""Seconds of earlier cycles that still count: limits are counted by the minute at most."""
TOP = 0.75
"""How much the rate at the wall counts beside the mean of the cycle. The one is right where unused
quota is lost (short windows, small bursts), the other where it is saved up."""
TINY = 1e-3


@dataclass(slots=True)
class _Cycle:
    """A cycle up to its wall. past: requests let through before it, and in how many seconds."""

    began: float = 0.0
    wall: float = 0.0
    top: float = math.inf
    admitted: int = 0
    past: tuple[float, float] = (0.0, 0.0)

    @property
    def delivered(self) -> float:
        return max(1.0, self.past[0] + self.admitted)

    @property
    def seconds(self) -> float:
        return max(TINY, self.past[1] + self.wall - self.began)

    @property
    def fastest(self) -> float:
        """The rate at the wall, as far as it was made use of."""
        mean = self.delivered / self.seconds
        return mean if self.top == math.inf else min(self.top, 2.0 * mean)

    def remembered(self, until: float, mean: float) -> tuple[float, float]:
        """The past of the next cycle, whose mean rate this is: the less of it the less it agrees.

        until: the end of the pause after this cycle.
        """
        seconds = max(TINY, self.past[1] + until - self.began)
        ratio = mean * seconds / self.delivered
        keep = min(ratio, 1.0 / ratio, MEMORY / seconds)
        return keep * self.delivered, keep * seconds


class AdaptiveRate:
    """Requests a second; infinite until the first 429. Times are in seconds of one clock."""

    def __init__(self) -> None:
        self.limit = math.inf
        self._plateau = self._last_plateau = SHORTEST
        self._began = -math.inf
        self._entered = 0
        self._echo = TINY
        self._last = _Cycle()
        self._before: _Cycle | None = None
        # Since that wall: 429 in all, pauses that proved too short, the time of the last of those.
        self._refused = self._tries = 0
        self._vain = 0.0
        self._blind = False

    def rate(self, now: float) -> float:
        """Requests a second that may be sent at `now`."""
        if self.limit == math.inf:
            return math.inf
        off = max(0.0, now - self._began) / self._plateau - 1.0
        rate = self.limit * (1.0 + (1.0 - DECREASE) * off**3)
        if self._blind and self._entered == 1:
            # The first call after such a pause is a probe, and its 429 must come before the next.
            return min(rate, 1.0 / self._probe())
        return rate

    def entered(self, now: float) -> None:
        """A request is sent."""
        if self._began == -math.inf:
            self._began = now
        self._entered += 1

    def idle(self, since: float, now: float) -> None:
        """There was nothing to send: that time says nothing of the endpoint."""
        self._began += now - max(since, self._began)

    def refused(self, now: float, entered: float, wait: float | None) -> float:
        """The request sent at `entered` met a 429; returns the time before which none should go.

        wait: what Retry-After said, if anything. Without it, or if it proves too short, pauses grow
        from the interval of two requests, doubling, as in any exponential backoff.
        """
        self._echo = max(now - entered, 0.9 * self._echo)
        until = now + (wait or 0.0)
        if entered < self._began:
            self._late(entered)
            if not self._entered:
                self._began = max(self._began, until)
        else:
            self._hit(now)
            self._blind = not wait or self._tries > 0
            if self._blind:
                pause = max(1.0 / self._last.fastest, self._echo) * 2.0 ** min(self._tries, 16)
                until = max(until, now + min(BACKOFF, pause))
            self._began, self._entered = until, 0
        self._learn()
        return until

    def _probe(self) -> float:
        return min(PROBE, 3.0 * self._echo)

    def _hit(self, now: float) -> None:
        """A 429 for a call of this cycle: it ends, or has not even begun."""
        self._vain = now
        if self._entered == 1 and self.limit < math.inf:
            self._refused += 1
            self._tries += 1
            return
        admitted, past = self._entered - 1, (0.0, 0.0)
        if self.limit < math.inf:
            self._before = self._last
            mean = admitted / max(TINY, now - self._began)
            past = self._last.remembered(self._began, mean)
        self._last = _Cycle(self._began, now, self.rate(now), admitted, past)
        self._refused, self._tries = 1, 0
        self._last_plateau = self._plateau

    def _late(self, entered: float) -> None:
        """A 429 for a call that was in flight at the wall."""
        self._refused += 1
        if entered >= self._last.began:
            self._last.admitted -= 1
            if not self._last.admitted and self._before is not None:
                # That cycle let nothing through, so its pause was in vain and the wall is older.
                self._last = self._before
                self._tries += 1

    def _learn(self) -> None:
        """Sets the limit and the way to it from the last cycle.

        How much of the pause was needed is not known: with a window of a minute it belongs to the
        cycle, with a small burst and a Retry-After of whole seconds it does not. So the geometric
        mean of both readings is taken, where refusals in vain and half of a long Retry-After are
        held for needed.
        """
        last = self._last
        pause = self._began - last.wall
        needed = self._vain - last.wall + max(0.0, self._began - self._vain - 2.0) / 2.0
        share = last.seconds / math.sqrt((last.seconds + needed) * (last.seconds + pause))
        mean = last.delivered / last.seconds
        self.limit = last.fastest**TOP * mean ** (1.0 - TOP) * share
        cost = min(self._refused, 1.0 + self._tries + self.limit * self._echo)
        lost = pause + self._blind * self._probe()
        plateau = max(cost / SHARE / self.limit, PAUSES * lost)
        # No longer than twice what was lived through: the first walls teach fast.
        known = 2.0 * max(last.seconds + pause, self._last_plateau)
        longest = max(LONGEST, cost * FEWEST / self.limit)
        self._plateau = min(longest, max(SHORTEST, min(plateau, known)))
