"""How alike duplicates are to the survivors that stand for them, as SVG in two sizes."""

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
    Tiny,
    draw_fitting,
    draw_full,
    empty_picture,
    exact_number,
    short_number,
)

ROUNDING = 1e-6
"""What is this close to 1 is an exact repeat: the cosine of a float32 vector to itself is seldom 1,
and word sets that differ, of fewer than a million words, are further apart."""

LEAST_WIDTH = 0.01
"""Of the axis, where the threshold is 1."""

MOST_LINEAR = 50
"""How often the least bar may go into the greatest: beyond that it is under a pixel high."""

_FOOT = 0.5
"""The foot of a logarithmic axis, on which a count of 1 has a height."""

_GAP, _BAR = 2, 2
"""Between the bins and the bar of exact repeats, and the width of that bar, in bins."""


def draw_similarity_histogram(
    similarities: pl.Series, threshold: float | Fraction, title: str, bins: int = 20
) -> Picture:
    """Duplicates by their similarity (Jaccard or cosine) to their survivors, one value for each.

    `bins` intervals of equal width reach from the threshold to 1; exact repeats have a bar of their
    own. A similarity below the threshold makes the axis longer. What is not finite is left out.
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
    counts = _counts(near, low, width, bins)
    drawn = [count for count in (*counts, repeats) if count]
    most, logarithmic = max(drawn), max(drawn) > MOST_LINEAR * min(drawn)

    def height(count: int) -> float:
        return log10(max(count / _FOOT, 1)) if logarithmic else count

    def tiny(shown: int) -> str:
        frame = Tiny(0, height(most), 0, bins + _GAP + _BAR)
        path = f"M{frame.x(0)} {BOTTOM}"
        for index, count in enumerate(counts[:shown]):
            path += f"V{frame.y(height(count))}H{frame.x(index + 1)}"
        frame.lines("none", f"{path}V{BOTTOM}", f' fill="{COLOURS[0]}"')
        bar = f"M{frame.x(bins + _GAP)} {BOTTOM}V{frame.y(height(repeats))}H{RIGHT}V{BOTTOM}"
        frame.lines("none", bar, f' fill="{COLOURS[1]}"')
        mark = frame.x((limit - low) / width)
        frame.lines(COLOURS[1], f"M{mark} {TOP}V{BOTTOM}", ' stroke-dasharray="2"')
        frame.text(LEFT, f"{low:.3g}" if mark > LEFT + 30 else "")
        frame.text(min(mark, RIGHT - 75), f"{limit:.3g}")
        frame.text(RIGHT - 25, f"=1: {short_number(repeats)}")
        return frame.svg("log" if logarithmic else "", short_number(most), bins - shown)

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


def _counts(near: pl.Series, low: float, width: float, bins: int) -> list[int]:
    """How many values lie in each bin; the lower end of a bin belongs to it."""
    # 0.95 lies (0.95 - 0.9) / 0.005 = 9.99... widths above 0.9, and belongs to the tenth.
    places = ((near - low) / width + ROUNDING).floor().clip(0, bins - 1).cast(pl.Int64)
    found = dict(places.value_counts().iter_rows())
    return [found.get(index, 0) for index in range(bins)]
