"""Histogram of the similarity of duplicates to their survivors, as SVG in two sizes."""

from fractions import Fraction
from math import log10
from typing import Any

import polars as pl

from persona_assets.plots.pictures import (
    BOTTOM,
    COLOURS,
    LEFT,
    RIGHT,
    TOP,
    Legend,
    Picture,
    TinySvg,
    draw_fitting,
    draw_full,
    empty_picture,
    exact_number,
    short_number,
)

ROUNDING = 1e-6
"""Distance from 1 below which a similarity counts as an exact repeat.

The cosine of a float32 vector to itself is rarely 1, and different sets of fewer than a million
words are further apart.
"""

LEAST_WIDTH = 0.01
"""Least width of the axis, for a threshold of 1."""

MOST_LINEAR = 50
"""Largest ratio of two bars on a linear axis: beyond it, the smaller bar is under a pixel high."""

_FOOT = 0.5
"""Lower end of a logarithmic axis, chosen so that a count of 1 has a height."""

_GAP, _BAR = 2, 2
"""Gap between the bins and the bar of exact repeats, and width of that bar, in bins."""


def draw_similarity_histogram(
    similarities: pl.Series, threshold: float | Fraction, title: str, bins: int = 20
) -> Picture:
    """Draw the distribution of similarities between duplicates and their survivors.

    Exact repeats have a bar of their own. A similarity below the threshold extends the axis. Values
    that are not finite are left out.

    Args:
        similarities: Jaccard similarity or cosine per duplicate.
        threshold: Similarity from which rows are duplicates, marked in the picture.
        title: Title of the full picture.
        bins: Number of intervals of equal width between the threshold and 1.
    """
    values = similarities.cast(pl.Float64)
    values = values.filter(values.is_finite())
    if values.is_empty():
        return empty_picture(title)
    limit = float(threshold)
    near = values.filter(values < 1 - ROUNDING)
    repeats = len(values) - len(near)
    low = min(limit, 1 - LEAST_WIDTH, *values.bottom_k(1))
    width = (1 - low) / bins
    counts = _bin_counts(near, low, width, bins)
    bars = [count for count in (*counts, repeats) if count]
    most, logarithmic = max(bars), max(bars) > MOST_LINEAR * min(bars)

    def height(count: int) -> float:
        return log10(max(count / _FOOT, 1)) if logarithmic else count

    def tiny(shown: int) -> str:
        frame = TinySvg(0, height(most), 0, bins + _GAP + _BAR)
        path = f"M{frame.x(0)} {BOTTOM}"
        for index, count in enumerate(counts[:shown]):
            path += f"V{frame.y(height(count))}H{frame.x(index + 1)}"
        frame.add_path("none", f"{path}V{BOTTOM}", f' fill="{COLOURS[0]}"')
        bar = f"M{frame.x(bins + _GAP)} {BOTTOM}V{frame.y(height(repeats))}H{RIGHT}V{BOTTOM}"
        frame.add_path("none", bar, f' fill="{COLOURS[1]}"')
        mark = frame.x((limit - low) / width)
        frame.add_path(COLOURS[1], f"M{mark} {TOP}V{BOTTOM}", ' stroke-dasharray="2"')
        frame.add_text(LEFT, f"{low:.3g}" if mark > LEFT + 30 else "")
        frame.add_text(min(mark, RIGHT - 75), f"{limit:.3g}")
        frame.add_text(RIGHT - 25, f"=1: {short_number(repeats)}")
        return frame.render("log" if logarithmic else "", short_number(most), bins - shown)

    def draw(axes: Any) -> Legend:
        edges = [low + width * index for index in range(bins + 1)]
        foot = _FOOT if logarithmic else 0
        near_bars = axes.stairs(counts, edges, baseline=foot, fill=True, color=COLOURS[0])
        place = 1 + width * (_GAP + _BAR / 2)
        bar = axes.bar(place, repeats, width * _BAR, color=COLOURS[1])
        axes.bar_label(bar, [exact_number(repeats)], padding=2, fontsize=9)
        mark = axes.axvline(limit, color="#333", ls="--", lw=1)
        if logarithmic:
            axes.set_yscale("log", nonpositive="clip")
        else:
            axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(bottom=foot)
        axes.yaxis.set_major_formatter(lambda value, _: short_number(value))
        ticks = [edges[index * bins // 5] for index in range(6)]
        axes.set_xticks([*ticks, place], [*(f"{tick:.3g}" for tick in ticks), "exactly 1"])
        return [
            (near_bars, f"near: {len(near):,}"),
            (bar, f"exact repeats: {repeats:,}"),
            (mark, f"threshold: {limit:.3g}"),
        ]

    y_label = f"duplicates{' (logarithmic)' if logarithmic else ''}"
    heading = f"{title} (n = {len(values):,})"
    return Picture(draw_fitting(tiny, bins), draw_full(heading, "similarity", y_label, draw))


def _bin_counts(near: pl.Series, low: float, width: float, bins: int) -> list[int]:
    """Count the values in each bin; a bin includes its lower end."""
    # ROUNDING puts 0.95, with (0.95 - 0.9) / 0.005 = 9.99... widths above 0.9, into bin 10.
    places = ((near - low) / width + ROUNDING).floor().clip(0, bins - 1).cast(pl.Int64)
    counts = dict(places.value_counts().iter_rows())
    return [counts.get(index, 0) for index in range(bins)]
