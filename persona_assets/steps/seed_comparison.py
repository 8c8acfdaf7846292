"""Comparison of the models of several seeds on the same problems.

Another seed gives another model, and other problems another figure. Both are drawn, so that the
difference of a problem and a seed is taken as the sum of a mean, an effect of the problem, an
effect of the seed, and a rest: the two-way analysis of variance with random effects and a value
per cell. A bootstrap over two or three seeds would be too narrow: it has half or two thirds of
their variance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from persona_assets.steps.comparison import ALPHA, POWER, Compared, Paired, verdict, verdicts_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Verdicts = npt.NDArray[np.float64]

Results = Sequence[Mapping[str, Any]]
"""Results of a model, with `problem_id` and `correct`."""


def compare(before: Mapping[int, Results], after: Mapping[int, Results]) -> Compared | None:
    """Compare models by seed and problem; None if they have no seed in common.

    Args:
        before: Results by seed.
        after: Results by seed.

    Returns:
        The exact comparison of two models for a single common seed.
    """
    seeds = sorted(before.keys() & after.keys())
    if len(seeds) > 1:
        return PairedBySeed.of([before[s] for s in seeds], [after[s] for s in seeds])
    return Paired.of(before[seeds[0]], after[seeds[0]]) if seeds else None


class _Estimate(NamedTuple):
    """Standard error of the mean difference, and its degrees of freedom."""

    error: float
    freedom: float


@dataclass(frozen=True, eq=False)
class PairedBySeed:
    """Results of two groups of models, a model per seed in each, on the same problems.

    Attributes:
        before: 1.0 for each solved problem, else 0.0; (seeds, problems).
        after: The same for the second group.
    """

    before: "Verdicts"
    after: "Verdicts"
    test: ClassVar[str] = "t-test over problems and seeds"

    @classmethod
    def of(cls, before: Iterable[Results], after: Iterable[Results]) -> "PairedBySeed":
        """Pair results by seed and problem; a problem without a verdict anywhere is left out."""
        import numpy as np

        sides = [[verdicts_of(results) for results in side] for side in (before, after)]
        shared = set.intersection(*(set(found) for side in sides for found in side))
        problems = sorted(shared)
        first, second = (
            np.array([[float(found[problem]) for problem in problems] for found in side])
            for side in sides
        )
        return cls(first, second)

    @property
    def n(self) -> int:
        """Number of problems."""
        return int(self.before.shape[1])

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return int(self.before.shape[0])

    @property
    def sample(self) -> str:
        """The problems in words."""
        return f"the same {self.n:,} problems, means of {self.seeds} seeds"

    @property
    def shares(self) -> tuple[float, float] | None:
        """Mean accuracy of both groups; None for n = 0."""
        if self.n == 0:
            return None
        return float(self.before.mean()), float(self.after.mean())

    @property
    def difference(self) -> float | None:
        """Mean accuracy of the second group minus that of the first; None for n = 0."""
        return float((self.after - self.before).mean()) if self.n else None

    @cached_property
    def _estimate(self) -> _Estimate | None:
        """Return the standard error; None where nothing varies.

        Variances are estimated from mean squares, and the degrees of freedom of their sum by
        Satterthwaite, "An approximate distribution of estimates of variance components",
        Biometrics Bulletin 2 (1946).
        """
        import numpy as np

        values = self.after - self.before
        seeds, problems = values.shape
        if np.ptp(values) == 0:
            return None
        if problems == 1:
            # A single problem says nothing of how problems vary.
            return _Estimate(np.inf, 1)
        mean, of_seed, of_problem = values.mean(), values.mean(axis=1), values.mean(axis=0)
        rest = values - of_seed[:, None] - of_problem[None, :] + mean
        free = (problems - 1, seeds - 1, (problems - 1) * (seeds - 1))
        by_problem = float(seeds * ((of_problem - mean) ** 2).sum() / free[0])
        by_seed = float(problems * ((of_seed - mean) ** 2).sum() / free[1])
        by_rest = float((rest**2).sum() / free[2])
        # A negative variance of problems, or of seeds, counts as none.
        by_problem = max(by_problem, by_rest)
        if by_seed <= by_rest:
            return _Estimate((by_problem / values.size) ** 0.5, free[0])
        total = by_problem + by_seed - by_rest
        squares = (by_problem**2 / free[0], by_seed**2 / free[1], by_rest**2 / free[2])
        return _Estimate((total / values.size) ** 0.5, total**2 / sum(squares))

    @property
    def _constant(self) -> Paired:
        """Return the comparison of a single seed, where all seeds have the same difference."""
        both = (self.before[0] > 0.5, self.after[0] > 0.5)
        counts = (
            (first & second).sum()
            for first in (both[0], ~both[0])
            for second in (both[1], ~both[1])
        )
        solved, only_before, only_after, neither = map(int, counts)
        return Paired(solved, only_before, only_after, neither)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of 95 % of the difference; None for n = 0."""
        from scipy.special import stdtrit

        if self.difference is None:
            return None
        if self._estimate is None:
            return self._constant.interval
        half = float(stdtrit(self._estimate.freedom, 1 - ALPHA / 2)) * self._estimate.error
        return max(self.difference - half, -1.0), min(self.difference + half, 1.0)

    @property
    def p_value(self) -> float | None:
        """Two-sided p-value of equality; None for n = 0."""
        from scipy.special import stdtr

        if self.difference is None:
            return None
        if self._estimate is None:
            return self._constant.p_value
        t = abs(self.difference) / self._estimate.error
        return 2 * float(stdtr(self._estimate.freedom, -t))

    @property
    def detectable(self) -> float | None:
        """Smallest difference that as many problems and seeds show in four of five cases."""
        from scipy.special import stdtrit

        if self._estimate is None:
            return self._constant.detectable
        quantiles = stdtrit(self._estimate.freedom, [1 - ALPHA / 2, POWER])
        least = float(sum(quantiles)) * self._estimate.error
        return least if least <= 1 else None

    def __str__(self) -> str:
        return verdict(self)
