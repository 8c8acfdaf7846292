"""Box plot: figure 10 of the paper, as SVG in two sizes (see `pictures`)."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from statistics import quantiles
from typing import Any, NamedTuple, Self

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
    spread_evenly,
)

PAIRS = 100
"""Number of pairs at each similarity (section 4.1.2)."""

MAX_DOTS = 600
"""Largest number of dots in all boxes together: evenly spaced order statistics beyond it."""

Quartiles = Mapping[tuple[str, float], tuple[float, float, float]]
"""First quartile, median and third quartile by panel and similarity of the personas."""


def draw_box_plot(
    report: pl.DataFrame,
    expected: int = PAIRS,
    buckets: Mapping[str, Sequence[float]] | None = None,
    reference: Quartiles | None = None,
) -> Picture:
    """Draw figure 10: similarity of problems (cosine) by similarity of their personas.

    Boxes are quartiles, whiskers reach the last point within 1.5 box lengths, and a horizontal line
    marks the similarity of the personas. A box of fewer than `expected` pairs is dotted and
    labelled with its number of pairs. A diamond with a line from quartile to quartile is a figure
    of the paper.

    Args:
        report: A row per pair: `panel` (focus of the prompt), `bucket` (similarity of the
            personas), `problem_similarity`.
        expected: Number of pairs of a complete box.
        buckets: Similarities of each panel, shown even without pairs; by default all.
        reference: Figures of the paper, for panels that the report has.
    """
    values: dict[tuple[str, float], list[float]] = {}
    for panel, bucket, value in report.select("panel", "bucket", "problem_similarity").iter_rows():
        if value is not None and isfinite(value):
            values.setdefault((str(panel), bucket), []).append(value)
    title = "Similarity of problems by similarity of their personas"
    if not values:
        return empty_picture(title)
    panels = list(dict.fromkeys(panel for panel, _ in values))
    asked = dict(buckets or {})
    places = sorted({bucket for _, bucket in values}.union(*asked.values()))
    boxes = [
        (index, panel, place, bucket)
        for index, panel in enumerate(panels)
        for place, bucket in enumerate(places)
        if bucket in asked.get(panel, places) or (panel, bucket) in values
    ]
    papers = {key: found for key, found in (reference or {}).items() if key[0] in panels}
    low = min(0.0, *(min(similarities) for similarities in values.values()))
    high = max(1.0, *(max(similarities) for similarities in values.values()))
    # A panel that does not compare a similarity takes no room there.
    slots = [[index for index, _, at, _ in boxes if at == place] for place in range(len(places))]
    width = 0.8 / max(map(len, slots))

    def centre(panel: int, place: int) -> float:
        return place + (slots[place].index(panel) - (len(slots[place]) - 1) / 2) * width

    items = len(panels) + len(places) - 1

    def tiny(shown: int) -> str:
        frame = TinySvg(low, high, -0.5, len(places) - 0.5)
        box = max(2, round(0.6 * (frame.x(width) - frame.x(0))))
        shown_panels = max(1, shown - len(places) + 1)  # panels are left out first, then buckets
        for index, panel in enumerate(panels[:shown_panels]):
            thin = thick = ""
            for place, bucket in enumerate(places[:shown]):
                if similarities := values.get((panel, bucket)):
                    parts = _Box.from_values(similarities).paths(
                        frame.x(centre(index, place)), box, frame.y
                    )
                    thin, thick = thin + parts[0], thick + parts[1]
            frame.add_path(colour(index), thin)
            frame.add_path(colour(index), thick, f' opacity=".5" stroke-width="{box}"')
        reach = frame.x(0.8) - frame.x(0)
        for place, bucket in enumerate(places[:shown]):
            frame.extend_base_line(f"M{frame.x(place - 0.4)} {frame.y(bucket)}h{reach}")
            least = min(
                len(values.get((panel, bucket), ())) for _, panel, at, _ in boxes if at == place
            )
            frame.add_text(
                frame.x(place), f"{bucket:g}" + (f" n={least}" if least < expected else "")
            )
        return frame.render("", f"{high:.2g}", items - shown)

    def draw(axes: Any) -> Legend:
        few = max(2, MAX_DOTS // len(boxes))
        for index, panel, place, bucket in boxes:
            similarities = sorted(values.get((panel, bucket), []))
            _draw_box(axes, centre(index, place), width, index, similarities, expected)
            _draw_points(axes, centre(index, place), width, index, spread_evenly(similarities, few))
        legend: Legend = [
            (axes.plot([], [], "s", color=colour(index))[0], clean_label(panel))
            for index, panel in enumerate(panels)
        ]
        if papers:
            legend.append((_draw_reference(axes, papers, boxes, centre), "the paper's figures"))
        starts = [place - 0.44 for place in range(len(places))]
        ends = [place + 0.44 for place in range(len(places))]
        personas = axes.hlines(places, starts, ends, "#333", "--", lw=1, zorder=4)
        axes.set_xticks(range(len(places)), [f"{bucket:g}" for bucket in places])
        axes.set_ylim(low - 0.12 * (high - low), high + 0.01)
        axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high + 1e-9])
        return [*legend, (personas, "the personas themselves")]

    labels = "similarity of the personas (cosine)", "similarity of the problems (cosine)"
    return Picture(draw_fitting(tiny, items), draw_full(title, *labels, draw))


class _Box(NamedTuple):
    """Quartiles, and the last points within 1.5 box lengths (Tukey's whiskers)."""

    low: float
    q1: float
    median: float
    q3: float
    high: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Self:
        """Return the box of at least one value."""
        if len(values) == 1:
            return cls(*[values[0]] * 5)
        q1, median, q3 = quantiles(values, n=4, method="inclusive")
        reach = 1.5 * (q3 - q1)
        inside = [value for value in values if q1 - reach <= value <= q3 + reach]
        return cls(min(inside), q1, median, q3, max(inside))

    def paths(self, x: int, width: int, y: Callable[[float], int]) -> tuple[str, str]:
        """Return the path of whiskers and median, and the path of the box, stroked `width` wide."""
        thin = f"M{x} {y(self.low)}V{y(self.high)}M{x - width // 2} {y(self.median)}h{width}"
        return thin, f"M{x} {y(self.q1)}V{y(self.q3)}"


def _draw_box(
    axes: Any, x: float, width: float, index: int, values: Sequence[float], expected: int
) -> None:
    is_complete = len(values) >= expected
    note = f"n = {len(values)}" + ("" if is_complete else f"\nof {expected}")
    axes.text(
        x, 0.015, note, fontsize=8, ha="center", va="bottom", transform=axes.get_xaxis_transform()
    )
    if values:
        line = {"color": colour(index), "ls": "-" if is_complete else ":"}
        axes.boxplot(
            [values],
            positions=[x],
            widths=0.62 * width,
            showfliers=False,
            manage_ticks=False,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
            medianprops={"color": colour(index), "lw": 2.5},
        )


def _draw_points(axes: Any, x: float, width: float, index: int, ys: Sequence[float]) -> None:
    """Draw dots as a single path of short round strokes: a third of the bytes of markers."""
    xs: list[float] = []
    for place in range(len(ys)):
        dot_x = x + ((place * 0.618) % 1 - 0.5) * 0.5 * width  # the golden ratio spreads evenly
        xs += [dot_x, dot_x + 1e-3, nan]
    doubled_ys = [value for y in ys for value in (y, y, nan)]
    axes.plot(
        xs, doubled_ys, color=colour(index), lw=2.5, alpha=0.4, solid_capstyle="round", zorder=2
    )


def _draw_reference(
    axes: Any,
    reference: Quartiles,
    boxes: Sequence[tuple[int, str, int, float]],
    centre: Callable[[int, int], float],
) -> Any:
    """Draw figures of the paper over their boxes; return the artist for the legend."""
    shown = [
        (centre(index, place), *reference[panel, bucket])
        for index, panel, place, bucket in boxes
        if (panel, bucket) in reference
    ]
    xs, firsts, medians, thirds = zip(*shown, strict=True) if shown else ((), (), (), ())
    axes.vlines(xs, firsts, thirds, "#111", lw=1, zorder=5)
    return axes.plot(xs, medians, "D", color="#111", mfc="white", ms=5, zorder=6)[0]
