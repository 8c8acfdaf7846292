"""Correction for the number of comparisons: of twenty equal pairs one differs at the 5 % level."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected by Holm's step-down procedure, in their order.

    Rejecting where a corrected value is below a level keeps the probability of any false rejection
    below it, whatever the dependence. Holm, "A simple sequentially rejective multiple test
    procedure", Scandinavian Journal of Statistics 6 (1979).

    Args:
        p_values: P-values of a family of tests; None for a comparison without a test, which does
            not count.

    Example:
        >>> holm([0.01, None, 0.04, 0.03])
        [0.03, None, 0.06, 0.06]
    """
    places = [place for place, p in enumerate(p_values) if p is not None]
    ordered = sorted(places, key=lambda place: p_values[place] or 0.0)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(ordered):
        largest = max(largest, (len(ordered) - rank) * (p_values[place] or 0.0))
        corrected[place] = min(1.0, largest)
    return corrected


def simultaneous_level(level: float, comparisons: int) -> float:
    """Return the level of each interval at which all of them hold together (Bonferroni).

    Args:
        level: Confidence of all intervals together.
        comparisons: Number of intervals.

    Example:
        >>> f"{simultaneous_level(0.95, 21):.4f}"
        '0.9976'
    """
    return 1 - (1 - level) / max(comparisons, 1)
