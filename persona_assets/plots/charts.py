"""Charts: figure 9 of the paper, and bars, as SVG in two sizes (see `pictures`)."""

from collections.abc import Mapping
from math import isfinite, log2
from typing import Any, NamedTuple

import polars as pl

from persona_assets.plots.pictures import (
    COLOURS,
    Legend,
    Picture,
    TinySvg,
    clean_label,
    colour,
    draw_fitting,
    draw_full,
    empty_picture,
    exact_number,
    short_number,
    space_ticks,
    spread_evenly,
)

MAX_MEASURED = 72
"""Largest number of accuracies in all curves together: evenly spaced accuracies beyond it."""

_SHAPES = "osD^vP"
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_scaling_curve(curve: pl.DataFrame) -> Picture:
    """Draw figure 9: accuracy (%) by number of training problems (log2), with 95 % intervals.

    Args:
        curve: A row per benchmark and size: `benchmark`, `training_size`, `n`, `accuracy`, `low`
            and `high` in [0, 1]. Rows with a null accuracy (n = 0) are left out.

    Raises:
        ValueError: A training size is below 1, which a logarithmic axis cannot show.
    """
    names = "benchmark", "training_size", "n", "accuracy", "low", "high"
    series: dict[str, list[_Point]] = {}
    for name, size, n, share, least, most in curve.select(names).sort("training_size").iter_rows():
        if size < 1:
            raise ValueError(f"training size {size} has no place on a logarithmic axis")
        if share is not None:
            point = _Point(log2(size), n, 100 * share, 100 * least, 100 * most)
            series.setdefault(str(name), []).append(point)
    title = "Accuracy by number of training problems"
    if not series:
        return empty_picture(title)
    all_points = [point for points in series.values() for point in points]
    low, high = min(point.low for point in all_points), max(point.high for point in all_points)
    first, last = min(point.x for point in all_points), max(point.x for point in all_points)

    def tiny(shown: int) -> str:
        frame = TinySvg(low, high, first, last)
        for index, points in enumerate(list(series.values())[:shown]):
            few = spread_evenly(points, 8)
            path = "M" + " ".join(f"{frame.x(p.x)} {frame.y(p.y)}" for p in few)
            for p in few:
                path += f"M{frame.x(p.x)} {frame.y(p.low)}V{frame.y(p.high)}"
            frame.add_path(colour(index), path, ' fill="none"')
        frame.add_axis_ends(*(f"{round(2**end):,}" for end in (first, last)))
        return frame.render(f"{low:.0f}%", f"{high:.0f}%", len(series) - shown)

    def draw(axes: Any) -> Legend:
        legend: Legend = []
        span = max(last - first, 1.0)
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
            counts = {point.n for point in points}
            legend += [
                (
                    artist,
                    clean_label(name) + (f" (n = {counts.pop():,})" if len(counts) == 1 else ""),
                )
            ]
        ticks = space_ticks(sorted({point.x for point in all_points}), span / 9)
        axes.set_xticks(ticks, ["\n".join(_size_labels(tick)) for tick in ticks])
        axes.set_xlim(first - 0.06 * span, last + 0.06 * span)
        return legend

    labels = "training problems (logarithmic)", "accuracy in %, with 95 % interval"
    return Picture(draw_fitting(tiny, len(series)), draw_full(title, *labels, draw))


def draw_bars(values: Mapping[str, float], title: str, x_label: str, y_label: str) -> Picture:
    """Draw a bar from zero per entry, such as the number of personas of each hop.

    Args:
        values: Height of each bar by its name.
        title: Title of the full picture.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.

    Raises:
        ValueError: A height is not a finite number.
    """
    if not values:
        return empty_picture(title)
    if invalid := [name for name, value in values.items() if not isfinite(value)]:
        raise ValueError(f"not a finite number to draw: {', '.join(map(clean_label, invalid))}")
    names, heights = [clean_label(name) for name in values], list(values.values())
    low, high = min(0.0, *heights), max(0.0, *heights)

    def tiny(shown: int) -> str:
        frame = TinySvg(low, high, -0.5, len(heights) - 0.5)
        bar = max(1, round(0.7 * (frame.x(1) - frame.x(0))))
        path = ""
        for place, height in enumerate(heights[:shown]):
            path += f"M{frame.x(place)} {frame.y(0)}V{frame.y(height)}"
            frame.add_text(frame.x(place), names[place][:6])
        frame.add_path(COLOURS[0], path, f' stroke-width="{bar}"')
        return frame.render(
            short_number(low) if low else "", short_number(high), len(heights) - shown
        )

    def draw(axes: Any) -> Legend:
        bars = axes.bar(range(len(heights)), heights, 0.7, color=COLOURS[0])
        axes.bar_label(bars, [exact_number(height) for height in heights], padding=2, fontsize=9)
        axes.yaxis.set_major_formatter(lambda value, _: short_number(value))
        is_crowded = max(map(len, names)) * len(names) > 70
        rotation = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if is_crowded else {}
        axes.set_xticks(range(len(names)), [clean_label(name, 20) for name in names], **rotation)
        return []

    return Picture(draw_fitting(tiny, len(heights)), draw_full(title, x_label, y_label, draw))


class _Point(NamedTuple):
    """Accuracy at a training size: x is log2 of the size; y, low and high are in %."""

    x: float
    n: int
    y: float
    low: float
    high: float


def _size_labels(exponent: float) -> list[str]:
    """Return the labels of a training size from its log2: decimal, and a power of two if exact."""
    size, power = round(2**exponent), round(exponent)
    return [f"{size:,}", "2" + str(power).translate(_SUPERSCRIPT)][: 1 + (size == 2**power)]
