"""Values as LaTeX, as ASCII mathematics, with Unicode glyphs, and as decimals."""

import re

import sympy
from answer_pairs.golds import Gold, Interval


def latex(value: sympy.Expr) -> str:
    r"""Return LaTeX as sympy writes it.

    Example:
        >>> latex(sympy.Rational(-1, 2))
        '- \\frac{1}{2}'
    """
    return str(sympy.latex(value))


def ascii_math(value: sympy.Expr) -> str:
    """Return the value as Python and sympy write it.

    Example:
        >>> ascii_math(3 * sympy.sqrt(2) / 2)
        '3*sqrt(2)/2'
    """
    return str(value).replace("I", "i")


def superscript(number: int) -> str:
    """Return an integer in raised digits.

    Example:
        >>> superscript(-12)
        '⁻¹²'
    """
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def glyphs(value: sympy.Expr) -> str | None:
    """Return the value with glyphs for roots, pi and powers, or None if a power is no integer.

    Example:
        >>> glyphs(2 * sympy.sqrt(3) + sympy.Symbol("x") ** 2)
        'x² + 2√3'
    """
    text = ascii_math(value)
    text = re.sub(r"sqrt\(([0-9]+)\)", r"√\1", text).replace("sqrt(", "√(")
    text = re.sub(r"\bpi\b", "π", text)
    text = re.sub(r"\*\*([0-9]+)", lambda match: superscript(int(match[1])), text)
    if "**" in text:
        return None
    return re.sub(r"(?<=[0-9a-zπ²³⁴⁵⁶⁷⁸⁹)])\*(?=[a-zπ√(])", "", text)


def decimal_text(value: sympy.Rational) -> str | None:
    """Return the finite decimal expansion of a number, if it has one."""
    bottom = int(value.q)
    twos = fives = 0
    while bottom % 2 == 0:
        bottom, twos = bottom // 2, twos + 1
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    places = max(twos, fives)
    if bottom != 1 or places > 12:
        return None
    digits = str(abs(int(value * 10**places))).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def repeating(value: sympy.Rational) -> tuple[str, str] | None:
    """Return the digits of a number before and in its period, if this is short."""
    sign, value = ("-" if value < 0 else ""), abs(value)
    whole, rest = divmod(int(value.p), int(value.q))
    digits, seen = "", {}
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, int(value.q))
        digits += str(digit)
        if len(digits) > 9:
            return None
    if not rest:
        return None
    return f"{sign}{whole}.{digits[: seen[rest]]}", digits[seen[rest] :]


def grouped(number: int, separator: str) -> str:
    return f"{number:,}".replace(",", separator)


def scientific(value: sympy.Rational) -> tuple[str, int] | None:
    """Return the mantissa as a decimal and the exponent of ten."""
    if value == 0 or decimal_text(value) is None:
        return None
    exponent = 0
    mantissa = value
    while abs(mantissa) >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    while abs(mantissa) < 1:
        mantissa, exponent = mantissa * 10, exponent - 1
    text = decimal_text(mantissa)
    return (text, exponent) if text and (exponent > 2 or exponent < -1) and len(text) < 9 else None


def summands(value: sympy.Expr) -> list[sympy.Expr]:
    return list(sympy.Add.make_args(sympy.expand(value)))


def _end(value: sympy.Expr, style: str) -> str:
    if value.is_infinite:
        sign = "-" if value < 0 else ("+" if style == "plus" else "")
        return sign + {"glyph": "∞", "oo": "oo", "inf": "inf"}.get(style, "\\infty")
    return ascii_math(value) if style in ("oo", "inf", "glyph") else latex(value)


def interval_text(interval: Interval, style: str = "") -> str:
    left = "[" if interval.low_closed else "("
    right = "]" if interval.high_closed else ")"
    return f"{left}{_end(interval.low, style)}, {_end(interval.high, style)}{right}"


def inequality(interval: Interval, signs: tuple[str, str], name: str = "x") -> str:
    """Write an interval as an inequality; `signs` are less, less or equal."""
    low_sign, high_sign = signs[interval.low_closed], signs[interval.high_closed]
    if interval.low.is_infinite and interval.high.is_infinite:
        raise ValueError("all numbers")
    if interval.low.is_infinite:
        return f"{name} {high_sign} {latex(interval.high)}"
    if interval.high.is_infinite:
        return f"{name} {GREATER[low_sign]} {latex(interval.low)}"
    return f"{latex(interval.low)} {low_sign} {name} {high_sign} {latex(interval.high)}"


GREATER = {
    "<": ">",
    r"\le": r"\ge",
    r"\leq": r"\geq",
    "≤": "≥",
    "<=": ">=",
    r"\leqslant": r"\geqslant",
    r"\lt": r"\gt",
}


def intervals(gold: Gold) -> list[Interval]:
    return [gold.value] if gold.kind == "interval" else list(gold.value)


def sign_and_parts(gold: Gold) -> tuple[str, int, int]:
    """Return a fraction as "-" or nothing, numerator and denominator."""
    value = gold.value
    return ("-" if value < 0 else ""), abs(int(value.p)), int(value.q)
