"""Accuracy with its uncertainty, and agreement between solvers.

Does not belong here: equality of answers; callers pass a function of type `Equal`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

SOLVERS = 3
"""Number of solutions per synthetic test problem (section 4.1.2)."""

Equal = Callable[[Sequence[tuple[str, str]]], list[bool | None]]
"""Equality of each (expected, given) pair of answers, in order; None if undecided."""

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Accuracy:
    """Share of correct answers with its 95 % Wilson score interval, all in [0, 1].

    `accuracy`, `low` and `high` are None for n = 0: a missing measurement is not a score of zero.
    """

    n: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.accuracy is None or self.low is None or self.high is None:
            return "not measured (n = 0)"
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.accuracy:.1f} % ({low:.1f} to {high:.1f}, n = {self.n:,})"


def accuracy(correct: int, n: int) -> Accuracy:
    """Return the accuracy of `correct` of `n` answers with its score interval.

    Interval of Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927).

    Raises:
        ValueError: `correct` is not between 0 and `n`.

    Example:
        >>> print(accuracy(81, 263))
        30.8 % (25.5 to 36.6, n = 263)
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} of {n} answers cannot be correct")
    if n == 0:
        return Accuracy(0, 0, None, None, None)
    share = correct / n
    return Accuracy(n, correct, share, *score_interval(share, n))


def score_interval(share: float, n: float) -> tuple[float, float]:
    """Return the 95 % score interval of Wilson for a share of `n` observations.

    Args:
        share: Observed share, in [0, 1].
        n: Number of observations, or of effective ones in a weighted sample.
    """
    z2 = _Z * _Z
    centre = share + z2 / (2 * n)
    spread = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    low = 0.0 if share == 0 else (centre - spread) / scale
    high = 1.0 if share == 1 else (centre + spread) / scale
    return low, high


def difference(a: Accuracy, b: Accuracy) -> tuple[float, float, float] | None:
    """Return the difference `b` minus `a` of two accuracies with its 95 % interval.

    Method 10 (hybrid score) of Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17 (1998). The method assumes independent
    samples; the answers of two models to the same problems are usually correlated, so that the
    interval errs on the wide side.

    Returns:
        Difference, low, high; None if either accuracy has n = 0.
    """
    if a.accuracy is None or a.low is None or a.high is None:
        return None
    if b.accuracy is None or b.low is None or b.high is None:
        return None
    gain = b.accuracy - a.accuracy
    below = sqrt((b.accuracy - b.low) ** 2 + (a.high - a.accuracy) ** 2)
    above = sqrt((b.high - b.accuracy) ** 2 + (a.accuracy - a.low) ** 2)
    return gain, max(gain - below, -1.0), min(gain + above, 1.0)


def equal_texts(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Compare answers as texts."""
    return [gold == given for gold, given in pairs]


def equal_by_rules_first(rules: Equal, judge: Equal) -> Equal:
    """Return a comparison that asks a judge only about pairs that rules cannot decide.

    Example:
        >>> asked = []
        >>> def rules(pairs):
        ...     return [True, False, None]
        >>> def judge(pairs):
        ...     asked.extend(pairs)
        ...     return [True] * len(pairs)
        >>> equal_by_rules_first(rules, judge)([("7", "7"), ("7", "8"), ("", "none")])
        [True, False, True]
        >>> asked
        [('', 'none')]
    """

    def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        verdicts = rules(pairs)
        asked = [place for place, same in enumerate(verdicts) if same is None]
        judged = judge([pairs[place] for place in asked])
        for place, verdict in zip(asked, judged, strict=True):
            verdicts[place] = verdict
        return verdicts

    return equal


class Agreement(NamedTuple):
    """Answer on which `votes` solvers agree, in the wording of the earliest of these solvers."""

    answer: str
    votes: int


def agreement(answers: Sequence[Sequence[str | None]], equal: Equal) -> list[Agreement | None]:
    """Return the answer on which at least two of three solvers agree (section 4.1.2), by problem.

    Equality need not be transitive: votes count the solvers that agree with the returned answer
    itself.

    Args:
        answers: Per problem up to three answers in the order of the solvers; None for a solver
            without an answer.
        equal: Equality, called once with all pairs (earlier solver, later solver); an undecided
            pair does not agree.

    Returns:
        Agreement per problem; None without an agreement.

    Raises:
        ValueError: A problem has more than three answers.
    """
    if any(len(row) > SOLVERS for row in answers):
        raise ValueError(f"agreement is defined for up to {SOLVERS} solvers a problem")
    counts = count_votes(answers, equal)
    return [_earliest(row, votes) for row, votes in zip(answers, counts, strict=True)]


def count_votes(answers: Sequence[Sequence[str | None]], equal: Equal) -> list[list[int]]:
    """Return for each answer to a problem the number of answers that equal it, itself included.

    Args:
        answers: Answers by problem; None for a missing answer, which has no votes.
        equal: Equality, called once with all pairs (earlier answer, later answer); an undecided
            pair does not agree. It is not called if there is no pair.

    Example:
        >>> count_votes([["7", "8", "7", None]], equal_texts)
        [[2, 1, 2, 0]]
    """
    places: list[tuple[int, int, int]] = []
    pairs: list[tuple[str, str]] = []
    for problem, row in enumerate(answers):
        given = [(place, text) for place, text in enumerate(row) if text is not None]
        for (first, gold), (second, other) in combinations(given, 2):
            places.append((problem, first, second))
            pairs.append((gold, other))
    verdicts = equal(pairs) if pairs else []
    votes = [[int(text is not None) for text in row] for row in answers]
    for (problem, first, second), same in zip(places, verdicts, strict=True):
        if same:
            votes[problem][first] += 1
            votes[problem][second] += 1
    return votes


def majority(votes: Sequence[int]) -> int | None:
    """Return the place of the first answer with the most votes; None if there is no majority.

    A single answer of several is none, and neither is a tie of answers that differ.

    Args:
        votes: Votes for each answer, as `count_votes` returns them.

    Example:
        >>> majority([1, 2, 2]), majority([2, 2, 2, 2, 1]), majority([1, 0]), majority([1])
        (1, None, None, 0)
    """
    most = max(votes, default=0)
    # Each of the equal answers has the votes of all of them.
    if most == 0 or votes.count(most) > most or (most == 1 and len(votes) > 1):
        return None
    return votes.index(most)


def _earliest(row: Sequence[str | None], votes: Sequence[int]) -> Agreement | None:
    """Return the first answer with at least two votes."""
    for answer, count in zip(row, votes, strict=True):
        if answer is not None and count > 1:
            return Agreement(answer, count)
    return None
