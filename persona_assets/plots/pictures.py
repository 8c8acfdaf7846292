"""How a picture is made: a tiny SVG by hand, a full one by matplotlib, and its Markdown.

What is drawn belongs in `charts`. The UI shows Markdown of fewer than 1,000 characters in place and
puts anything longer behind a link, hence two sizes.
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
MAX_ALT = 50
MAX_LABEL = 40

LEFT, RIGHT, TOP, BOTTOM = 30, 236, 5, 58
"""The plotting area of a tiny picture, in pixels."""

# Okabe and Ito's palette, which colour-blind readers can tell apart, in three hex digits.
COLOURS = ("#07b", "#d50", "#096", "#c7a", "#5be", "#e90")

_GREY = "#888"  # reads on white and on black: a tiny picture has no background of its own
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
"""Artists of matplotlib, and what each stands for."""

Draw = Callable[[Any], Legend]
"""Draws on a matplotlib `Axes` (whose type hints are partly unknown) and returns the legend."""

_Item = TypeVar("_Item")


class Picture(NamedTuple):
    """One picture in two sizes, each a complete SVG document; the same data give the same bytes."""

    tiny: str
    full: str


def svg_markdown(svg: str, alt: str) -> str:
    """An SVG as a Markdown image that needs no file; under 1,000 characters for a tiny one."""
    words = re.sub(r"[^\w .,:;%+=/()'-]", "", clean_label(alt, MAX_ALT))
    return _IMAGE.format(alt=words, data=b64encode(svg.encode()).decode())


class Tiny:
    """A drawing of 240 x 72 pixels, in whole pixels, for values between the given ends.

    Its base line is zero where that lies between the ends, else the lower end.
    """

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self._low, self._high = low, high
        self._first, self._last = first, last
        self._grey = f"M{LEFT} {self.y(0) if low < 0 < high else BOTTOM}H{RIGHT}"
        self._parts: list[str] = []

    def x(self, value: float) -> int:
        share = (
            (value - self._first) / (self._last - self._first) if self._last > self._first else 0.5
        )
        return round(LEFT + (RIGHT - LEFT) * share)

    def y(self, value: float) -> int:
        share = (value - self._low) / (self._high - self._low) if self._high > self._low else 0.5
        return round(BOTTOM - (BOTTOM - TOP) * share)

    def lines(self, colour: str, path: str, more: str = "") -> None:
        self._parts.append(f'<path stroke="{colour}"{more} d="{path}"/>')

    def grey(self, path: str) -> None:
        """Adds to the path of the base line."""
        self._grey += path

    def text(self, x: int, words: str, y: int = 69) -> None:
        if words:
            self._parts.append(f'<text x="{x}" y="{y}">{escape(words)}</text>')

    def ends(self, first: str, last: str) -> None:
        """Labels of the two ends of the horizontal axis, or one where they are the same."""
        self.text(self.x(self._first) if first == last else LEFT + 5 * len(first) // 2, first)
        if last != first:
            self.text(RIGHT - 5 * len(last) // 2, last)

    def svg(self, low: str, high: str, missing: int = 0) -> str:
        """The document, with the ends of its vertical axis and how many items did not fit."""
        self.text(15, high, 12)
        self.text(15, low, 60)
        self.text(228, f"+{missing}" if missing else "", 9)
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" width="240" height="72" '
            f'style="font:9px sans-serif;text-anchor:middle;fill:{_GREY}"><path stroke="{_GREY}" '
            f'd="{self._grey}"/>{"".join(self._parts)}</svg>'
        )


def draw_fitting(draw: Callable[[int], str], items: int) -> str:
    """The tiny picture with as many of its items as fit: `draw(n)` draws the first n."""
    sizes = (draw(shown) for shown in range(min(items, 40), -1, -1))
    return next(svg for svg in sizes if len(svg.encode()) <= _TINY_BYTES)


def draw_full(title: str, x_label: str, y_label: str, draw: Draw) -> str:
    """An SVG by matplotlib on white ground, with its text as text and no date."""
    from matplotlib.figure import Figure

    matplotlib: Any = import_module("matplotlib")
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Whoever looks at the picture has the fonts for other scripts.
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
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()


def empty_picture(title: str) -> Picture:
    """A picture that says that there is nothing to draw."""
    tiny = Tiny(0, 1, 0, 1)
    tiny.text((LEFT + RIGHT) // 2, "no data", 36)

    def draw(axes: Any) -> Legend:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return []

    return Picture(tiny.svg("", ""), draw_full(title, "", "", draw))


def clean_label(text: str, length: int = MAX_LABEL) -> str:
    """Text from data as one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def short_number(value: float) -> str:
    """A number in at most six characters or so: 6,160 or 12.3k or 1.05M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:,.4g}"


def exact_number(value: float) -> str:
    """A whole number with all its digits, another with four."""
    return f"{value:,.0f}" if abs(value) < 1e12 and value == round(value) else f"{value:,.4g}"


def colour(index: int) -> str:
    """The colour of the series with this number; from the seventh on they repeat."""
    return COLOURS[index % len(COLOURS)]


def spread_evenly(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """At most `most` of the items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def space_ticks(ticks: Sequence[float], gap: float) -> list[float]:
    """The ticks that leave room for each other's labels."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick - kept[-1] >= gap:
            kept.append(tick)
    return kept
