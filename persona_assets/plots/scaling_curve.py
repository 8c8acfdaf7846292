"""Figure 9 of the paper: accuracy by number of training problems, as SVG in two sizes."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any, NamedTuple

import polars as pl

from persona_assets.plots.loss_curve import arm_suffix
from persona_assets.plots.pictures import (
    Legend,
    Picture,
    TinySvg,
    clean_label,
    colour,
    draw_fitting,
    draw_full,
    empty_picture,
    space_ticks,
    spread_evenly,
)

MAX_MEASURED = 72
"""Largest number of accuracies in all curves together: evenly spaced accuracies beyond it."""

MAX_LEVELS = 6
"""Largest number of levels that are drawn."""

_SHAPES = "osD^vP"
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_REFERENCE = "#555"


class Reference(NamedTuple):
    """Curve that others have measured.

    Attributes:
        label: Name in the legend, with its source.
        points: Accuracy in [0, 1] by number of training problems.
    """

    label: str
    points: Mapping[int, float]


def draw_scaling_curve(
    curve: pl.DataFrame,
    reference: Reference | None = None,
    levels: Mapping[str, float] | None = None,
) -> Picture:
    """Draw figure 9: accuracy (%) by number of training problems (log2), with 95 % intervals.

    Args:
        curve: A row per benchmark, arm and point: `benchmark`, `arm`, `examples`, `n`, `accuracy`,
            `low` and `high` in [0, 1], and over seeds `least` and `most`, a thick bar, or null.
            Rows with a null accuracy (n = 0) are left out.
        reference: Curve of others, dashed, in the full picture alone.
        levels: Accuracies in [0, 1] of models that were not trained here, by name: dotted lines,
            in the full picture alone.

    Raises:
        ValueError: A number of training problems is below 1, which a logarithmic axis cannot show.
    """
    series: dict[str, list[_Point]] = {}
    for row in curve.sort("examples").iter_rows(named=True):
        examples, share = row["examples"], row["accuracy"]
        if examples < 1:
            raise ValueError(f"{examples} training problems have no place on a logarithmic axis")
        if share is not None:
            ends = (row["least"], row["most"])
            seeds = None if None in ends else (100 * ends[0], 100 * ends[1])
            low, high = 100 * row["low"], 100 * row["high"]
            point = _Point(log2(examples), row["n"], 100 * share, low, high, seeds)
            series.setdefault(f"{row['benchmark']}{arm_suffix(row['arm'])}", []).append(point)
    title = "Accuracy by number of training problems"
    if not series:
        return empty_picture(title)

    def draw(axes: Any) -> Legend:
        legend, places = _draw_measured(axes, series)
        if reference is not None:
            legend += [_draw_reference(axes, reference)]
            places += [log2(examples) for examples in reference.points]
        legend += _draw_levels(axes, levels or {}, len(series))
        first, last = min(places), max(places)
        span = max(last - first, 1.0)
        ticks = space_ticks(sorted(set(places)), span / 9)
        axes.set_xticks(ticks, ["\n".join(_size_labels(tick)) for tick in ticks])
        axes.set_xlim(first - 0.06 * span, last + 0.06 * span)
        return legend

    several = any(point.seeds for points in series.values() for point in points)
    thick = "; thick: range over seeds" if several else ""
    labels = "training problems (logarithmic)", f"accuracy in %, with 95 % interval{thick}"
    return Picture(_draw_tiny(series), draw_full(title, *labels, draw))


class _Point(NamedTuple):
    """Accuracy of a model: x is log2 of its training problems; y, low, high and seeds are in %."""

    x: float
    n: int
    y: float
    low: float
    high: float
    seeds: tuple[float, float] | None


def _draw_tiny(series: Mapping[str, Sequence[_Point]]) -> str:
    points = [point for measured in series.values() for point in measured]
    low, high = min(point.low for point in points), max(point.high for point in points)
    first, last = min(point.x for point in points), max(point.x for point in points)

    def tiny(shown: int) -> str:
        frame = TinySvg(low, high, first, last)
        for index, measured in enumerate(list(series.values())[:shown]):
            few = spread_evenly(measured, 8)
            path = "M" + " ".join(f"{frame.x(p.x)} {frame.y(p.y)}" for p in few)
            for p in few:
                path += f"M{frame.x(p.x)} {frame.y(p.low)}V{frame.y(p.high)}"
            frame.add_path(colour(index), path, ' fill="none"')
        frame.add_axis_ends(*(f"{round(2**end):,}" for end in (first, last)))
        return frame.render(f"{low:.0f}%", f"{high:.0f}%", len(series) - shown)

    return draw_fitting(tiny, len(series))


def _draw_measured(axes: Any, series: Mapping[str, Sequence[_Point]]) -> tuple[Legend, list[float]]:
    """Draw the measured curves; return their legend and the places of their points."""
    legend: Legend = []
    places = [point.x for measured in series.values() for point in measured]
    span = max(max(places) - min(places), 1.0)
    for index, (name, measured) in enumerate(series.items()):
        points = spread_evenly(measured, max(2, MAX_MEASURED // len(series)))
        # Curves are shifted sideways, so that no interval hides another.
        shift = 0.008 * span * (index - (len(series) - 1) / 2)
        artist = axes.errorbar(
            [point.x + shift for point in points],
            [point.y for point in points],
            yerr=list(zip(*((p.y - p.low, p.high - p.y) for p in points), strict=True)),
            fmt=f"{_SHAPES[index % len(_SHAPES)]}-",
            color=colour(index),
            capsize=3,
            ms=5,
        )
        for point in points:
            if point.seeds is not None:
                axes.plot([point.x + shift] * 2, point.seeds, color=colour(index), lw=4, alpha=0.4)
        counts = {point.n for point in points}
        n = f" (n = {counts.pop():,})" if len(counts) == 1 else ""
        legend += [(artist, clean_label(name) + n)]
    return legend, places


def _draw_reference(axes: Any, reference: Reference) -> tuple[Any, str]:
    ordered = sorted(reference.points.items())
    xs, ys = [log2(examples) for examples, _ in ordered], [100 * share for _, share in ordered]
    [line] = axes.plot(xs, ys, "x--", color=_REFERENCE, lw=1.2, ms=5)
    return line, clean_label(reference.label)


def _draw_levels(axes: Any, levels: Mapping[str, float], first_colour: int) -> Legend:
    return [
        (
            axes.axhline(100 * share, color=colour(first_colour + index), ls=":", lw=1.4),
            f"{clean_label(name)} {100 * share:.1f} %",
        )
        for index, (name, share) in enumerate(list(levels.items())[:MAX_LEVELS])
    ]


def _size_labels(exponent: float) -> list[str]:
    """Return the labels of a training size from its log2: decimal, and a power of two if exact."""
    size, power = round(2**exponent), round(exponent)
    return [f"{size:,}", "2" + str(power).translate(_SUPERSCRIPT)][: 1 + (size == 2**power)]
