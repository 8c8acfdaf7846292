"""Half-samples give intervals that cover, and repeat no row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.half_samples import (
    LEAST,
    Interval,
    draw_samples,
    interval,
    interval_of_size,
    recentred,
)

ROWS, TRIALS = 60, 200


def coverage(size: int | None = None) -> float:
    """Return the share of trials in which the interval of a mean holds the true mean."""
    rng = np.random.default_rng(11)
    samples = draw_samples(ROWS, size or ROWS // 2)
    covered = 0
    for _ in range(TRIALS):
        data = rng.exponential(1.0, ROWS)
        draws = [float(data[rows].mean()) for rows in samples]
        if size is None:
            value = float(data.mean())
            found = interval(value, recentred(value, draws), ROWS)
        else:
            found = interval_of_size(draws, ROWS, size)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.0 <= found.high
    return covered / TRIALS


@pytest.mark.parametrize("size", [None, ROWS // 8, ROWS // 4])
def test_interval_covers_about_as_often_as_it_states(size: int | None) -> None:
    assert 0.88 <= coverage(size) <= 0.99


@settings(max_examples=30, derandomize=True)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 9))
def test_samples_are_ascending_rows_without_repeats(rows: int, size: int, seed: int) -> None:
    for sample in draw_samples(rows, min(rows, size), draws=3, seed=seed):
        assert len(sample) == min(rows, size)
        assert (np.diff(sample) > 0).all()
        assert set(sample.tolist()) <= set(range(rows))


def test_samples_of_a_seed_are_the_same_and_differ_from_each_other() -> None:
    first, second = draw_samples(40, 20, draws=2)
    assert first.tolist() != second.tolist()
    assert first.tolist() == draw_samples(40, 20, draws=2)[0].tolist()


def test_recentred_draws_have_the_value_as_their_mean() -> None:
    halves = [1.0, 2.0, 3.0]
    assert recentred(10.0, halves).tolist() == [9.0, 10.0, 11.0]
    assert recentred(10.0, halves, grows=True).tolist() == [5.0, 10.0, 15.0]
    assert recentred(0.5, [0.0, 0.0], grows=True).tolist() == [0.5, 0.5]


def test_few_rows_have_no_interval() -> None:
    draws = recentred(1.0, [0.9, 1.1])
    assert interval(1.0, draws, LEAST - 1) == Interval(1.0, None, None)
    assert interval(1.0, draws, LEAST).low is not None


def test_only_a_known_interval_excludes_zero() -> None:
    assert Interval(1.0, 0.5, 1.5).excludes_zero
    assert Interval(-1.0, -1.5, -0.5).excludes_zero
    assert not Interval(1.0, 0.0, 2.0).excludes_zero
    assert not Interval(1.0, None, None).excludes_zero
