"""Accuracies carry Wilson intervals; agreements need two of three solvers."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.grading import (
    Agreement,
    accuracy,
    agreement,
    count_votes,
    difference,
    equal_by_rules_first,
    equal_texts,
    majority,
)

counts = st.integers(0, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I: 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_accuracy_has_the_interval_of_wilson(correct: int, n: int, low: float, high: float) -> None:
    measured = accuracy(correct, n)
    assert measured.accuracy == correct / n
    assert measured.low == pytest.approx(low, abs=5e-5)
    assert measured.high == pytest.approx(high, abs=5e-5)


@given(counts)
def test_accuracy_interval_solves_the_score_equation(count: tuple[int, int]) -> None:
    # Each end p satisfies (share - p)^2 = z^2 p (1 - p) / n, unless clipped to 0 or 1.
    measured = accuracy(*count)
    if measured.accuracy is None or measured.low is None or measured.high is None:
        assert measured.n == 0
        return
    assert 0 <= measured.low <= measured.accuracy <= measured.high <= 1
    for end in {measured.low, measured.high} - {0.0, 1.0}:
        score = (measured.accuracy - end) ** 2 * measured.n
        assert score == pytest.approx(3.841458820694124 * end * (1 - end), abs=1e-9)


def test_accuracy_of_no_answers_is_not_zero() -> None:
    nothing = accuracy(0, 0)
    assert (nothing.accuracy, nothing.low, nothing.high) == (None, None, None)
    assert str(nothing) == "not measured (n = 0)"
    assert difference(nothing, accuracy(1, 2)) is None


@pytest.mark.parametrize(("correct", "n"), [(2, 1), (-1, 3), (0, -1)])
def test_accuracy_refuses_impossible_counts(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match="cannot be correct"):
        accuracy(correct, n)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe, "Interval estimation for the difference ..." (1998), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_difference_has_the_interval_of_newcombe(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    interval = difference(accuracy(*second), accuracy(*first))
    assert interval is not None
    assert interval[0] == pytest.approx(first[0] / first[1] - second[0] / second[1])
    assert interval[1:] == pytest.approx((low, high), abs=5e-5)


@given(counts, counts)
def test_difference_is_within_its_interval(before: tuple[int, int], after: tuple[int, int]) -> None:
    interval = difference(accuracy(*before), accuracy(*after))
    if interval is not None:
        assert -1 <= interval[1] <= interval[0] <= interval[2] <= 1


def same(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Compare without case; a pair with a question mark is undecided."""
    return [None if "?" in a + b else a.lower() == b.lower() for a, b in pairs]


@pytest.mark.parametrize(
    ("answers", "agreed"),
    [
        (["a", "A", "a"], Agreement("a", 3)),
        (["A", "a", "b"], Agreement("A", 2)),
        (["b", "a", "A"], Agreement("a", 2)),
        (["A", "b", "a"], Agreement("A", 2)),
        ([None, "a", "A"], Agreement("a", 2)),
        (["A", None, "a"], Agreement("A", 2)),
        (["a", "a"], Agreement("a", 2)),
        (["a", "b", "c"], None),
        (["a", None, None], None),
        ([None, None, None], None),
        (["?", "?", "a"], None),
        (["?", "a", "A"], Agreement("a", 2)),
        ([], None),
    ],
)
def test_agreement_needs_two_of_three_solvers(
    answers: list[str | None], agreed: Agreement | None
) -> None:
    assert agreement([answers], same) == [agreed]


def test_agreement_compares_all_pairs_in_a_single_call_earlier_solver_first() -> None:
    calls: list[list[tuple[str, str]]] = []

    def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        calls.append(list(pairs))
        return same(pairs)

    agreements = agreement([["a", "b", "A"], [None, "x", "y"], ["z"]], equal)
    assert agreements == [Agreement("a", 2), None, None]
    assert calls == [[("a", "b"), ("a", "A"), ("b", "A"), ("x", "y")]]


def test_votes_count_equality_with_the_stated_answer_alone() -> None:
    def near(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        return [abs(int(a) - int(b)) <= 1 for a, b in pairs]

    assert agreement([["1", "2", "3"]], near) == [Agreement("1", 2)]


def test_agreement_without_pairs_calls_no_comparison() -> None:
    def never(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        raise AssertionError(f"asked about {pairs}")

    assert agreement([], never) == []
    assert agreement([["a"], [None, "b"]], never) == [None, None]


def test_agreement_refuses_a_fourth_solver() -> None:
    with pytest.raises(ValueError, match="up to 3 solvers"):
        agreement([["a", "b", "c", "d"]], same)


def test_comparison_that_loses_a_verdict_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        agreement([["a", "a", "a"]], lambda pairs: [True])


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9))
def test_majority_is_the_answer_given_most_often_and_more_than_once(given_: list[str]) -> None:
    (votes,) = count_votes([given_], equal_texts)
    assert votes == [given_.count(answer) for answer in given_]
    chosen = majority(votes)
    ranking = Counter(given_).most_common(2)
    leads = len(ranking) == 1 or ranking[0][1] > ranking[1][1]
    if len(given_) > 1 and (ranking[0][1] == 1 or not leads):
        assert chosen is None
    else:
        assert chosen == given_.index(ranking[0][0])


def test_judge_is_asked_only_about_pairs_that_rules_cannot_decide() -> None:
    rules = {("1", "1"): True, ("1", "2"): False, ("1", "one"): None, ("2", "two"): None}
    verdicts = {("1", "one"): True, ("2", "two"): None}
    asked: list[tuple[str, str]] = []

    def judge(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        asked.extend(pairs)
        return [verdicts[pair] for pair in pairs]

    equal = equal_by_rules_first(lambda pairs: [rules[pair] for pair in pairs], judge)
    assert equal(list(rules)) == [True, False, True, None]
    assert asked == list(verdicts)
