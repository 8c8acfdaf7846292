"""Formatting of figures for the terminal: money, counts, intervals, tables."""

import sys
from collections.abc import Callable
from decimal import Decimal

from rich.console import Console
from rich.table import Table

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


def format_price(known: Decimal | None, unpriced: int) -> str:
    """Format the price of answers in US dollars.

    Args:
        known: Sum of the known prices.
        unpriced: Number of answers of unknown price; if positive, the result is never 0.

    Example:
        >>> format_price(Decimal("0.25"), 3)
        '>= 0.250'
    """
    if not unpriced:
        return format_money(known or Decimal(0))
    return f">= {format_money(known)}" if known else "unknown"


def format_money(amount: Decimal) -> str:
    """Format an amount with its significant digits: 12,345.67, 1.2345, 0.000123."""
    if abs(amount) >= 100:
        return f"{amount:,.2f}"
    if abs(amount) >= 1 or not amount:
        return f"{amount:.4f}" if amount else "0"
    return format_number(float(amount))


def format_number(value: float) -> str:
    """Format a number with three significant digits and without an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.2e}'):f}"


def format_count(value: float) -> str:
    """Format a count as a whole number."""
    return f"{value:,.0f}"


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


def plural(number: int, thing: str) -> str:
    """Format a number of things.

    Example:
        >>> plural(2, "shard")
        '2 shards'
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
