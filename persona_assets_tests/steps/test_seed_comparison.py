"""Models of several seeds: intervals cover the true difference, and seeds are no free problems."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp

from persona_assets.steps.comparison import Paired
from persona_assets.steps.seed_comparison import PairedBySeed, compare

Answers = np.ndarray[tuple[int, int], np.dtype[np.bool_]]


def results(solved: "np.ndarray[Any, Any]") -> list[dict[str, Any]]:
    return [{"problem_id": f"{n}", "correct": bool(each)} for n, each in enumerate(solved)]


def pair(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]") -> PairedBySeed:
    """Compare answers of the shape (seeds, problems)."""
    found = compare(*(dict(enumerate(map(results, side))) for side in (before, after)))
    assert isinstance(found, PairedBySeed)
    return found


def drawn(
    rng: np.random.Generator, of_seed: float, problems: int = 200, seeds: int = 3
) -> PairedBySeed:
    """Draw two equal groups of models, which differ from seed to seed by `of_seed`."""
    ability = rng.normal(0, 1, problems)
    sides = [
        ability + rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, 0.5, (seeds, problems))
        for _ in range(2)
    ]
    return PairedBySeed(*((side > 0).astype(np.float64) for side in sides))


@pytest.mark.parametrize("of_seed", [0.0, 0.2])
def test_equal_models_are_called_different_as_often_as_stated(of_seed: float) -> None:
    rng = np.random.default_rng(1)
    found = [drawn(rng, of_seed) for _ in range(400)]
    wrong = sum((each.p_value or 0.0) < 0.05 for each in found)
    # 20 are expected, with a standard deviation of 4.
    assert wrong < 34
    if of_seed:
        # Taken as independent problems, seeds would be called different far more often.
        pooled = (
            float(ttest_1samp((each.after - each.before).ravel(), 0).pvalue) for each in found
        )
        assert sum(p < 0.05 for p in pooled) > 80


def test_interval_is_that_of_the_problems_where_seeds_agree() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.random(400) < 0.4, rng.random(400) < 0.5
    found = pair(np.array([before] * 3), np.array([after] * 3))
    difference = after.astype(float) - before
    half = float(t.ppf(0.975, 399)) * float(difference.std(ddof=1)) / 20
    mean = float(difference.mean())
    assert found.interval == pytest.approx((mean - half, mean + half))
    assert found.p_value == pytest.approx(float(ttest_1samp(difference, 0).pvalue))


def test_two_seeds_that_disagree_show_nothing() -> None:
    before = np.zeros((2, 100), bool)
    after = np.array([[True] * 40 + [False] * 60, [True] * 5 + [False] * 95])
    found = pair(before, after)
    low, high = found.interval or (0.0, 0.0)
    assert low < 0 < high
    assert (found.difference, found.shares) == (0.225, (0.0, 0.225))
    assert "The data do not support a difference: 22.5 % against 0.0 %" in str(found)


def test_equal_answers_have_the_interval_of_a_single_comparison() -> None:
    same = np.array([[True, False] * 20] * 3)
    found, single = pair(same, same), Paired(20, 0, 0, 20)
    assert (found.interval, found.p_value, found.detectable) == (
        single.interval,
        single.p_value,
        single.detectable,
    )


shapes = st.tuples(st.integers(2, 4), st.integers(0, 9))


@given(shapes, st.randoms(use_true_random=False))
@example((3, 1), Random(144))
def test_turned_sides_turn_the_interval(shape: tuple[int, int], random: Any) -> None:
    before, after = (
        np.array([[random.random() < 0.5 for _ in range(shape[1])] for _ in range(shape[0])])
        for _ in range(2)
    )
    found, turned = pair(before, after), pair(after, before)
    if shape[1] == 0:
        assert (found.interval, found.p_value, found.difference) == (None, None, None)
        assert "no problem has a verdict on both" in str(found)
        return
    low, high = found.interval or (9.0, 9.0)
    assert -1 <= low <= (found.difference or 0.0) <= high <= 1
    assert turned.interval == pytest.approx((-high, -low))
    assert turned.p_value == pytest.approx(found.p_value)


def test_problems_without_a_verdict_anywhere_are_left_out() -> None:
    side = {seed: results(np.array([True, False, True])) for seed in (0, 1)}
    gap = {**side, 1: [{**side[1][0], "correct": None}, *side[1][1:]]}
    found = compare(side, gap)
    assert found is not None
    assert found.n == 2
    assert compare({0: side[0]}, {1: side[1]}) is None
    assert isinstance(compare({0: side[0]}, side), Paired)
