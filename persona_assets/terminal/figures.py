"""Formatting of figures for the terminal: tables, times, intervals; numbers: `number_format`."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from persona_assets.number_format import format_number
from persona_assets.planning.estimate import Interval

# A pipe has no width, and rich would wrap tables at 80 columns.
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
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
