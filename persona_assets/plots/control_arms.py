"""Pictures of control arms: near-duplicates as n grows, and measures beside full personas'."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

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
)

LEAST = 1e-9
"""Value up to which a measure counts as 0, of which no difference has a percentage."""

_LINES = ("-", "--", ":", "-.")
_SHAPES = "os^D"


class _Point(NamedTuple):
    """A value with its interval, which is that value where none is known."""

    x: float
    y: float
    low: float
    high: float


def draw_growth(
    figures: pl.DataFrame, measures: Sequence[str], names: Mapping[str, str]
) -> Picture:
    """Draw the share of near-duplicates (%) of each arm by the number of problems.

    Args:
        figures: Columns `measure`, `arm`, `against`, `n`, `value`, `low` and `high`; shares are in
            [0, 1], `low` and `high` may be null.
        measures: Measures to draw, each in a line style of its own; the tiny picture has the last.
        names: Measures and arms in words.
    """
    title = "Near-duplicates by number of problems"
    shown = figures.filter(pl.col("against").is_null(), pl.col("measure").is_in(measures))
    if shown.is_empty():
        return empty_picture(title)
    arms = shown["arm"].unique(maintain_order=True).to_list()
    lines = {
        (measure, arm): [
            _Point(n, *(100 * (value if share is None else share) for share in (value, low, high)))
            for n, value, low, high in shown.filter(measure=measure, arm=arm)
            .sort("n")
            .select("n", "value", "low", "high")
            .iter_rows()
        ]
        for measure in measures
        for arm in arms
    }
    sizes = sorted({point.x for points in lines.values() for point in points})
    most = max(1.0, *(point.high for points in lines.values() for point in points))

    def tiny(count: int) -> str:
        frame = TinySvg(0, most, sizes[0], sizes[-1])
        for index, arm in enumerate(arms[:count]):
            points = lines[measures[-1], arm]
            path = "M" + " ".join(f"{frame.x(p.x)} {frame.y(p.y)}" for p in points)
            for p in points:
                path += f"M{frame.x(p.x)} {frame.y(p.low)}V{frame.y(p.high)}"
            frame.add_path(colour(index), path, ' fill="none"')
        frame.add_axis_ends(f"{sizes[0]:,.0f}", f"{sizes[-1]:,.0f}")
        return frame.render("0%", f"{most:.0f}%", len(arms) - count)

    def draw(axes: Any) -> Legend:
        legend: Legend = []
        span = max(sizes[-1] - sizes[0], 1.0)
        for index, arm in enumerate(arms):
            shape = _SHAPES[index % len(_SHAPES)]
            artist = axes.plot([], [], shape, color=colour(index))[0]
            legend.append((artist, clean_label(names[arm])))
        for style, measure in zip(_LINES, measures, strict=False):
            artist = axes.plot([], [], style, color="#555")[0]
            legend.append((artist, clean_label(names[measure])))
        for style, measure in zip(_LINES, measures, strict=False):
            for index, arm in enumerate(arms):
                # Lines are shifted sideways, so that no interval hides another.
                shift = 0.006 * span * (index - (len(arms) - 1) / 2)
                axes.errorbar(
                    [point.x + shift for point in lines[measure, arm]],
                    [point.y for point in lines[measure, arm]],
                    yerr=_errors(lines[measure, arm]),
                    fmt=f"{_SHAPES[index % len(_SHAPES)]}{style}",
                    color=colour(index),
                    capsize=2,
                    ms=4,
                )
        ticks = space_ticks(sizes, span / 9)
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.set_ylim(-0.03 * most, 1.05 * most)
        return legend

    labels = "problems", "in %, with 95 % interval"
    return Picture(draw_fitting(tiny, len(arms)), draw_full(title, *labels, draw))


def draw_beside(
    figures: pl.DataFrame, measures: Sequence[str], names: Mapping[str, str]
) -> Picture:
    """Draw each measure of each arm beside that of another arm, as a difference in %.

    Args:
        figures: As for `draw_growth`; rows with `against` are differences of `arm` from `against`,
            whose own values have `against` null and the largest `n`.
        measures: Measures to draw; of those whose value is 0 nothing can be said in %.
        names: Measures and arms in words.
    """
    compared = figures.filter(
        pl.col("against").is_not_null(), pl.col("measure").is_in(measures)
    ).sort("n")
    if compared.is_empty():
        return empty_picture("Measures of the control arms")
    base = compared["arm"][0]
    title = f"Control arms beside {names[base]}"
    own = figures.filter(pl.col("against").is_null(), arm=base).sort("n")
    values = dict(own.select("measure", "value").iter_rows())
    shown = [name for name in measures if abs(values.get(name, 0.0)) > LEAST]
    arms = compared["against"].unique(maintain_order=True).to_list()
    points: dict[str, list[_Point]] = {arm: [] for arm in arms}
    for name, arm, value, low, high in compared.select(
        "measure", "against", "value", "low", "high"
    ).iter_rows():
        if name in shown:
            scale = -100 / abs(values[name])
            ends = sorted(scale * (value if end is None else end) for end in (low, high))
            points[arm].append(_Point(shown.index(name), scale * value, *ends))
    if not shown:
        return empty_picture(title)
    every = [point for of_arm in points.values() for point in of_arm]
    lowest, highest = min(0.0, *(p.low for p in every)), max(0.0, *(p.high for p in every))

    def place(point: _Point, index: int) -> float:
        return point.x + (index - (len(arms) - 1) / 2) * 0.2

    def tiny(count: int) -> str:
        frame = TinySvg(lowest, highest, -0.5, len(shown) - 0.5)
        for index, arm in enumerate(arms[:count]):
            path = ""
            for point in points[arm]:
                x = frame.x(place(point, index))
                path += f"M{x} {frame.y(point.low)}V{frame.y(point.high)}"
                path += f"M{x - 3} {frame.y(point.y)}h6"
            frame.add_path(colour(index + 1), path, ' stroke-width="2"')
        return frame.render(f"{lowest:.0f}%", f"{highest:.0f}%", len(arms) - count)

    def draw(axes: Any) -> Legend:
        legend: Legend = [(axes.axhline(0, color=colour(0), lw=1.5), clean_label(names[base]))]
        for index, arm in enumerate(arms):
            artist = axes.errorbar(
                [place(point, index) for point in points[arm]],
                [point.y for point in points[arm]],
                yerr=_errors(points[arm]),
                fmt=_SHAPES[(index + 1) % len(_SHAPES)],
                color=colour(index + 1),
                capsize=3,
                ms=5,
            )
            legend.append((artist, clean_label(names[arm], 60)))
        axes.set_xticks(range(len(shown)), [clean_label(names[name], 26) for name in shown])
        return legend

    labels = "measure", "difference in %, with 95 % interval"
    return Picture(draw_fitting(tiny, len(arms)), draw_full(title, *labels, draw))


def _errors(points: Sequence[_Point]) -> list[list[float]]:
    return [[p.y - p.low for p in points], [p.high - p.y for p in points]]
