"""Primitives of pictures: a tiny hand-written SVG, a full SVG by matplotlib, and their Markdown.

Two sizes, because the UI shows Markdown of fewer than 1,000 characters in place and puts longer
Markdown behind a link. Does not belong here: charts of particular figures, see the other modules.
"""

import io
import re
import warnings
from base64 import b64encode
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeVar
from xml.sax.saxutils import escape

MAX_MARKDOWN = 999
"""Largest number of characters of Markdown that the UI shows in place."""

MAX_ALT = 50
"""Largest number of characters of an alternative text."""

MAX_LABEL = 40
"""Largest number of characters of a label."""

LEFT, RIGHT, TOP, BOTTOM = 30, 236, 5, 58
"""Plotting area of a tiny picture, in pixels."""

COLOURS = ("#07b", "#d50", "#096", "#c7a", "#5be", "#e90")
"""Colours of series: the palette of Okabe and Ito, safe for colour-blind readers, in short form."""

_GREY = "#888"  # legible on white and on black: a tiny picture has no background of its own
_IMAGE = "![{alt}](data:image/svg+xml;base64,{data})"
_TINY_BYTES = (MAX_MARKDOWN - len(_IMAGE.format(alt="", data="")) - MAX_ALT) // 4 * 3
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "persona_assets",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.08,
}

Legend = list[tuple[Any, str]]
"""Artists of matplotlib with their labels."""

Draw = Callable[[Any], Legend]
"""Function that draws on a matplotlib `Axes` (incompletely typed) and returns the legend."""

_Item = TypeVar("_Item")


class Picture(NamedTuple):
    """Picture in two sizes, each a complete SVG document; equal data give equal bytes."""

    tiny: str
    full: str


def svg_markdown(svg: str, alt: str) -> str:
    """Embed an SVG in a Markdown image; a tiny picture gives fewer than 1,000 characters.

    Args:
        svg: SVG document.
        alt: Alternative text, cleaned and shortened.

    Example:
        >>> svg_markdown("<svg/>", "Figure 9")
        '![Figure 9](data:image/svg+xml;base64,PHN2Zy8+)'
    """
    words = re.sub(r"[^\w .,:;%+=/()'-]", "", clean_label(alt, MAX_ALT))
    return _IMAGE.format(alt=words, data=b64encode(svg.encode()).decode())


class TinySvg:
    """SVG drawing of 240 x 72 pixels in whole pixels.

    Its base line is at zero if zero is between `low` and `high`, else at the lower end.

    Args:
        low: Value at the bottom.
        high: Value at the top.
        first: Value at the left end.
        last: Value at the right end.
    """

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self._low, self._high = low, high
        self._first, self._last = first, last
        self._base_line = f"M{LEFT} {self.y(0) if low < 0 < high else BOTTOM}H{RIGHT}"
        self._parts: list[str] = []

    def x(self, value: float) -> int:
        """Return the horizontal pixel of a value."""
        share = (
            (value - self._first) / (self._last - self._first) if self._last > self._first else 0.5
        )
        return round(LEFT + (RIGHT - LEFT) * share)

    def y(self, value: float) -> int:
        """Return the vertical pixel of a value."""
        share = (value - self._low) / (self._high - self._low) if self._high > self._low else 0.5
        return round(BOTTOM - (BOTTOM - TOP) * share)

    def add_path(self, colour: str, path: str, attributes: str = "") -> None:
        """Add a path with a stroke colour and further attributes."""
        self._parts.append(f'<path stroke="{colour}"{attributes} d="{path}"/>')

    def extend_base_line(self, path: str) -> None:
        """Add a path in the colour of the base line."""
        self._base_line += path

    def add_text(self, x: int, text: str, y: int = 69) -> None:
        """Add a centred text; an empty text adds nothing."""
        if text:
            self._parts.append(f'<text x="{x}" y="{y}">{escape(text)}</text>')

    def add_axis_ends(self, first: str, last: str) -> None:
        """Label the ends of the horizontal axis; two equal labels are drawn once."""
        self.add_text(self.x(self._first) if first == last else LEFT + 5 * len(first) // 2, first)
        if last != first:
            self.add_text(RIGHT - 5 * len(last) // 2, last)

    def render(self, low: str, high: str, missing: int = 0) -> str:
        """Return the SVG document.

        Args:
            low: Label at the bottom of the vertical axis.
            high: Label at the top of the vertical axis.
            missing: Number of items that did not fit.
        """
        self.add_text(15, high, 12)
        self.add_text(15, low, 60)
        self.add_text(228, f"+{missing}" if missing else "", 9)
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="72" '
            f'style="font:9px sans-serif;text-anchor:middle;fill:{_GREY}"><path stroke="{_GREY}" '
            f'd="{self._base_line}"/>{"".join(self._parts)}</svg>'
        )


def draw_fitting(draw: Callable[[int], str], items: int) -> str:
    """Draw a tiny picture with as many items as fit; `draw(n)` draws the first n items."""
    sizes = (draw(shown) for shown in range(min(items, 40), -1, -1))
    return next(svg for svg in sizes if len(svg.encode()) <= _TINY_BYTES)


def draw_full(title: str, x_label: str, y_label: str, draw: Draw) -> str:
    """Draw an SVG by matplotlib, with a white background, text as text, and no date."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    matplotlib: Any = import_module("matplotlib")
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The text stays text: the viewer's browser has the fonts of other scripts.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        figure: Any = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = figure.subplots()
        title, x_label, y_label = (
            clean_label(text, 2 * MAX_LABEL) for text in (title, x_label, y_label)
        )
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        axes.grid(axis="y")
        legend = draw(axes)
        if legend:
            handles, names = zip(*legend, strict=True)
            columns = 1 if max(map(len, names)) > 25 else 3
            figure.legend(handles, names, loc="outside lower center", ncols=columns)
        svg = io.StringIO()
        # `savefig` would draw the figure twice, for a bounding box that is not used.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(svg, metadata={"Date": None, "Creator": None})
    return svg.getvalue()


def empty_picture(title: str) -> Picture:
    """Draw a picture with the text "no data"."""
    tiny = TinySvg(0, 1, 0, 1)
    tiny.add_text((LEFT + RIGHT) // 2, "no data", 36)

    def draw(axes: Any) -> Legend:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return []

    return Picture(tiny.render("", ""), draw_full(title, "", "", draw))


def clean_label(text: str, length: int = MAX_LABEL) -> str:
    """Return a text from data as a short printable line.

    Example:
        >>> clean_label("two\\nlines", 7)
        'two li…'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def short_number(value: float) -> str:
    """Format a number in about six characters.

    Example:
        >>> short_number(6160), short_number(12_345), short_number(1_050_000)
        ('6,160', '12.3k', '1.05M')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:,.4g}"


def exact_number(value: float) -> str:
    """Format a whole number with all its digits, any other number with four digits."""
    return f"{value:,.0f}" if abs(value) < 1e12 and value == round(value) else f"{value:,.4g}"


def colour(index: int) -> str:
    """Return the colour of a series by its number; colours repeat from the seventh series on."""
    return COLOURS[index % len(COLOURS)]


def spread_evenly(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """Return at most `most` items, evenly spaced, with the first and the last item.

    Example:
        >>> spread_evenly([0, 1, 2, 3, 4, 5, 6], 3)
        [0, 3, 6]
    """
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def space_ticks(ticks: Sequence[float], gap: float) -> list[float]:
    """Return ticks that are at least `gap` apart, so that their labels do not overlap."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick - kept[-1] >= gap:
            kept.append(tick)
    return kept
