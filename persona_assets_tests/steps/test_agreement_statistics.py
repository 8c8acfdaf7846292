"""Agreement beyond chance is Cohen's kappa, and its interval covers the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.agreement_statistics import (
    Contingency,
    Stratum,
    contingency,
    stratified_share,
)
from persona_assets.steps.grading import accuracy

VERDICTS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        # Feinstein and Cicchetti, J. Clin. Epidemiol. 43 (1990), tables 1 and 2.
        (Contingency(40, 9, 6, 45), 0.70),
        (Contingency(80, 10, 5, 5), 0.32),
        # Sim and Wright, Physical Therapy 85 (2005), table 2.
        (Contingency(22, 2, 4, 11), 0.67),
    ],
)
def test_kappa_is_that_of_published_examples(counts: Contingency, kappa: float) -> None:
    found = counts.kappa
    assert found is not None
    assert round(found.estimate, 2) == kappa
    assert found.low < found.estimate < found.high


def test_ac1_hardly_falls_with_prevalence() -> None:
    balanced, skewed = Contingency(40, 9, 6, 45).ac1, Contingency(80, 10, 5, 5).ac1
    assert balanced is not None
    assert skewed is not None
    assert (round(balanced, 2), round(skewed, 2)) == (0.70, 0.81)


@given(VERDICTS)
def test_kappa_is_at_most_the_agreement_and_symmetric(pairs: list[tuple[bool, bool]]) -> None:
    counts = contingency(pairs)
    swapped = contingency([(second, first) for first, second in pairs])
    agreement = counts.agreement.accuracy
    if counts.kappa is None or agreement is None or swapped.kappa is None:
        assert (counts.kappa, swapped.kappa) == (None, None)
        assert len({verdict for pair in pairs for verdict in pair}) < 2
        return
    assert counts.n == len(pairs)
    assert -1 <= counts.kappa.low <= counts.kappa.estimate <= counts.kappa.high <= 1
    assert counts.kappa.estimate <= agreement
    assert counts.kappa.estimate == pytest.approx(swapped.kappa.estimate)
    assert (counts.kappa.estimate == 1) == (agreement == 1)


@given(st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda it: len(set(it)) == 2))
def test_identical_raters_have_kappa_1_with_an_interval(verdicts: list[bool]) -> None:
    kappa = contingency(list(zip(verdicts, verdicts, strict=True))).kappa
    assert kappa is not None
    assert kappa.estimate == kappa.high == 1
    assert kappa.low < 1


@pytest.mark.parametrize("counts", [Contingency(0, 0, 0, 0), Contingency(7, 0, 0, 0)])
def test_kappa_without_two_verdicts_is_not_defined(counts: Contingency) -> None:
    assert counts.kappa is None
    assert "Cohen's kappa not defined" in str(counts)


@pytest.mark.parametrize("shares", [(0.93, 0.02, 0.02, 0.03), (0.4, 0.1, 0.1, 0.4)])
def test_interval_of_kappa_covers_the_truth(shares: tuple[float, ...]) -> None:
    by_chance = (shares[0] + shares[1]) * (shares[0] + shares[2]) + (shares[2] + shares[3]) * (
        shares[1] + shares[3]
    )
    truth = (shares[0] + shares[3] - by_chance) / (1 - by_chance)
    drawn = np.random.default_rng(1).multinomial(200, shares, 60)
    kappas = [Contingency(*map(int, counts)).kappa for counts in drawn]
    covered = sum(kappa is not None and kappa.low <= truth <= kappa.high for kappa in kappas)
    assert covered >= 53  # of a coverage of 95 %, fewer come up once in 100


def test_pair_that_lacks_a_verdict_is_left_out() -> None:
    assert contingency([(None, True), (False, None), (False, False)]) == Contingency(0, 0, 0, 1)


def test_share_of_fully_rated_strata_is_the_accuracy() -> None:
    share = stratified_share([Stratum(30, 30, 12), Stratum(0, 0, 0), Stratum(70, 70, 70)])
    figure = accuracy(82, 100)
    assert share is not None
    assert share == pytest.approx((figure.accuracy, figure.low, figure.high))


def test_share_is_unknown_where_a_stratum_was_not_rated() -> None:
    assert stratified_share([Stratum(30, 30, 12), Stratum(1, 0, 0)]) is None
    assert stratified_share([]) is None


def test_interval_of_a_stratified_share_covers_the_truth() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        # Of a model's answers 60 % pass the first grader; the second accepts 97 % and 4 % of each.
        passed = rng.binomial(500, 0.6)
        strata: list[Stratum] = []
        for size, accepted in ((passed, 0.97), (500 - passed, 0.04)):
            rated = size // 5
            yes = rng.binomial(rated, accepted)
            strata.append(Stratum(int(size), int(rated), int(yes)))
        share = stratified_share(strata)
        assert share is not None
        covered += share.low <= 0.6 * 0.97 + 0.4 * 0.04 <= share.high
    assert covered >= 276  # of a coverage of 95 %, fewer come up once in 100
