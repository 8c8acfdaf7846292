"""A circuit breaker trips after failures in a row and then admits single probes."""

import math

from persona_assets.generation.limits.circuit_breaker import (
    LONGEST_PAUSE,
    THRESHOLD,
    CircuitBreaker,
)


def trip(breaker: CircuitBreaker, now: float = 0.0) -> None:
    for _ in range(THRESHOLD):
        breaker.record_entry(now)
        breaker.record_failure(now, now)
    assert breaker.tripped


def test_breaker_counts_calls_in_flight_together_once() -> None:
    breaker = CircuitBreaker(60.0)
    for _ in range(1000):
        breaker.record_failure(10.0, entered=9.0)
    assert breaker.failures == 1
    assert breaker.due(0) < 10.0


def test_response_between_failures_restarts_the_count() -> None:
    breaker = CircuitBreaker(60.0)
    for second in range(10 * THRESHOLD):
        breaker.record_failure(second, entered=second)
        if second % (THRESHOLD - 1) == THRESHOLD - 2:
            breaker.reset()
    assert not breaker.tripped


def test_tripped_breaker_admits_single_probes_after_doubling_pauses() -> None:
    breaker, now, pauses = CircuitBreaker(math.inf), 0.0, []
    trip(breaker)
    for _ in range(8):
        due = breaker.due(in_flight=5)
        pauses.append(due - now)
        breaker.record_entry(due)
        assert breaker.due(in_flight=6) == math.inf
        # The five calls in flight before the trip report its past state.
        breaker.record_failure(due + 0.5, entered=-1.0)
        assert breaker.due(in_flight=5) == math.inf
        now = due + 1.0
        breaker.record_failure(now, entered=due)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(pauses) == LONGEST_PAUSE


def test_breaker_admits_another_probe_after_a_probe_without_a_verdict() -> None:
    breaker = CircuitBreaker(60.0)
    trip(breaker)
    breaker.record_entry(1.0)
    assert breaker.due(in_flight=0) == 2.0


def test_response_closes_the_breaker_and_resets_its_pauses() -> None:
    breaker = CircuitBreaker(60.0)
    trip(breaker)
    for _ in range(3):
        due = breaker.due(0)
        breaker.record_entry(due)
        breaker.record_failure(due, due)
    breaker.reset()
    assert breaker.due(100) < 0
    trip(breaker, 50.0)
    assert breaker.due(0) == 51.0


def test_breaker_gives_up_after_its_patience_of_failed_probes() -> None:
    breaker, now = CircuitBreaker(100.0), 0.0
    trip(breaker)
    while not breaker.given_up:
        now = breaker.due(0)
        breaker.record_entry(now)
        breaker.record_failure(now, now)
        assert now <= 100.0 + LONGEST_PAUSE
    assert now >= 100.0
