"""The circuit breaker (Nygard, Release It!, 2007): no calls to an endpoint that is down."""

import math

THRESHOLD = 20
"""Failures in a row; those that were in flight together when the first came count once."""
PAUSE = 1.0
PAUSE_MOST = 30.0


class Breaker:
    """Trips when nothing but failures comes, then lets one probe at a time through.

    The pause before a probe doubles from PAUSE to PAUSE_MOST seconds; any answer resets all.
    given_up: probes have failed for `patience` seconds.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.failures = 0
        self.tripped = False
        self.given_up = False
        self._since = 0.0
        self._pause = PAUSE
        self._next = 0.0
        self._probe = -math.inf

    def due(self, in_flight: int) -> float:
        """The time from which the next call may enter; infinite while a probe is out."""
        if not self.tripped:
            return -math.inf
        return math.inf if in_flight and self._probe > self._since else self._next

    def entered(self, now: float) -> None:
        """A call enters: if the breaker has tripped, it is the probe."""
        if self.tripped:
            self._probe, self._next = now, now + self._pause

    def reset(self) -> None:
        """The endpoint answers."""
        self.failures, self.tripped, self.given_up, self._pause = 0, False, False, PAUSE

    def failed(self, now: float, entered: float) -> None:
        """A call that entered at `entered` met a failure of the endpoint."""
        if self.tripped:
            if entered >= self._probe > self._since:
                self._pause = min(2 * self._pause, PAUSE_MOST)
                self._probe, self._next = -math.inf, now + self._pause
                self.given_up = now - self._since >= self.patience
        elif not self.failures:
            self.failures, self._since = 1, now
        elif entered >= self._since:
            self.failures += 1
            if self.failures >= THRESHOLD:
                self.tripped, self._since, self._next = True, now, now + self._pause
                self._probe = -math.inf
