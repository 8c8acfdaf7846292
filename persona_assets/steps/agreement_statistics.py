"""Agreement of two raters on yes or no, and a share estimated from a sample, with their intervals.

Does not belong here: who rates, and what is rated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from persona_assets.steps.grading import Accuracy, accuracy, score_interval

if TYPE_CHECKING:
    import numpy as np

DRAWS = 20_000
"""Draws of an interval of kappa: its ends vary by less than 0.005 from seed to seed."""

SEED = 1960
"""Seed of the draws: equal counts have equal intervals."""


class Estimate(NamedTuple):
    """Estimated figure with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Contingency:
    """Verdicts of two raters on the same items.

    Kappa is low where nearly all items have the same verdict, however rarely the raters differ
    (Feinstein and Cicchetti, "High agreement but low kappa", J. Clin. Epidemiol. 43, 1990): read it
    beside `agreement`, `prevalence` and `ac1`.

    Attributes:
        both: Number of items to which both raters say yes.
        first: Number of items to which the first rater alone says yes.
        second: Number of items to which the second rater alone says yes.
        neither: Number of items to which both say no.

    Example:
        >>> paradox = Contingency(both=80, first=10, second=5, neither=5)
        >>> print(paradox.agreement, paradox.kappa, round(paradox.ac1, 2), sep="; ")
        85.0 % (76.7 to 90.7, n = 100); 0.32 (0.08 to 0.56); 0.81
    """

    both: int
    first: int
    second: int
    neither: int

    @property
    def n(self) -> int:
        """Number of items."""
        return self.both + self.first + self.second + self.neither

    @property
    def agreement(self) -> Accuracy:
        """Share of items with equal verdicts, with its score interval."""
        return accuracy(self.both + self.neither, self.n)

    @property
    def prevalence(self) -> float | None:
        """Share of yes among the verdicts of both raters; None without items."""
        return (2 * self.both + self.first + self.second) / (2 * self.n) if self.n else None

    @cached_property
    def kappa(self) -> Estimate | None:
        """Cohen's kappa; None if both raters gave a single and equal verdict throughout.

        Definition of Cohen, "A coefficient of agreement for nominal scales", Educational and
        Psychological Measurement 20 (1960). The interval consists of the 2.5 % and 97.5 % quantiles
        of kappa under the posterior of the four shares with Jeffreys' prior, a Dirichlet
        distribution with 1/2 added to each count. It contains the estimate, and, unlike those of
        the large-sample formula and of a bootstrap, its width is not zero at full agreement.
        """
        import numpy as np

        counts = np.array([self.both, self.first, self.second, self.neither], np.float64)
        if self.n in (self.both, self.neither):
            return None
        estimate = float(_kappa(counts / self.n))
        drawn = _kappa(np.random.default_rng(SEED).dirichlet(counts + 0.5, DRAWS).T)
        low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
        return Estimate(estimate, min(low, estimate), max(high, estimate))

    @property
    def ac1(self) -> float | None:
        """Gwet's AC1, which prevalence affects less than kappa; None without items.

        Gwet, "Computing inter-rater reliability and its variance in the presence of high
        agreement", British Journal of Mathematical and Statistical Psychology 61 (2008).
        """
        prevalence, observed = self.prevalence, self.agreement.accuracy
        if prevalence is None or observed is None:
            return None
        expected = 2 * prevalence * (1 - prevalence)
        return (observed - expected) / (1 - expected)

    def __str__(self) -> str:
        kappa = "not defined" if self.kappa is None else str(self.kappa)
        ac1 = "not defined" if self.ac1 is None else f"{self.ac1:.2f}"
        return f"agreement {self.agreement}, Cohen's kappa {kappa}, Gwet's AC1 {ac1}"


def contingency(pairs: Sequence[tuple[bool | None, bool | None]]) -> Contingency:
    """Count the verdicts of two raters; a pair that lacks a verdict is left out.

    Example:
        >>> contingency([(True, True), (True, False), (None, True)])
        Contingency(both=1, first=1, second=0, neither=0)
    """
    counted = [pair for pair in pairs if None not in pair]
    both, first, second, neither = (
        counted.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))
    )
    return Contingency(both, first, second, neither)


class Stratum(NamedTuple):
    """Part of the items, some of which were drawn at random and rated.

    Attributes:
        size: Number of items.
        rated: Number of rated items.
        yes: Number of rated items with the verdict yes.
    """

    size: int
    rated: int
    yes: int


def stratified_share(strata: Sequence[Stratum]) -> Estimate | None:
    """Estimate the share of yes among all items of some strata, with a 95 % interval.

    The estimate weights the share of each stratum by its size. The interval adds, in squares, the
    distances to the ends of the score interval of all items and of each stratum in proportion to
    its weight and unrated part: the MOVER method of Zou and Donner, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27 (2008). If all items are rated, it is
    the score interval.

    Returns:
        Share in [0, 1]; None without items, or if no item of a stratum was rated.

    Example:
        >>> print(stratified_share([Stratum(900, 90, 90), Stratum(100, 20, 5)]))
        0.93 (0.88 to 0.95)
    """
    strata = [stratum for stratum in strata if stratum.size]
    n = sum(stratum.size for stratum in strata)
    if not strata or any(stratum.rated == 0 for stratum in strata):
        return None
    share = sum(stratum.size * stratum.yes / stratum.rated for stratum in strata) / n
    share = min(share, 1.0)
    low, high = score_interval(share, n)
    below, above = (share - low) ** 2, (high - share) ** 2
    for size, rated, yes in strata:
        low, high = score_interval(yes / rated, rated)
        scale = (size / n) ** 2 * (1 - rated / size)
        below += scale * (yes / rated - low) ** 2
        above += scale * (high - yes / rated) ** 2
    return Estimate(share, max(share - sqrt(below), 0.0), min(share + sqrt(above), 1.0))


def _kappa(shares: "np.ndarray") -> "np.ndarray":
    """Return kappa for the shares of the four cells, shape (4, ...)."""
    both, first, second, neither = shares
    by_chance = (both + first) * (both + second) + (second + neither) * (first + neither)
    kappa: np.ndarray = (both + neither - by_chance) / (1 - by_chance)
    return kappa
