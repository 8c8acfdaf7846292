"""Agreement matrix: a cell per pair of graders, as SVG in two sizes (see `pictures`)."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from persona_assets.plots.pictures import (
    COLOURS,
    Legend,
    Picture,
    TinySvg,
    clean_label,
    draw_full,
    empty_picture,
)

TITLE = "Agreement of graders"

_PAIR = ("first", "second", "n", "agreement", "kappa")


def draw_agreement_matrix(
    agreement: pl.DataFrame, graders: Sequence[str], benchmark: str
) -> Picture:
    """Draw the agreement of each two of up to four graders, with kappa in the full picture.

    Args:
        agreement: Columns `benchmark`, `first`, `second`, `n`, `agreement` and `kappa`.
        graders: Graders in the order of rows and columns.
        benchmark: Value of the column `benchmark` to draw.
    """
    rows = agreement.filter(pl.col("benchmark") == benchmark, pl.col("agreement").is_not_null())
    if rows.is_empty():
        return empty_picture(TITLE)
    cells = {
        (graders.index(first), graders.index(second)): (n, share, kappa)
        for first, second, n, share, kappa in rows.select(_PAIR).iter_rows()
    }
    last = len(graders) - 1

    tiny = TinySvg(0, 1, -0.5, last - 0.5)
    height = 54 // last
    for column in range(last):
        tiny.add_text(tiny.x(column), clean_label(graders[column], 10))
    for row in range(1, len(graders)):
        y = 4 + height * (row - 1) + height // 2
        tiny.add_text(22, clean_label(graders[row], 8), y + 3)
        for column in range(row):
            x = tiny.x(column)
            _, share, _ = cells.get((column, row), (0, None, None))
            strength = "" if share is None else f' stroke-opacity="{share / 4:.2f}"'
            if share is not None:
                path = f"M{x - 30} {y}H{x + 30}"
                tiny.add_path(COLOURS[0], path, f'{strength} stroke-width="{height - 3}"')
            tiny.add_text(x, "-" if share is None else f"{100 * share:.1f} %", y + 3)

    def draw(axes: Any) -> Legend:
        axes.grid(visible=False)
        for row in range(1, len(graders)):
            for column in range(row):
                n, share, kappa = cells.get((column, row), (0, None, None))
                of_kappa = "not defined" if kappa is None else f"{kappa:.2f}"
                label = (
                    "no verdicts"
                    if share is None
                    else f"{100 * share:.1f} % agree\nkappa {of_kappa}\nn = {n:,}"
                )
                place = (column - 0.5, row - 0.5)
                strength = 0 if share is None else share / 2
                axes.add_patch(_square(place, strength))
                axes.text(column, row, label, ha="center", va="center")
        axes.set_xlim(-0.5, last - 0.5)
        axes.set_ylim(last + 0.5, 0.5)
        axes.set_xticks(range(last), [clean_label(name) for name in graders[:last]])
        axes.set_yticks(range(1, last + 1), [clean_label(name) for name in graders[1:]])
        return []

    return Picture(tiny.render("", ""), draw_full(TITLE, "", "", draw))


def _square(corner: tuple[float, float], strength: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, facecolor=COLOURS[0], alpha=strength, edgecolor="white")
