"""Intervals by half-samples: the bootstrap for measures that a repeated row would falsify.

Drawing with replacement puts rows into a sample twice, which are then near-duplicates of themselves
and compress well. Half-samples without replacement repeat nothing, and the deviations of a measure
over them are as large as those over samples of all rows (the delete-d jackknife with d = n / 2:
Shao, Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17, 1989;
subsampling: Politis, Romano, Annals of Statistics 22, 1994).
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from persona_assets.steps.multiplicity import simultaneous_level

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]
    Draws = npt.NDArray[np.float64]

SEED = 240_620_094
"""Seed of the draws: two reports on the same problems are equal in every digit."""

DRAWS = 200
"""Number of draws."""

LEAST = 20
"""Number of rows below which no interval is given: halves of fewer tell nothing."""


class Interval(NamedTuple):
    """Value with its 95 % interval, which is None for fewer than `LEAST` rows."""

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """True if the interval is known and zero is outside it."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def among(self, comparisons: int) -> "Interval":
        """Return the interval that holds together with those of other comparisons at 95 %.

        Its ends are moved out by the ratio of normal quantiles: the tails at the level that
        Bonferroni's inequality asks for hold less than one of the draws.

        Example:
            >>> found = Interval(-0.12, -0.14, -0.10).among(21)
            >>> f"{found.low:.3f} to {found.high:.3f}"
            '-0.151 to -0.089'
        """
        if self.low is None or self.high is None:
            return self
        single, several = (_quantile(simultaneous_level(0.95, n)) for n in (1, comparisons))
        ratio = several / single
        low, high = ((end - self.value) * ratio for end in (self.low, self.high))
        return Interval(self.value, self.value + low, self.value + high)


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def draw_samples(rows: int, size: int, draws: int = DRAWS, seed: int = SEED) -> "list[Rows]":
    """Draw samples without replacement.

    Args:
        rows: Number of rows.
        size: Number of rows of a sample.
        draws: Number of samples.
        seed: Seed of the draws.

    Returns:
        Ascending rows of each sample, int64.

    Example:
        >>> [sample.tolist() for sample in draw_samples(2, 2, draws=1)]
        [[0, 1]]
    """
    import numpy as np

    rng = np.random.default_rng([seed, rows, size])
    return [np.sort(rng.permutation(rows)[:size]).astype(np.int64) for _ in range(draws)]


def recentred(value: float, halves: Sequence[float], *, grows: bool = False) -> "Draws":
    """Return the values of half-samples, moved so that their mean is the value of all rows.

    Args:
        value: Measure of all rows.
        halves: Measure of each half-sample.
        grows: True for a measure that grows in proportion to the number of rows, or nearly so: the
            deviations of half-samples grow alike.
    """
    import numpy as np

    values = np.asarray(halves, np.float64)
    mean = float(values.mean())
    return values * (value / mean) if grows and mean > 0 else values + (value - mean)


def interval(value: float, draws: "Draws", rows: int) -> Interval:
    """Return a value with the interval of its recentred draws."""
    import numpy as np

    if rows < LEAST:
        return Interval(value, None, None)
    low, high = np.quantile(draws, [0.025, 0.975]).tolist()
    return Interval(value, min(low, value), max(high, value))


def interval_of_size(draws: Sequence[float], rows: int, size: int) -> Interval:
    """Return the mean of a measure over samples of a size, with its interval.

    Samples of a small part of the rows differ more than their mean is uncertain, and those of a
    large part less: deviations are scaled by the square root of size / (rows - size).

    Args:
        draws: Measure of each sample.
        rows: Number of all rows.
        size: Number of rows of a sample, below `rows`.
    """
    import numpy as np

    values = np.asarray(draws, np.float64)
    mean = float(values.mean())
    return interval(mean, mean + (values - mean) * (size / (rows - size)) ** 0.5, rows)
