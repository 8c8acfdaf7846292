"""Accuracy with its uncertainty, and agreement between solvers.

Nothing here decides whether two answers are equal: `equal` comes from the caller.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

SOLVERS = 3
"""Solutions to each synthetic test problem (section 4.1.2)."""

Equal = Callable[[Sequence[tuple[str, str]]], list[bool | None]]
"""Whether each (expected, given) pair of answers is equal, in order; None where undecided."""

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Accuracy:
    """A share of correct answers with its 95 % Wilson score interval, all in [0, 1].

    `accuracy`, `low` and `high` are None where n = 0: no answers are not a score of zero.
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
    """`correct` of `n` answers, with the score interval of Wilson, "Probable inference, the law of
    succession, and statistical inference", JASA 22 (1927).

    Raises ValueError unless 0 <= correct <= n.
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} of {n} answers cannot be correct")
    if n == 0:
        return Accuracy(0, 0, None, None, None)
    share, z2 = correct / n, _Z * _Z
    centre = share + z2 / (2 * n)
    spread = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    low = 0.0 if correct == 0 else (centre - spread) / scale
    high = 1.0 if correct == n else (centre + spread) / scale
    return Accuracy(n, correct, share, low, high)


def difference(a: Accuracy, b: Accuracy) -> tuple[float, float, float] | None:
    """`b` minus `a`: the difference of the two shares and its 95 % interval (low, high).

    Method 10 (hybrid score) of Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17 (1998). It takes the two samples as
    independent; two models that answer the same problems are usually closer than that, so the
    interval errs on the wide side. None where either has n = 0.
    """
    if a.accuracy is None or a.low is None or a.high is None:
        return None
    if b.accuracy is None or b.low is None or b.high is None:
        return None
    gain = b.accuracy - a.accuracy
    below = sqrt((b.accuracy - b.low) ** 2 + (a.high - a.accuracy) ** 2)
    above = sqrt((b.high - b.accuracy) ** 2 + (a.accuracy - a.low) ** 2)
    return gain, max(gain - below, -1.0), min(gain + above, 1.0)


def supported_improvement(a: Accuracy, b: Accuracy) -> str:
    """One plain sentence: how `b` (after) compares with `a` (before).

    It says "higher" or "lower" only where the interval of the difference excludes zero.
    """
    gap = difference(a, b)
    if gap is None:
        return f"The data do not support a difference: {a} against {b}."
    gain, low, high = (100 * x for x in gap)
    interval = f"{gain:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"
    if low > 0 or high < 0:
        return f"Accuracy is {'higher' if low > 0 else 'lower'}: {b} against {a}; {interval}."
    return f"The data do not support a difference: {b} against {a}; {interval}."


class Agreement(NamedTuple):
    """The answer that `votes` solvers agree on, in the words of the earliest of them."""

    answer: str
    votes: int


def agreement(answers: Sequence[Sequence[str | None]], equal: Equal) -> list[Agreement | None]:
    """What at least two of three solvers agree on (section 4.1.2), for each problem, or None.

    `answers` has one row for each problem: up to three answers in the order of the solvers, None
    where a solver gave none. `equal` is called once with all pairs (earlier, later solver); a pair
    that it cannot decide (None) does not agree. Equality need not be transitive, so the votes are
    those solvers who agree with the stated answer itself.

    Raises ValueError if a problem has more than three answers.
    """
    if any(len(row) > SOLVERS for row in answers):
        raise ValueError(f"agreement is defined for up to {SOLVERS} solvers a problem")
    places: list[tuple[int, int, int]] = []
    pairs: list[tuple[str, str]] = []
    for problem, row in enumerate(answers):
        given = [(solver, text) for solver, text in enumerate(row) if text is not None]
        for (first, gold), (second, other) in combinations(given, 2):
            places.append((problem, first, second))
            pairs.append((gold, other))
    verdicts = equal(pairs) if pairs else []
    votes = [[1] * len(row) for row in answers]
    for (problem, first, second), same in zip(places, verdicts, strict=True):
        if same:
            votes[problem][first] += 1
            votes[problem][second] += 1
    return [_earliest(row, counts) for row, counts in zip(answers, votes, strict=True)]


def _earliest(row: Sequence[str | None], votes: Sequence[int]) -> Agreement | None:
    """The first answer with at least two votes."""
    for answer, count in zip(row, votes, strict=True):
        if answer is not None and count > 1:
            return Agreement(answer, count)
    return None
