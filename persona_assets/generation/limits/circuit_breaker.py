"""Circuit breaker (Nygard, Release It!, 2007) that stops calls to an endpoint that is down."""

import math

THRESHOLD = 20
"""Number of consecutive failures that trips the breaker.

All calls in flight at the first failure count as a single failure: they met the same condition."""
FEW = 3
"""Number of consecutive failures that trips it if the last one made no connection."""

PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""First and longest pause before a probe, in seconds; the pause doubles after a failed probe."""


class CircuitBreaker:
    """Breaker that trips after consecutive failures and then admits a single probe at a time.

    A response resets the breaker. All times are seconds of the caller's clock.

    Args:
        patience: Seconds of failing probes after which the breaker gives up.

    Attributes:
        failures: Number of consecutive failures.
        tripped: True if only probes may enter.
        given_up: True if probes have failed for `patience` seconds.

    Example:
        >>> breaker = CircuitBreaker(patience=60.0)
        >>> for second in range(THRESHOLD):
        ...     breaker.record_entry(second)
        ...     breaker.record_failure(second, entered=second)
        >>> breaker.tripped, breaker.due(in_flight=0)
        (True, 20.0)
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.failures = 0
        self.tripped = False
        self.given_up = False
        # Time of the first failure or, once tripped, time of the trip.
        self._since = 0.0
        self._pause = PAUSE
        self._next_probe = 0.0
        self._probe: float | None = None

    def due(self, in_flight: int) -> float:
        """Return the time from which a call may enter; infinite while a probe is in flight."""
        if not self.tripped:
            return -math.inf
        return self._next_probe if self._probe is None or not in_flight else math.inf

    def record_entry(self, now: float) -> None:
        """Note that a call enters; if the breaker has tripped, that call is the probe."""
        if self.tripped:
            self._probe, self._next_probe = now, now + self._pause

    def reset(self) -> None:
        """Note a response: close the breaker and forget its pauses."""
        self.failures, self.tripped, self.given_up = 0, False, False
        self._pause, self._probe = PAUSE, None

    def record_failure(self, now: float, entered: float, *, connected: bool = True) -> None:
        """Note at `now` that the call which entered at `entered` failed.

        Args:
            now: Time of the failure.
            entered: Time of the call's entry.
            connected: False if no connection was made.
        """
        if self.tripped:
            # Any call that entered earlier reports the old outage.
            if self._probe is not None and entered >= self._probe:
                self._pause = min(2.0 * self._pause, LONGEST_PAUSE)
                self._probe, self._next_probe = None, now + self._pause
                self.given_up = now - self._since >= self.patience
        elif not self.failures:
            self.failures, self._since = 1, now
        elif entered >= self._since:
            self.failures += 1
            if self.failures >= (THRESHOLD if connected else FEW):
                self.tripped, self._since, self._next_probe = True, now, now + self._pause
