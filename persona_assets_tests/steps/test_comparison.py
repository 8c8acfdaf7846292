"""Two models on the same problems: published intervals, exact tests, and claims that n supports."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from persona_assets.steps.comparison import ALPHA, POWER, Paired, detectable_difference

counts = st.integers(0, 300)
pairs = st.builds(Paired, counts, counts, counts, counts)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Newcombe, "Improved confidence intervals ... paired data" (1998), table II, method 10
        ((36, 12, 2, 0), -0.3404, -0.0569),
        # Fagerland et al., "Recommended tests and confidence intervals for paired binomial
        # proportions", Statistics in Medicine 33 (2014): airway hyper-responsiveness
        ((1, 7, 1, 12), -0.507, -0.026),
    ],
)
def test_interval_is_the_published_one(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    digits = 5e-5 if table[0] == 36 else 5e-4
    assert Paired(*table).interval == pytest.approx((low, high), abs=digits)


@given(pairs)
def test_test_is_the_exact_binomial_one(pair: Paired) -> None:
    discordant = pair.only_before + pair.only_after
    if pair.n == 0:
        assert pair.p_value is None
    elif discordant:
        exact = binomtest(pair.only_before, discordant, 0.5).pvalue
        assert pair.p_value == pytest.approx(exact, rel=1e-9)
    else:
        assert pair.p_value == 1.0


@given(pairs)
def test_a_difference_is_claimed_only_if_test_and_interval_support_it(pair: Paired) -> None:
    text = str(pair)
    if pair.interval is None or pair.difference is None or pair.p_value is None:
        assert pair.n == 0
        assert "no problem has a verdict on both" in text
        return
    low, high = pair.interval
    assert -1 <= low <= pair.difference <= high <= 1
    supported = pair.p_value < ALPHA
    assert ("is higher" in text) == (supported and low > 0)
    assert ("is lower" in text) == (supported and high < 0)
    turned = Paired(pair.both, pair.only_after, pair.only_before, pair.neither)
    assert turned.interval == pytest.approx((-high, -low), abs=1e-12)
    assert turned.p_value == pair.p_value


@given(st.integers(0, 20_000), st.integers(0, 400))
def test_detectable_difference_falls_with_n_and_rises_with_disagreement(
    n: int, discordant: int
) -> None:
    discordant = min(n, discordant)
    found = detectable_difference(n, discordant)
    if found is None:
        assert n < 10
        return
    assert 0 < found <= 1
    more_problems = detectable_difference(2 * n, 2 * discordant)
    assert more_problems is not None
    assert more_problems <= found
    more_discordant = detectable_difference(n, n)
    assert more_discordant is None or more_discordant >= found - 1e-6


def test_detectable_difference_is_found_with_its_power() -> None:
    # 2,000 simulated comparisons of 500 problems, 100 of them discordant.
    n, share = 500, 0.2
    difference = detectable_difference(n, round(n * share))
    assert difference is not None
    draw, found = Random(12), 0
    for _ in range(2_000):
        drawn = [draw.random() for _ in range(n)]
        after = sum(value < (share + difference) / 2 for value in drawn)
        before = sum((share + difference) / 2 <= value < share for value in drawn)
        p_value = Paired(n - after - before, before, after, 0).p_value
        found += p_value is not None and p_value < ALPHA
    # The exact test is somewhat stricter than the approximation.
    assert POWER - 0.06 < found / 2_000 < POWER + 0.04


def test_pairs_are_problems_with_a_verdict_on_both_sides_each_once() -> None:
    before = {"a": True, "b": True, "c": False, "d": None, "e": True}
    after = {"a": True, "b": False, "c": True, "d": True, "f": True}
    first, second = (
        [{"problem_id": problem, "correct": correct} for problem, correct in results.items()]
        for results in (before, after)
    )
    assert Paired.of([*first, first[0]], second) == Paired(1, 1, 1, 0)


def test_sentence_shows_its_figures() -> None:
    assert str(Paired(2_000, 100, 400, 2_500)) == (
        "Accuracy is higher: 48.0 % against 42.0 % of the same 5,000 problems; +6.0 points, 95 % "
        "interval +5.1 to +6.9, exact McNemar test p below 0.001."
    )
    assert str(Paired(0, 0, 0, 6)).endswith(
        "p = 1.000; at this n a difference of 86.1 points is found in four of five cases."
    )
    # All five differ, and five coins fall alike in one of 16 cases.
    assert str(Paired(0, 0, 5, 0)).startswith("The data do not support a difference: 100.0 %")
