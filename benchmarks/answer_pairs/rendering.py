"""Values as LaTeX, as ASCII mathematics, and with Unicode glyphs."""

import re

import sympy


def latex(value: sympy.Expr) -> str:
    r"""Return LaTeX in the style of MATH.

    Example:
        >>> latex(sympy.Rational(-1, 2))
        '-\\frac{1}{2}'
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
