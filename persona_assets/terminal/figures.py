"""Figures as people read them: money, counts, intervals, tables of them."""

import sys
from collections.abc import Callable
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from persona_assets.planning.estimate import Interval

# A pipe has no width: tables that are not shown on a terminal are as wide as they need.
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def columns(*heads: str, left: int) -> Table:
    """A table without lines, whose first `left` columns are text and whose others are figures."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number < left else "right")
    return table


def price(known: Decimal | None, unpriced: int) -> str:
    """US dollars of answers, `unpriced` ones of which have no known price: then never 0."""
    if not unpriced:
        return money(known or Decimal(0))
    return f">= {money(known)}" if known else "unknown"


def money(amount: Decimal) -> str:
    """An amount with the digits that matter: 12,345.67, 1.2345, 0.000123."""
    if abs(amount) >= 100:
        return f"{amount:,.2f}"
    if abs(amount) >= 1 or not amount:
        return f"{amount:.4f}" if amount else "0"
    return figure(float(amount))


def figure(value: float) -> str:
    """A number with three digits that matter, and without an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.2e}'):f}"


def count(value: float) -> str:
    """A number of things, of which parts do not exist."""
    return f"{value:,.0f}"


def duration(hours: float) -> str:
    """A time in the unit that suits it."""
    units = (("s", 1 / 3600, 1 / 60), ("min", 1 / 60, 1.0), ("h", 1.0, 48.0))
    name, unit = next(((it, one) for it, one, less in units if hours < less), ("days", 24.0))
    return f"{figure(hours / unit)} {name}"


def between(interval: Interval | None, shown: Callable[[float], str]) -> str:
    """An estimate, and below it the bounds of its interval; empty for None."""
    if interval is None:
        return ""
    if interval.low is None or interval.high is None:
        return f"about {shown(interval.estimate)}"
    return f"{shown(interval.estimate)}\n{shown(interval.low)} to {shown(interval.high)}"


def plural(number: int, thing: str) -> str:
    """So many things, in words."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
