"""Formatting of figures for people: money, counts, shares, numbers of things."""

from decimal import Decimal


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


def format_percent(share: float | None, low: float | None = None, high: float | None = None) -> str:
    """Format a share in [0, 1] in percent, with its interval; empty for None.

    Example:
        >>> format_percent(0.5, 0.25, 0.75)
        '50.0 % (25.0 to 75.0)'
    """
    if share is None:
        return ""
    text = f"{100 * share:.1f} %"
    return text if low is None or high is None else f"{text} ({100 * low:.1f} to {100 * high:.1f})"


def plural(number: int, thing: str) -> str:
    """Format a number of things.

    Example:
        >>> plural(2, "shard")
        '2 shards'
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
