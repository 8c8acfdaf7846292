import math

from persona_assets.generation.limits.circuit_breaker import (
    LONGEST_PAUSE,
    THRESHOLD,
    CircuitBreaker,
)


def trip(breaker: CircuitBreaker, now: float = 0.0) -> None:
    for _ in range(THRESHOLD):
        breaker.entered(now)
        breaker.failed(now, now)
    assert breaker.tripped


def test_calls_that_were_in_flight_together_count_once() -> None:
    breaker = CircuitBreaker(60.0)
    for _ in range(1000):
        breaker.failed(10.0, entered=9.0)
    assert breaker.failures == 1
    assert breaker.due(0) < 10.0


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(60.0)
    for moment in range(10 * THRESHOLD):
        breaker.failed(moment, entered=moment)
        if moment % (THRESHOLD - 1) == THRESHOLD - 2:
            breaker.reset()
    assert not breaker.tripped


def test_one_probe_at_a_time_after_pauses_that_double() -> None:
    breaker, now, pauses = CircuitBreaker(math.inf), 0.0, []
    trip(breaker)
    for _ in range(8):
        due = breaker.due(in_flight=5)
        pauses.append(due - now)
        breaker.entered(due)
        assert breaker.due(in_flight=6) == math.inf
        # The five that were in flight before say nothing of the endpoint now.
        breaker.failed(due + 0.5, entered=-1.0)
        assert breaker.due(in_flight=5) == math.inf
        now = due + 1.0
        breaker.failed(now, entered=due)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(pauses) == LONGEST_PAUSE


def test_a_probe_that_left_without_a_verdict_is_followed_by_another() -> None:
    breaker = CircuitBreaker(60.0)
    trip(breaker)
    breaker.entered(1.0)
    assert breaker.due(in_flight=0) == 2.0


def test_an_answer_opens_it_and_forgets_the_pauses() -> None:
    breaker = CircuitBreaker(60.0)
    trip(breaker)
    for _ in range(3):
        due = breaker.due(0)
        breaker.entered(due)
        breaker.failed(due, due)
    breaker.reset()
    assert breaker.due(100) < 0
    trip(breaker, 50.0)
    assert breaker.due(0) == 51.0


def test_it_gives_up_when_probes_have_failed_for_too_long() -> None:
    breaker, now = CircuitBreaker(100.0), 0.0
    trip(breaker)
    while not breaker.given_up:
        now = breaker.due(0)
        breaker.entered(now)
        breaker.failed(now, now)
        assert now <= 100.0 + LONGEST_PAUSE
    assert now >= 100.0
