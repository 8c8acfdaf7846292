"""Leaky buckets keep limits per minute and rates, and headers are read into rates."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation.limits.leaky_bucket import HeaderRate, LeakyBucket, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("120ms", 0.12),
        ("7.66ms", 0.00766),
        ("17us", 17e-6),
        ("1d2h", 93_600.0),
        ("12", 12.0),
        ("0.5", 0.5),
        ("0s", 0.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("5x3s", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("1700000000", None),
        ("2026-01-27T12:00:30Z", None),
    ],
)
def test_seconds_parses_durations_and_rejects_other_text(
    text: str | None, value: float | None
) -> None:
    assert seconds(text) == (None if value is None else pytest.approx(value))


CALLS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 150), st.floats(0.1, 1e6)), max_size=80)


@settings(deadline=None)
@given(CALLS)
def test_bucket_never_exceeds_its_limit_in_any_minute(
    calls: list[tuple[float, int, float]],
) -> None:
    bucket, now, taken = LeakyBucket(200), 1000.0, list[tuple[float, int]]()
    for pause, units, rate in calls:
        now += pause
        while (due := bucket.due(now, units, rate)) > now:
            now = due
        bucket.take(now, units, rate)
        taken.append((now, units))
        assert sum(units for time, units in taken if time + 60 > now) <= 200


def test_bucket_admits_more_than_its_limit_only_into_an_empty_minute() -> None:
    bucket = LeakyBucket(100)
    bucket.take(0.0, 10, 1e9)
    assert bucket.due(1.0, 500, 1e9) == 60.0
    assert bucket.due(60.0, 500, 1e9) <= 60.0


def test_bucket_spreads_units_at_the_present_rate() -> None:
    bucket, now = LeakyBucket(), 0.0
    for _ in range(100):
        now = max(now, bucket.due(now, 1, 10.0))
        bucket.take(now, 1, 10.0)
    assert now == pytest.approx(9.9, abs=0.1)
    assert bucket.due(now, 1, 1000.0) < now + 0.01


def test_bucket_keeps_its_throughput_with_late_timers() -> None:
    bucket, now = LeakyBucket(), 0.0
    for _ in range(1000):
        now = max(now, bucket.due(now, 1, 100.0) + 0.005)
        assert bucket.due(now, 1, 100.0) <= now
        bucket.take(now, 1, 100.0)
    assert now == pytest.approx(10.0, abs=0.1)


def rate_limit_headers(
    limit: Any, remaining: Any, reset: Any, unit: str = "requests"
) -> dict[str, str]:
    values = zip(("limit", "remaining", "reset"), (limit, remaining, reset), strict=True)
    return {f"x-ratelimit-{part}-{unit}": str(value) for part, value in values}


def test_header_rate_spends_a_window_evenly_to_its_end() -> None:
    rate = HeaderRate("requests")
    assert rate.rate(0.0) == float("inf")
    assert rate.read(0.0, rate_limit_headers(300, 300, "60s"))
    assert rate.rate(0.0) == 5.0
    assert rate.read(10.0, rate_limit_headers(300, 290, "50s"))
    assert rate.rate(10.0) == pytest.approx(5.8)
    assert rate.rate(61.0) == pytest.approx(5.0, rel=0.06)


def test_header_rate_of_an_empty_refilling_bucket_is_about_its_refill() -> None:
    rate = HeaderRate("tokens")
    assert rate.read(0.0, rate_limit_headers(6000, 0, "1m0s", "tokens"))
    assert 90.0 <= rate.rate(0.0) <= 100.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        rate_limit_headers(300, 10, "60s", "tokens"),
        rate_limit_headers("many", 3, "1s"),
        rate_limit_headers(300, 3, "tomorrow"),
        rate_limit_headers(300, "", "1s"),
        rate_limit_headers(0, 0, "60s"),
        rate_limit_headers(300, 300, "0s"),
        {"x-ratelimit-limit-requests": "300"},
    ],
)
def test_header_rate_ignores_unreadable_headers(headers: dict[str, str]) -> None:
    rate = HeaderRate("requests")
    assert not rate.read(0.0, headers)
    assert rate.rate(0.0) == float("inf")


def test_header_rate_reports_equal_headers_as_unchanged() -> None:
    rate = HeaderRate("requests")
    assert rate.read(0.0, rate_limit_headers(300, 100, "60s"))
    assert not rate.read(1.0, rate_limit_headers(300, 100, "60s"))
