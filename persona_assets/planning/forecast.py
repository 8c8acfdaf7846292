"""What asking the models will come to: at most, from the settings, and about, from a sample.

Arithmetic alone; plan.py reads what it is done with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVEL = 0.9
"""Probability with which an interval holds the truth."""

REPLICATES = 1000

MOST_UNITS = 500
"""Units that are resampled: of a larger sample, sums over random blocks of its units are."""

MOST_UNSPREAD = 0.1
"""Share of an estimate that may rest on single units if it is to have an interval."""

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds between which the truth lies with probability LEVEL.

    The bounds are None where too much of it rests on samples of a single unit, which say nothing of
    their spread.
    """

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Quantity:
    """A quantity not yet known: its estimate, and replicates of what it may come to.

    draws: shape (REPLICATES,); the n-th of two quantities belong together, so sums keep what they
    have in common. unspread: the part of the estimate that rests on a single unit; replicates have
    it without a spread.
    """

    estimate: float
    draws: "Array"
    unspread: float = 0.0

    @classmethod
    def known(cls, value: float) -> "Quantity":
        """A quantity without uncertainty."""
        import numpy as np

        return cls(value, np.full(REPLICATES, float(value)))

    def within(self, most: float) -> "Quantity":
        """Itself, or, where its spread is not known, anything from 0 to a bound."""
        import numpy as np

        if not self.unspread:
            return self
        ends = np.array([0.0, max(most, self.estimate)])
        return Quantity(self.estimate, np.resize(ends, REPLICATES))

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(
            self.estimate + other.estimate,
            self.draws + other.draws,
            self.unspread + other.unspread,
        )

    def times(self, factor: float) -> "Quantity":
        """So many times this one."""
        return Quantity(factor * self.estimate, factor * self.draws, factor * self.unspread)

    def largest(self, other: "Quantity") -> "Quantity":
        """The larger of two."""
        import numpy as np

        return Quantity(
            max(self.estimate, other.estimate),
            np.maximum(self.draws, other.draws),
            self.unspread if self.estimate >= other.estimate else other.unspread,
        )

    def interval(self) -> Interval:
        """The percentile interval of the replicates."""
        import numpy as np

        if self.unspread > MOST_UNSPREAD * self.estimate:
            return Interval(self.estimate, None, None)
        low, high = np.quantile(self.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(
            self.estimate, min(self.estimate, float(low)), max(self.estimate, float(high))
        )


def to_come(
    amounts: "Array", sizes: "Array", of: Sequence[Quantity], chance: "np.random.Generator"
) -> list[Quantity]:
    """What is to come of each of k amounts, from n units of a sample.

    amounts: of each unit, shape (n, k). sizes: of the same units, shape (n, k); 0 where an amount
    was not taken of a unit. of: the size to come, one for each amount.

    Ratio estimates under the Bayesian bootstrap (Rubin, "The Bayesian Bootstrap", Annals of
    Statistics 9, 1981), whose weights never leave a unit out altogether. To each replicate is added
    what chance does to the units that are to come, normal with the residuals of the sample: the
    interval is one for what will be seen, not for its expectation. Deviations are stretched as
    Student's t stretches those of a small sample (after the expanded percentile interval of
    Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
    2015). All amounts share a replicate's weights, so their sum has the spread that it should have.
    """
    import numpy as np

    units = (sizes > 0).sum(axis=0)
    estimates = amounts.sum(axis=0) / sizes.sum(axis=0)
    if len(amounts) > MOST_UNITS:
        block = chance.permutation(len(amounts)) % MOST_UNITS
        amounts, sizes = _sums(amounts, block), _sums(sizes, block)
    weights = chance.exponential(size=(REPLICATES, len(amounts)))
    ratios = (weights @ amounts) / (weights @ sizes)
    luck = np.sqrt(weights) * chance.standard_normal(weights.shape)
    mass = weights @ (sizes > 0)
    residuals = (luck @ amounts - ratios * (luck @ sizes)) / np.sqrt(mass)
    a_unit = sizes.sum(axis=0) / (sizes > 0).sum(axis=0)
    ahead = np.stack([it.draws for it in of], axis=1)
    off = ahead * (ratios - estimates) + np.sqrt(ahead / a_unit) * residuals
    found: list[Quantity] = []
    for i, (size, estimate, count) in enumerate(zip(of, estimates.tolist(), units, strict=True)):
        draws = np.maximum(0.0, ahead[:, i] * estimate + _stretch(int(count)) * off[:, i])
        unspread = size.unspread if count > 1 else size.estimate
        found.append(Quantity(size.estimate * estimate, draws, unspread * estimate))
    return found


def _stretch(units: int) -> float:
    """By how much the interval of a sample is wider than the normal one of its bootstrap."""
    if units < 2:
        return 1.0
    return float((units / (units - 1)) ** 0.5 * _student(units - 1) / _Z)


def _sums(values: "Array", block: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> "Array":
    import numpy as np

    sums = np.zeros((MOST_UNITS, values.shape[1]))
    np.add.at(sums, block, values)
    return sums


def _student(freedom: int) -> float:
    """The quantile of Student's t at (1 + LEVEL) / 2, by Abramowitz and Stegun 26.7.5: 12 % short
    for one degree of freedom, 1 % for two.
    """
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + ((third / freedom + second) / freedom + first) / freedom
