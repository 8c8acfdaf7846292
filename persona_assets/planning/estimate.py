"""Estimates with intervals: ratios of a sample, extrapolated to the units still to come.

Belongs here: arithmetic alone. plan.py applies the functions to calls, tokens, money and time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVEL = 0.9
"""Probability with which an interval contains the true value."""

REPLICATES = 1000
"""Number of bootstrap replicates."""

MAX_UNITS = 500
"""Most units that are resampled. A larger sample is resampled as sums over random blocks of units.
"""

MAX_SINGLE_UNIT_SHARE = 0.1
"""Largest share of an estimate that may rest on single units if it is to have an interval."""

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds that contain the true value with probability LEVEL.

    The bounds are None if too much of the estimate rests on samples of a single unit, which hold no
    information about their spread.
    """

    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Quantity:
    """An unknown quantity: its estimate and replicates of its possible values.

    Attributes:
        estimate: Point estimate.
        replicates: Possible values, shape (REPLICATES,). Entry i of two quantities comes from the
            same replicate, so a sum keeps the correlation of its terms.
        from_single_units: Part of the estimate that rests on samples of a single unit. It has no
            spread in the replicates.
    """

    estimate: float
    replicates: "Array"
    from_single_units: float = 0.0

    @classmethod
    def known(cls, value: float) -> "Quantity":
        """Return a quantity without uncertainty."""
        import numpy as np

        return cls(value, np.full(REPLICATES, float(value)))

    def with_fallback_spread(self, bound: float) -> "Quantity":
        """Spread a quantity of unknown spread from 0 to a bound; return any other unchanged."""
        if not self.from_single_units:
            return self
        return self.spread_to(bound)

    def spread_to(self, bound: float) -> "Quantity":
        """Spread a quantity from 0 to a bound: nothing else is known about it."""
        import numpy as np

        ends = np.array([0.0, max(bound, self.estimate)])
        return Quantity(self.estimate, np.resize(ends, REPLICATES))

    def known_to_be(self, least: float) -> "Quantity":
        """Return the quantity with a known estimate, which is its least possible value."""
        import numpy as np

        return Quantity(least, np.maximum(self.replicates, least))

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(
            self.estimate + other.estimate,
            self.replicates + other.replicates,
            self.from_single_units + other.from_single_units,
        )

    def scale(self, factor: float) -> "Quantity":
        """Multiply the quantity by a factor."""
        return Quantity(
            factor * self.estimate, factor * self.replicates, factor * self.from_single_units
        )

    def maximum(self, other: "Quantity") -> "Quantity":
        """Return the larger of two quantities, replicate by replicate."""
        import numpy as np

        larger = self if self.estimate >= other.estimate else other
        return Quantity(
            larger.estimate,
            np.maximum(self.replicates, other.replicates),
            larger.from_single_units,
        )

    def interval(self) -> Interval:
        """Return the percentile interval of the replicates."""
        import numpy as np

        if self.from_single_units > MAX_SINGLE_UNIT_SHARE * self.estimate:
            return Interval(self.estimate, None, None)
        low, high = np.quantile(self.replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(
            self.estimate, min(self.estimate, float(low)), max(self.estimate, float(high))
        )


def extrapolate(
    amounts: "Array", sizes: "Array", ahead: Sequence[Quantity], rng: "np.random.Generator"
) -> list[Quantity]:
    """Extrapolate k amounts from a sample of n units to the units still to come.

    The estimates are ratio estimates under the Bayesian bootstrap (Rubin, "The Bayesian Bootstrap",
    Annals of Statistics 9, 1981), whose weights never drop a unit altogether. Each replicate also
    contains the random variation of the coming units, normal with the residuals of the sample: the
    interval is a prediction interval, not a confidence interval of the expectation. Deviations are
    stretched by Student's t for small samples (after the expanded percentile interval of
    Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
    2015). All amounts share the weights of a replicate, so their sum has the correct spread.

    Args:
        amounts: Amount per unit, shape (n, k).
        sizes: Size per unit, shape (n, k); 0 if the amount was not measured for the unit.
        ahead: Total size of the coming units, per amount, length k.
        rng: Source of the bootstrap weights.

    Returns:
        Total of the coming units, per amount, length k.
    """
    import numpy as np

    units = (sizes > 0).sum(axis=0)
    ratios = amounts.sum(axis=0) / sizes.sum(axis=0)
    if len(amounts) > MAX_UNITS:
        block = rng.permutation(len(amounts)) % MAX_UNITS
        amounts, sizes = _block_sums(amounts, block), _block_sums(sizes, block)
    weights = rng.exponential(size=(REPLICATES, len(amounts)))
    replicate_ratios = (weights @ amounts) / (weights @ sizes)
    noise = np.sqrt(weights) * rng.standard_normal(weights.shape)
    mass = weights @ (sizes > 0)
    residuals = (noise @ amounts - replicate_ratios * (noise @ sizes)) / np.sqrt(mass)
    unit_size = sizes.sum(axis=0) / (sizes > 0).sum(axis=0)
    coming = np.stack([size.replicates for size in ahead], axis=1)
    deviations = coming * (replicate_ratios - ratios) + np.sqrt(coming / unit_size) * residuals
    totals: list[Quantity] = []
    for i, (size, ratio, count) in enumerate(zip(ahead, ratios.tolist(), units, strict=True)):
        replicates = np.maximum(0.0, coming[:, i] * ratio + _stretch(int(count)) * deviations[:, i])
        single = size.from_single_units if count > 1 else size.estimate
        totals.append(Quantity(size.estimate * ratio, replicates, single * ratio))
    return totals


def _stretch(units: int) -> float:
    """Return the ratio of a sample's interval to the normal interval of its bootstrap."""
    if units < 2:
        return 1.0
    return float((units / (units - 1)) ** 0.5 * _student_quantile(units - 1) / _Z)


def _block_sums(values: "Array", block: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> "Array":
    import numpy as np

    sums = np.zeros((MAX_UNITS, values.shape[1]))
    np.add.at(sums, block, values)
    return sums


def _student_quantile(freedom: int) -> float:
    """Approximate the quantile of Student's t at (1 + LEVEL) / 2, by Abramowitz and Stegun 26.7.5.

    The result is 12 % too small for one degree of freedom and 1 % for two.
    """
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + ((third / freedom + second) / freedom + first) / freedom
