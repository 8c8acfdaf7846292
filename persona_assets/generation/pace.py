"""How many requests a second an endpoint bears, learnt from its 429 alone.

Sending goes in cycles: from the end of one pause to the next 429, the wall. What the endpoint let
through in between, and how fast calls went when it refused, give the limit. After the pause the
rate follows the curve of CUBIC (RFC 9438, section 4.2): from DECREASE of the limit fast up to near
it, slow around it, then ever faster beyond, since the limit may have risen. Two things differ,
because a rate is paced here, not a window of packets that are all alike: the time to the plateau
is so long that one wall in each cycle costs no more than SHARE of the requests, and the limit is
what was really delivered.
"""

import math

DECREASE = 0.9
SHARE = 0.01
"""Part of the requests that may be refused for the sake of knowing the limit."""
PAUSES = 20.0
"""The plateau lasts at least as many pauses: a Retry-After in whole seconds costs 5 %."""
PLATEAU = (1.0, 60.0)
"""Seconds, least and most, from the end of the pause to the plateau."""
BLIND = 4.0
"""The longest pause in seconds that is not the endpoint's own word."""
PAST = 0.25
"""What the cycles before count beside one new cycle."""
TOP = 0.75
"""How much the rate at the wall counts beside the mean of the cycle. The one is right where unused
quota is lost (short windows, small bursts), the other where it is saved up."""
TINY = 1e-3


class Pace:
    """Requests a second; infinite until the first 429. Times are in seconds of one clock."""

    def __init__(self) -> None:
        self.limit = math.inf
        self._plateau = self._plateau_before = PLATEAU[0]
        self._began = -math.inf
        self._entered = 0
        self._blind = False
        self._echo = TINY
        # The last cycle that got anything through: its beginning, its wall, the last 429 in vain
        # after that, the rate at the wall, and what was admitted and refused.
        self._start = self._wall = self._vain = 0.0
        self._top = math.inf
        self._admitted = self._refused = self._tries = 0
        self._past_admitted = self._past_span = 0.0

    def rate(self, now: float) -> float:
        """Requests a second that may be sent at `now`."""
        if self.limit == math.inf:
            return math.inf
        off = max(0.0, now - self._began) / self._plateau - 1.0
        rate = self.limit * (1.0 + (1.0 - DECREASE) * off**3)
        if self._blind and self._entered == 1:
            # Only the first 429 or its absence tells whether that pause was long enough.
            return min(rate, 1.0 / min(2.0, 3.0 * self._echo))
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

        wait: what Retry-After said, if anything. Without it pauses grow from the interval of two
        requests, doubling, as in any exponential backoff.
        """
        self._echo = max(now - entered, 0.9 * self._echo)
        until = now + wait if wait else -math.inf
        if entered < self._began:
            # One of those that were in flight at the wall.
            self._refused += 1
            self._admitted -= entered >= self._start
            if not self._entered:
                self._began = max(self._began, until)
        else:
            self._hit(now, wait)
            if not wait:
                patience = max(1.0 / self._fastest(), self._echo) * 2.0 ** min(self._tries, 16)
                until = now + min(BLIND, patience)
            self._began, self._entered = until, 0
        self._learn()
        return until

    def _hit(self, now: float, wait: float | None) -> None:
        self._vain, self._blind = now, not wait
        if self._entered == 1:
            self._refused += 1
            self._tries += 1
            return
        if self.limit < math.inf:
            self._past_admitted = PAST * (self._past_admitted + max(self._admitted, 0))
            self._past_span = PAST * (self._past_span + self._began - self._start)
        self._start, self._wall, self._top = self._began, now, self.rate(now)
        self._admitted, self._refused, self._tries = self._entered - 1, 1, 0
        self._plateau_before = self._plateau

    def _delivered(self) -> float:
        return max(1.0, self._past_admitted + self._admitted)

    def _fastest(self) -> float:
        """The rate at the wall, as far as it was made use of."""
        open_ = max(TINY, self._past_span + self._wall - self._start)
        return min(self._top, 2.0 * self._delivered() / open_)

    def _learn(self) -> None:
        """Sets the limit and the way to it from the last cycle.

        How much of the pause was needed is not known: with a window of a minute it belongs to the
        cycle, with a small burst and a Retry-After of whole seconds it does not. So the geometric
        mean of both readings is taken, where refusals in vain and half of a long Retry-After are
        held for needed.
        """
        pause = self._began - self._wall
        open_ = max(TINY, self._past_span + self._wall - self._start)
        whole = open_ + pause
        needed = open_ + self._vain - self._wall + max(0.0, self._began - self._vain - 2.0) / 2
        mean = self._delivered() / open_
        self.limit = self._fastest() ** TOP * mean ** (1 - TOP) * open_ / math.sqrt(needed * whole)
        cost = min(self._refused, 1.0 + self.limit * self._echo)
        plateau = max(cost / SHARE / self.limit, PAUSES * pause)
        least, most = PLATEAU
        self._plateau = min(most, max(least, min(plateau, 2.0 * max(whole, self._plateau_before))))
