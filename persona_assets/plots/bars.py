"""Bars as SVG in two sizes (see `pictures`)."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from persona_assets.plots.pictures import (
    COLOURS,
    Legend,
    Picture,
    TinySvg,
    clean_label,
    draw_fitting,
    draw_full,
    empty_picture,
    exact_number,
    short_number,
)


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
