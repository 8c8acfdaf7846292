"""Comparison of two models on the same problems: test, interval, and smallest detectable gain.

The answers of two models to the same problems are correlated, so that figures for independent
samples do not apply: all figures here derive from the table of agreement of the two models.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, ClassVar, Protocol

from persona_assets.steps.grading import score_interval

ALPHA = 0.05
"""Two-sided level of the test; intervals have the confidence 1 - ALPHA."""

POWER = 0.8
"""Probability with which a gain of the smallest detectable size is found."""

_Z = NormalDist().inv_cdf(1 - ALPHA / 2)
_Z_POWER = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Paired:
    """Results of two models on the same problems: a two by two table of counts.

    Attributes:
        both: Problems that both models solve.
        only_before: Problems that the first model alone solves.
        only_after: Problems that the second model alone solves.
        neither: Problems that neither solves.

    Example:
        >>> Paired(both=36, only_before=12, only_after=2, neither=0).difference
        -0.2
    """

    both: int
    only_before: int
    only_after: int
    neither: int
    test: ClassVar[str] = "exact McNemar test"

    @classmethod
    def of(
        cls, before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
    ) -> "Paired":
        """Pair results by problem; a problem without a verdict on either side is left out.

        A problem that a benchmark repeats counts once, by its first result.

        Args:
            before: Results of the first model, with `problem_id` and `correct`.
            after: Results of the second model.
        """
        first, second = verdicts_of(before), verdicts_of(after)
        pairs = [(first[problem], second[problem]) for problem in first if problem in second]
        return cls(
            pairs.count((True, True)),
            pairs.count((True, False)),
            pairs.count((False, True)),
            pairs.count((False, False)),
        )

    @property
    def n(self) -> int:
        """Number of problems."""
        return self.both + self.only_before + self.only_after + self.neither

    @property
    def shares(self) -> tuple[float, float] | None:
        """Accuracy of the first and of the second model; None for n = 0."""
        if self.n == 0:
            return None
        return (self.both + self.only_before) / self.n, (self.both + self.only_after) / self.n

    @property
    def difference(self) -> float | None:
        """Accuracy of the second model minus that of the first; None for n = 0."""
        return (self.only_after - self.only_before) / self.n if self.n else None

    @property
    def p_value(self) -> float | None:
        """Two-sided p-value of McNemar's test in its exact form; None for n = 0.

        McNemar, "Note on the sampling error of the difference between correlated proportions or
        percentages", Psychometrika 12 (1947). Of the problems that one model alone solves, half
        are expected on each side; the binomial distribution needs no approximation at any n.
        """
        if self.n == 0:
            return None
        discordant = self.only_before + self.only_after
        fewer = min(self.only_before, self.only_after)
        tail, ways = 0, 1
        for taken in range(fewer + 1):
            tail += ways
            ways = ways * (discordant - taken) // (taken + 1)
        return min(1.0, 2 * tail / (1 << discordant))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of 95 % of the difference; None for n = 0.

        Method 10 of Newcombe, "Improved confidence intervals for the difference between binomial
        proportions based on paired data", Statistics in Medicine 17 (1998): score intervals of both
        shares, joined with their correlation, which is corrected for continuity.
        """
        if self.shares is None:
            return None
        before, after = self.shares
        low_before, high_before = score_interval(before, self.n)
        low_after, high_after = score_interval(after, self.n)
        below = _joined(after - low_after, high_before - before, self._correlation)
        above = _joined(high_after - after, before - low_before, self._correlation)
        return max(after - before - below, -1.0), min(after - before + above, 1.0)

    @property
    def _correlation(self) -> float:
        margins = (
            (self.both + self.only_before)
            * (self.only_after + self.neither)
            * (self.both + self.only_after)
            * (self.only_before + self.neither)
        )
        if margins == 0:
            return 0.0
        product = self.both * self.neither - self.only_before * self.only_after
        corrected = max(product - self.n / 2, 0.0) if product > 0 else float(product)
        return corrected / sqrt(margins)

    @property
    def detectable(self) -> float | None:
        """Smallest difference that as many problems show in four of five cases; None if none.

        See `detectable_difference`; the share of discordant problems is that of this table.
        """
        return detectable_difference(self.n, self.only_before + self.only_after)

    @property
    def sample(self) -> str:
        """The problems in words."""
        return f"the same {self.n:,} problems"

    def __str__(self) -> str:
        return verdict(self)


class Compared(Protocol):
    """Comparison of two models, or of models of several seeds, on the same problems.

    Attributes:
        n: Number of problems.
        shares: Accuracy before and after; None for n = 0.
        difference: The second minus the first.
        interval: Interval of 95 % of the difference.
        p_value: Two-sided p-value of equality.
        detectable: Smallest difference that is found in four of five cases; None if none.
        test: Name of the test.
        sample: The problems in words.
    """

    @property
    def n(self) -> int: ...
    @property
    def shares(self) -> tuple[float, float] | None: ...
    @property
    def difference(self) -> float | None: ...
    @property
    def interval(self) -> tuple[float, float] | None: ...
    @property
    def p_value(self) -> float | None: ...
    @property
    def detectable(self) -> float | None: ...
    @property
    def test(self) -> str: ...
    @property
    def sample(self) -> str: ...


def is_supported(pair: Compared, corrected: float | None = None) -> bool:
    """Return True if the test rejects equality and the interval excludes zero.

    Args:
        pair: Comparison.
        corrected: P-value that is corrected for the number of comparisons; None for a single one.
    """
    p = pair.p_value if corrected is None else corrected
    if pair.interval is None or p is None:
        return False
    low, high = pair.interval
    return p < ALPHA and (low > 0 or high < 0)


def figures(pair: Compared, corrected: float | None = None) -> str:
    """Return the accuracies and their difference in words, with interval and test.

    Args:
        pair: Comparison with n > 0.
        corrected: See `is_supported`.
    """
    before, after = (100 * share for share in pair.shares or (0.0, 0.0))
    low, high = (100 * end for end in pair.interval or (0.0, 0.0))
    several = "" if corrected is None else f", corrected p {shown_p(corrected)}"
    return (
        f"{after:.1f} % against {before:.1f} % of {pair.sample}; {after - before:+.1f} points, "
        f"95 % interval {low:+.1f} to {high:+.1f}, {pair.test} p {shown_p(pair.p_value or 0.0)}"
        f"{several}"
    )


def verdict(pair: Compared, corrected: float | None = None) -> str:
    """Return a comparison in words, which claims a difference only where it is supported.

    Args:
        pair: Comparison.
        corrected: See `is_supported`.
    """
    if pair.interval is None:
        return "The data do not support a difference: no problem has a verdict on both."
    if is_supported(pair, corrected):
        word = "higher" if pair.interval[0] > 0 else "lower"
        return f"Accuracy is {word}: {figures(pair, corrected)}."
    found = figures(pair, corrected)
    return f"The data do not support a difference: {found}; {power(pair)}."


def power(pair: Compared) -> str:
    """Return in words the smallest difference that the comparison would show."""
    if pair.detectable is None:
        return "at this n no difference could be found"
    points = 100 * pair.detectable
    return f"at this n a difference of {points:.1f} points is found in four of five cases"


def detectable_difference(n: int, discordant: int) -> float | None:
    """Return the smallest difference that McNemar's test finds with a probability of POWER.

    Approximation of Connor, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43 (1987), solved for the difference.

    Args:
        n: Number of problems.
        discordant: Number of problems that one model alone solves. A difference cannot exceed
            their share: where it would, all of them are taken to be on one side.

    Returns:
        Difference of two accuracies, in (0, 1]; None if n is too small for any.

    Example:
        >>> f"{detectable_difference(5000, 1000):.3f}", detectable_difference(5, 1)
        ('0.018', None)
    """
    if n == 0:
        return None
    share = discordant / n

    def shows(difference: float) -> bool:
        of_one_side = max(share, difference)
        spread = sqrt(max(of_one_side - difference * difference, 0.0))
        return (_Z * sqrt(of_one_side) + _Z_POWER * spread) ** 2 <= n * difference * difference

    # With all n problems on one side the exact test must still be able to reject.
    if not shows(1.0) or 2 / (1 << n) >= ALPHA:
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def shown_p(p: float) -> str:
    """Return a p-value with three digits, or as below a thousandth.

    >>> shown_p(0.0123), shown_p(1e-9)
    ('= 0.012', 'below 0.001')
    """
    return f"= {p:.3f}" if p >= 0.001 else "below 0.001"


def _joined(first: float, second: float, correlation: float) -> float:
    """Return the length of two deviations with a correlation."""
    square = first * first - 2 * correlation * first * second + second * second
    return sqrt(max(square, 0.0))


def verdicts_of(results: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Return the verdict on each problem that has one, the first where a problem is repeated."""
    verdicts: dict[str, bool] = {}
    for result in results:
        if result["correct"] is not None:
            verdicts.setdefault(result["problem_id"], result["correct"])
    return verdicts
