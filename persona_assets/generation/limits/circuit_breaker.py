"""The circuit breaker (Nygard, Release It!, 2007): an endpoint that is down is left alone."""

import math

THRESHOLD = 20
"""Failures in a row, with no answer between them. All calls that were in flight when the first was
seen count as one, however many they are: they say the same."""
PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a probe; doubled after each that fails."""


class CircuitBreaker:
    """Trips when nothing but failures comes; then one probe at a time may enter, until one is
    answered.

    given_up: probes have failed for `patience` seconds.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.failures = 0
        self.tripped = False
        self.given_up = False
        # When the first of the failures was seen; once tripped, when it did.
        self._since = 0.0
        self._pause = PAUSE
        self._next = 0.0
        self._probe: float | None = None

    def due(self, in_flight: int) -> float:
        """The time from which the next call may enter; infinite while a probe is out."""
        if not self.tripped:
            return -math.inf
        return self._next if self._probe is None or not in_flight else math.inf

    def entered(self, now: float) -> None:
        """A call enters: it is the probe, if the breaker has tripped."""
        if self.tripped:
            self._probe, self._next = now, now + self._pause

    def reset(self) -> None:
        """The endpoint answers."""
        self.failures, self.tripped, self.given_up = 0, False, False
        self._pause, self._probe = PAUSE, None

    def failed(self, now: float, entered: float) -> None:
        """The call that entered at `entered` found the endpoint failing."""
        if self.tripped:
            # The others were in flight before.
            if self._probe is not None and entered >= self._probe:
                self._pause = min(2.0 * self._pause, LONGEST_PAUSE)
                self._probe, self._next = None, now + self._pause
                self.given_up = now - self._since >= self.patience
        elif not self.failures:
            self.failures, self._since = 1, now
        elif entered >= self._since:
            self.failures += 1
            if self.failures >= THRESHOLD:
                self.tripped, self._since, self._next = True, now, now + self._pause
