"""Stacked bars: shares of values, a bar per stratum, as SVG in two sizes (see `pictures`)."""

from typing import Any

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
)

MOST = 24
"""Largest number of bars; the rows beyond it are in the table."""


def draw_stacked_bars(distribution: pl.DataFrame, title: str) -> Picture:
    """Draw the shares of a distribution, a bar per stratum from its first value up to its last.

    Args:
        distribution: Columns `stratum`, `value`, `n` and `share`.
        title: Title of the full picture.
    """
    if distribution.is_empty():
        return empty_picture(title)
    strata = distribution["stratum"].unique(maintain_order=True).to_list()[:MOST]
    values = distribution["value"].unique(maintain_order=True).to_list()
    shares = {
        (stratum, value): share
        for stratum, value, share in distribution.select("stratum", "value", "share").iter_rows()
    }
    sizes = dict(distribution.select("stratum", "n").iter_rows())
    heights = {value: [shares.get((stratum, value), 0.0) for stratum in strata] for value in values}
    bottoms: dict[str, list[float]] = {}
    level = [0.0] * len(strata)
    for value in values:
        bottoms[value] = level
        level = [low + high for low, high in zip(level, heights[value], strict=True)]

    def tiny(shown: int) -> str:
        frame = TinySvg(0, 1, -0.5, len(strata) - 0.5)
        width = max(1, round(0.7 * (frame.x(1) - frame.x(0))))
        for index, value in enumerate(values):
            path = "".join(
                f"M{frame.x(place)} {frame.y(low)}V{frame.y(low + high)}"
                for place, (low, high) in enumerate(
                    zip(bottoms[value][:shown], heights[value][:shown], strict=True)
                )
                if high
            )
            if path:
                frame.add_path(colour(index), path, f' stroke-width="{width}"')
        return frame.render("0", "1", len(strata) - shown)

    def draw(axes: Any) -> Legend:
        legend: Legend = []
        for index, value in enumerate(values):
            bars = axes.bar(
                range(len(strata)),
                heights[value],
                0.7,
                bottom=bottoms[value],
                color=colour(index),
                hatch="//" if index >= len(COLOURS) else None,
            )
            legend.append((bars, clean_label(value)))
        labels = [f"{clean_label(stratum, 24)} (n = {sizes[stratum]:,})" for stratum in strata]
        axes.set_xticks(range(len(strata)), labels, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_ylim(0, 1)
        return legend

    return Picture(
        draw_fitting(tiny, len(strata)), draw_full(title, "stratum", "share of samples", draw)
    )
