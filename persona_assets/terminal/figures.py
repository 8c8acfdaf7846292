"""Formatting of figures for the terminal: tables, times, intervals; numbers: `number_format`."""

import re
import sys
from collections.abc import Callable, Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from persona_assets.number_format import format_number
from persona_assets.planning.estimate import Interval

# Control characters but line feeds and tabs, and those that turn the direction of a line.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return a text without characters that control a terminal: texts of others may hold them.

    Example:
        >>> printable("A\x1b[2J nurse")
        'A[2J nurse'
    """
    return _CONTROL.sub("", text)


class _PlainConsole(Console):
    """Console that obeys no control character of a text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render without the control characters of texts, to which rich gives no width."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text), style)


# A pipe has no width, and rich would wrap tables at 80 columns.
OUT = _PlainConsole(highlight=False, width=None if sys.stdout.isatty() else 160)
"""Console of all commands."""


def figure_table(*heads: str, left: int) -> Table:
    """Build a table without lines.

    Args:
        heads: Column heads.
        left: Number of leading columns that hold text; all later columns hold figures.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < left else "right")
    return table


def format_duration(hours: float) -> str:
    """Format a time in seconds, minutes, hours or days.

    Example:
        >>> format_duration(1.5)
        '1.50 h'
    """
    units = (("s", 1 / 3600, 1 / 60), ("min", 1 / 60, 1.0), ("h", 1.0, 48.0))
    name, unit = next(((name, unit) for name, unit, end in units if hours < end), ("days", 24.0))
    return f"{format_number(hours / unit)} {name}"


def format_interval(interval: Interval | None, shown: Callable[[float], str]) -> str:
    """Format an estimate with the bounds of its interval on a second line; empty for None."""
    if interval is None:
        return ""
    if interval.low is None or interval.high is None:
        return f"about {shown(interval.estimate)}"
    return f"{shown(interval.estimate)}\n{shown(interval.low)} to {shown(interval.high)}"
