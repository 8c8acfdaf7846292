"""Density of points on a map, with the labels of clusters, as SVG in two sizes (see `pictures`)."""

from collections.abc import Iterable
from math import isqrt
from typing import Any

import polars as pl

from persona_assets.plots.pictures import (
    COLOURS,
    Legend,
    Picture,
    TinySvg,
    clean_label,
    draw_fitting,
    draw_full,
    empty_picture,
)

MOST_COLUMNS = 240
"""Largest number of columns of cells in the full picture; it has fewer for few points."""

MOST_LABELS = 40
"""Largest number of labels; of two that would overlap, the larger cluster has one."""

_LABEL = (0.19, 0.035)
"""Width and height of a label, as shares of the picture."""

_DOTS = (3, 5, 8)
"""Diameters of clusters in the tiny picture, in pixels, by thirds of the largest size."""


def draw_density(places: Iterable[pl.DataFrame], clusters: pl.DataFrame, title: str) -> Picture:
    """Draw the density of points, and the largest clusters with their labels.

    The tiny picture shows the clusters alone, as dots of three sizes.

    Args:
        places: Points, in one or several tables with columns `x` and `y`.
        clusters: Columns `label`, `size`, `x` and `y`.
        title: Title of the full picture.
    """
    empty = pl.DataFrame(schema={"x": pl.Float64, "y": pl.Float64})
    points = pl.concat([empty, *(table.select("x", "y") for table in places)])
    if points.is_empty():
        return empty_picture(title)
    columns = max(30, min(MOST_COLUMNS, 2 * isqrt(len(points))))
    rows = columns * 3 // 5
    low_x, high_x = _range(points["x"])
    low_y, high_y = _range(points["y"])
    largest = clusters.sort("size", "label", descending=[True, False])
    biggest = largest["size"].max()

    def tiny(shown: int) -> str:
        frame = TinySvg(0, high_y - low_y, low_x, high_x)
        paths = dict.fromkeys(_DOTS, "")
        for size, x, y in largest.head(shown).select("size", "x", "y").iter_rows():
            diameter = _DOTS[min(2, 3 * size // biggest)]
            paths[diameter] += f"M{frame.x(x)} {frame.y(y - low_y)}h0"
        for diameter, path in paths.items():
            if path:
                width = f' stroke-width="{diameter}" stroke-linecap="round"'
                frame.add_path(COLOURS[0], path, width)
        return frame.render("", "", len(largest) - shown)

    def draw(axes: Any) -> Legend:
        from matplotlib.colors import LogNorm

        column = ((points["x"] - low_x) / (high_x - low_x) * (columns - 1)).round().cast(int)
        row = ((points["y"] - low_y) / (high_y - low_y) * (rows - 1)).round().cast(int)
        counts = _grid(row * columns + column, columns * rows).reshape(rows, columns)
        axes.imshow(
            counts,
            norm=LogNorm(vmin=0.5, vmax=max(2, counts.max())),
            cmap="Blues",
            origin="lower",
            extent=(low_x, high_x, low_y, high_y),
            aspect="auto",
            interpolation="nearest",
        )
        room = (high_x - low_x) * _LABEL[0], (high_y - low_y) * _LABEL[1]
        for label, x, y in _apart(largest.select("label", "x", "y").iter_rows(), *room):
            text = axes.text(x, y, clean_label(label, 28), fontsize=7, ha="center", va="center")
            text.set_bbox({"facecolor": "white", "alpha": 0.6, "pad": 0.8, "lw": 0})
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks([])
        return []

    return Picture(draw_fitting(tiny, len(largest)), draw_full(title, "", "", draw))


def _apart(
    labels: Iterable[tuple[str, float, float]], width: float, height: float
) -> list[tuple[str, float, float]]:
    """Return the first labels that overlap none before them, at most MOST_LABELS."""
    kept: list[tuple[str, float, float]] = []
    for label, x, y in labels:
        if all(abs(x - left) > width or abs(y - top) > height for _, left, top in kept):
            kept.append((label, x, y))
    return kept[:MOST_LABELS]


def _range(values: pl.Series) -> tuple[float, float]:
    """Return the ends of an axis with a margin; a single value is in the middle."""
    low, high = float(str(values.min())), float(str(values.max()))
    margin = 0.03 * (high - low) or 1.0
    return low - margin, high + margin


def _grid(cells: pl.Series, number: int) -> Any:
    """Count the points of each cell; an empty cell is masked."""
    import numpy as np

    counts = np.bincount(cells.to_numpy(), minlength=number)
    return np.ma.masked_equal(counts, 0)
