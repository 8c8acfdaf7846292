"""Estimates extrapolate a sample's ratio; their intervals contain the true value at LEVEL."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.planning.estimate import (
    LEVEL,
    MAX_UNITS,
    Interval,
    Quantity,
    extrapolate,
)

PILOTS = 200


def test_sample_of_one_unit_has_no_interval() -> None:
    amounts = np.array([[3.0]])
    [total] = extrapolate(
        amounts, np.ones_like(amounts), [Quantity.known(10)], np.random.default_rng(0)
    )
    assert total.interval() == Interval(30, None, None)


def test_sample_of_one_unit_may_spread_up_to_a_bound() -> None:
    amounts = np.array([[3.0]])
    [total] = extrapolate(
        amounts, np.ones_like(amounts), [Quantity.known(10)], np.random.default_rng(0)
    )
    assert total.with_fallback_spread(70).interval() == Interval(30, 0, 70)


def test_sum_has_an_interval_unless_much_of_it_rests_on_one_unit() -> None:
    amounts = np.array([[3.0]])
    [total] = extrapolate(
        amounts, np.ones_like(amounts), [Quantity.known(10)], np.random.default_rng(0)
    )
    assert (total + Quantity.known(5000)).interval().low is not None
    assert (total + Quantity.known(5)).interval().low is None


def test_equal_units_have_an_interval_of_no_width() -> None:
    amounts = np.full((5, 1), 2.0)
    [total] = extrapolate(
        amounts, np.ones_like(amounts), [Quantity.known(10)], np.random.default_rng(0)
    )
    for factor in (1, 0.5):
        interval = total.scale(factor).interval()
        assert (interval.estimate, interval.low, interval.high) == pytest.approx((20 * factor,) * 3)
    assert total.maximum(Quantity.known(30)).interval() == Interval(30, 30, 30)


@settings(derandomize=True, deadline=None)
@given(
    calls=st.lists(st.integers(0, 20), min_size=2, max_size=40).filter(any),
    ahead=st.integers(1, 10_000),
)
def test_interval_encloses_the_ratio_estimate(calls: list[int], ahead: int) -> None:
    amounts = np.array(calls, np.float64)[:, None]
    [total] = extrapolate(
        amounts, np.ones_like(amounts), [Quantity.known(ahead)], np.random.default_rng(0)
    )
    interval = total.interval()
    assert interval.estimate == pytest.approx(ahead * sum(calls) / len(calls))
    assert interval.low is not None
    assert interval.high is not None
    assert 0 <= interval.low <= interval.estimate <= interval.high


def test_unit_of_size_zero_does_not_count() -> None:
    amounts = np.array([[2.0, 1.0], [4.0, 0.0], [3.0, 0.0]])
    sizes = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    ahead = [Quantity.known(10), Quantity.known(10)]
    first, second = extrapolate(amounts, sizes, ahead, np.random.default_rng(0))
    assert (first.estimate, second.estimate) == (30, 10)
    assert first.interval().low is not None
    assert second.interval().low is None


def test_large_sample_in_blocks_has_the_spread_of_its_units() -> None:
    rng = np.random.default_rng(3)
    amounts = rng.poisson(4, (20 * MAX_UNITS, 1)).astype(np.float64)
    [total] = extrapolate(amounts, np.ones_like(amounts), [Quantity.known(1000)], rng)
    interval = total.interval()
    assert interval.low is not None
    assert interval.high is not None
    # 1000 texts of 4 calls with a standard deviation of 2 each: 63 for their sum.
    assert interval.high - interval.low == pytest.approx(2 * 1.645 * 63, rel=0.15)


Population = Callable[[np.random.Generator, int], Any]


def draw_texts(rng: np.random.Generator, count: int) -> Any:
    """Draw the calls of three assets per text, shape (count, 3): skewed, and correlated."""
    return rng.poisson(rng.gamma(2, 0.5, (count, 1)) * np.array([1, 2, 0.5]))


def draw_shards(rng: np.random.Generator, count: int) -> Any:
    """Draw the calls of three assets per shard of 20 texts, from shards that differ."""
    shard_rate = rng.gamma(4, 0.25, (count, 1, 1))
    calls = rng.poisson(shard_rate * rng.gamma(2, 0.5, (count, 20, 1)) * np.array([1, 2, 0.5]))
    return calls.sum(axis=1)


@pytest.mark.parametrize(
    ("population", "units", "size", "ahead"),
    [
        (draw_texts, 10, 1, 300),
        (draw_texts, 40, 1, 20),
        (draw_shards, 8, 20, 60),
        (draw_shards, 16, 20, 4),
    ],
)
def test_intervals_contain_the_true_value_at_their_level(
    population: Population, units: int, size: int, ahead: int
) -> None:
    covered = np.zeros(5)
    stated = np.zeros(5)
    for pilot in range(PILOTS):
        rng = np.random.default_rng(pilot)
        sample, coming = population(rng, units).astype(np.float64), population(rng, ahead)
        calls = extrapolate(
            sample,
            np.full(sample.shape, float(size)),
            [Quantity.known(ahead * size)] * 3,
            np.random.default_rng(0),
        )
        all_calls = calls[0] + calls[1] + calls[2]
        # Cost per call, in arbitrary units: skewed too.
        costs = rng.lognormal(0, 0.7, (max(2, min(200, int(sample.sum()))), 1))
        [cost] = extrapolate(costs, np.ones_like(costs), [all_calls], np.random.default_rng(1))
        true_cost = rng.lognormal(0, 0.7, int(coming.sum())).sum()
        truths = [*coming.sum(axis=0), coming.sum(), true_cost]
        quantities = [*calls, all_calls, cost]
        for number, (quantity, truth) in enumerate(zip(quantities, truths, strict=True)):
            interval = quantity.interval()
            if interval.low is not None and interval.high is not None:
                stated[number] += 1
                covered[number] += interval.low <= truth <= interval.high
    assert (stated >= 0.9 * PILOTS).all()
    coverage = covered / stated
    assert (coverage >= 0.8).all(), coverage
    # Intervals of any width would pass without an upper bound on their coverage.
    assert coverage.mean() <= LEVEL + 0.06, coverage
