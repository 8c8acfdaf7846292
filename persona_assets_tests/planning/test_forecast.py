"""Intervals of a forecast hold the truth as often as they claim."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.planning.forecast import (
    LEVEL,
    MOST_UNITS,
    Interval,
    Quantity,
    to_come,
)

PILOTS = 200


def test_a_sample_of_one_has_no_interval_but_its_bound() -> None:
    one = np.array([[3.0]])
    [found] = to_come(one, np.ones_like(one), [Quantity.known(10)], np.random.default_rng(0))
    assert found.interval() == Interval(30, None, None)
    assert found.within(70).interval() == Interval(30, 0, 70)
    assert (found + Quantity.known(5000)).interval().low is not None
    assert (found + Quantity.known(5)).interval().low is None


def test_a_quantity_without_spread_is_itself() -> None:
    same = np.full((5, 1), 2.0)
    [found] = to_come(same, np.ones_like(same), [Quantity.known(10)], np.random.default_rng(0))
    for factor in (1, 0.5):
        interval = found.times(factor).interval()
        assert (interval.estimate, interval.low, interval.high) == pytest.approx((20 * factor,) * 3)
    assert found.largest(Quantity.known(30)).interval() == Interval(30, 30, 30)


@given(
    calls=st.lists(st.integers(0, 20), min_size=2, max_size=40).filter(any),
    ahead=st.integers(1, 10_000),
)
def test_the_interval_is_about_the_ratio_estimate(calls: list[int], ahead: int) -> None:
    amounts = np.array(calls, np.float64)[:, None]
    [found] = to_come(
        amounts, np.ones_like(amounts), [Quantity.known(ahead)], np.random.default_rng(0)
    )
    interval = found.interval()
    assert interval.estimate == pytest.approx(ahead * sum(calls) / len(calls))
    assert interval.low is not None
    assert interval.high is not None
    assert 0 <= interval.low <= interval.estimate <= interval.high


def test_what_was_not_asked_of_a_unit_says_nothing() -> None:
    amounts = np.array([[2.0, 1.0], [4.0, 0.0], [3.0, 0.0]])
    sizes = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    ahead = [Quantity.known(10), Quantity.known(10)]
    first, second = to_come(amounts, sizes, ahead, np.random.default_rng(0))
    assert (first.estimate, second.estimate) == (30, 10)
    assert first.interval().low is not None
    assert second.interval().low is None


def test_a_large_sample_is_resampled_in_blocks_to_the_same_spread() -> None:
    chance = np.random.default_rng(3)
    amounts = chance.poisson(4, (20 * MOST_UNITS, 1)).astype(np.float64)
    [found] = to_come(amounts, np.ones_like(amounts), [Quantity.known(1000)], chance)
    interval = found.interval()
    assert interval.low is not None
    assert interval.high is not None
    # 1000 texts of 4 calls each, give or take 2: a standard deviation of 63.
    assert interval.high - interval.low == pytest.approx(2 * 1.645 * 63, rel=0.15)


World = Callable[[np.random.Generator, int], Any]


def texts(chance: np.random.Generator, count: int) -> Any:
    """Calls of three assets that each text leads to: skewed, and large together."""
    return chance.poisson(chance.gamma(2, 0.5, (count, 1)) * np.array([1, 2, 0.5]))


def shards(chance: np.random.Generator, count: int) -> Any:
    """The same of shards of 20 texts, which differ from each other."""
    unlike = chance.gamma(4, 0.25, (count, 1, 1))
    each = chance.poisson(unlike * chance.gamma(2, 0.5, (count, 20, 1)) * np.array([1, 2, 0.5]))
    return each.sum(axis=1)


@pytest.mark.parametrize(
    ("world", "units", "size", "ahead"),
    [(texts, 10, 1, 300), (texts, 40, 1, 20), (shards, 8, 20, 60), (shards, 16, 20, 4)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    world: World, units: int, size: int, ahead: int
) -> None:
    held = np.zeros(5)
    claimed = np.zeros(5)
    for pilot in range(PILOTS):
        chance = np.random.default_rng(pilot)
        made, to_be = world(chance, units).astype(np.float64), world(chance, ahead)
        calls = to_come(
            made,
            np.full(made.shape, float(size)),
            [Quantity.known(ahead * size)] * 3,
            np.random.default_rng(0),
        )
        in_all = calls[0] + calls[1] + calls[2]
        # What a call costs, in units that do not matter: skewed too.
        costs = chance.lognormal(0, 0.7, (max(2, min(200, int(made.sum()))), 1))
        [cost] = to_come(costs, np.ones_like(costs), [in_all], np.random.default_rng(1))
        spent = chance.lognormal(0, 0.7, int(to_be.sum())).sum()
        truths = [*to_be.sum(axis=0), to_be.sum(), spent]
        for number, (quantity, truth) in enumerate(
            zip([*calls, in_all, cost], truths, strict=True)
        ):
            interval = quantity.interval()
            if interval.low is not None and interval.high is not None:
                claimed[number] += 1
                held[number] += interval.low <= truth <= interval.high
    assert (claimed >= 0.9 * PILOTS).all()
    coverage = held / claimed
    assert (coverage >= 0.8).all(), coverage
    # Nor do they cover themselves by being endless.
    assert coverage.mean() <= LEVEL + 0.06, coverage
