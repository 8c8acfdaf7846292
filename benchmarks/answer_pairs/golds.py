r"""Gold answers with their values, read by a small LaTeX reader that no grader uses.

Example:
    >>> read(r"\frac{3}{4}")
    Gold(text='\\frac{3}{4}', kind='fraction', value=3/4)
"""

import re
from dataclasses import dataclass
from typing import Any

import sympy
from answer_pairs.latex import MATRIX, expression, matrix, numbers, split, typeset

_BASE = re.compile(r"([0-9]+)_\{?([0-9]+)\}?")


_RATIO = re.compile(r"([0-9]+):([0-9]+)")


_MIXED = re.compile(r"([0-9]+) ?\\[dt]?frac ?(?:\{([0-9]+)\}|([0-9])) ?(?:\{([0-9]+)\}|([0-9]))")


_THOUSANDS = re.compile(r"[0-9]{1,3}(?:(?:,\\! ?|\{,\}|,|,\\ )[0-9]{3})+")


_MEASURE = re.compile(
    r"(.*?[^\\\s])(?:\\,|\\ |\s)*\\(?:text|mbox|mathrm)\{\s*([A-Za-z .]+?)\.?\}(\^2|\^3)?"
)


_INTERVAL = re.compile(r"[(\[][^()\[\]]*[)\]]")


@dataclass(frozen=True)
class Gold:
    """Gold answer.

    Attributes:
        text: The answer as its data set writes it.
        kind: Kind of value, one of those of `read`.
        value: sympy number or expression, or a structure of these.
    """

    text: str
    kind: str
    value: Any


@dataclass(frozen=True)
class Interval:
    """Interval of real numbers."""

    low: sympy.Expr
    high: sympy.Expr
    low_closed: bool
    high_closed: bool


def read(text: str) -> Gold | None:
    r"""Return the value of a gold answer, or None for an answer of another kind.

    Kinds and their values:
        integer, fraction, decimal: sympy.Rational.
        percent, degrees, money: sympy.Rational, the number as written.
        measure: Number and unit.
        base: Digits and base, as texts.
        ratio: Two integers.
        surd, pi, complex, power: Real number with roots, with pi, complex number, huge power.
        expression: sympy expression with symbols.
        equation: Both sides. assignment: A symbol and a number.
        tuple: Numbers in an order. list: Numbers in any order.
        interval: `Interval`. union: Intervals.
        matrix: Rows of expressions.
        letter: A letter. word: Words. constant: Empty set, infinity, all real numbers.
        factorial: Whether it is a reciprocal, and the argument. reciprocal: Base and exponent.
        plusminus: Both numbers.
    """
    plain = re.sub(r"\s+", " ", typeset(text.replace(r"\$", "USD"))).strip()
    for kind, reader in READERS.items():
        try:
            value = reader(plain, text)
        except (ValueError, SyntaxError, TypeError, AttributeError, IndexError):
            continue
        if value is not None:
            return Gold(text, kind, value)
    return None


def _integer(plain: str, text: str) -> Any:
    if _THOUSANDS.fullmatch(text.strip()):
        return sympy.Integer(re.sub(r"[^0-9]", "", text))
    return sympy.Integer(plain) if re.fullmatch(r"-?[0-9]+", plain) else None


def _decimal(plain: str, text: str) -> Any:
    return sympy.Rational(plain) if re.fullmatch(r"-?[0-9]*\.[0-9]+", plain) else None


def _fraction(plain: str, text: str) -> Any:
    if match := _MIXED.fullmatch(plain):
        whole, top, bottom = match[1], match[2] or match[3], match[4] or match[5]
        return sympy.Integer(whole) + sympy.Rational(int(top), int(bottom))
    if "frac" not in plain and "/" not in plain:
        return None
    value = expression(plain)
    return value if value.is_Rational and not value.is_Integer else None


def _percent(plain: str, text: str) -> Any:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) ?\\?%", plain)
    return sympy.Rational(match[1]) if match else None


def _degrees(plain: str, text: str) -> Any:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) ?\^ ?\{?\\circ\}?", plain)
    return sympy.Rational(match[1]) if match else None


def _money(plain: str, text: str) -> Any:
    match = re.fullmatch(r"USD ?([0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?)", plain)
    return sympy.Rational(match[1].replace(",", "")) if match else None


def _measure(plain: str, text: str) -> Any:
    match = _MEASURE.fullmatch(text.strip())
    if match is None or "and" in match[2].split() or match[2] in ("a.m.", "p.m.", "a.m", "p.m"):
        return None
    thousands = _THOUSANDS.fullmatch(match[1])
    number = re.sub(r"[^0-9]", "", match[1]) if thousands else match[1]
    return expression(number), match[2].strip() + (match[3] or "")


def _base(plain: str, text: str) -> Any:
    match = _BASE.fullmatch(plain)
    return (match[1], match[2]) if match else None


def _ratio(plain: str, text: str) -> Any:
    match = _RATIO.fullmatch(plain)
    return (int(match[1]), int(match[2])) if match else None


def _letter(plain: str, text: str) -> Any:
    match = re.fullmatch(r"(?:\\text(?:bf)?\{)?\(?([A-Z])\)?\}?", plain)
    return match[1] if match else None


def _word(plain: str, text: str) -> Any:
    match = re.fullmatch(r"\\(?:text|mbox)\{ ?([A-Za-z][A-Za-z ]+?) ?\}", plain)
    return match[1] if match else None


def _real(plain: str) -> Any:
    value = expression(plain)
    return value if not value.free_symbols and value.is_real else None


def _surd(plain: str, text: str) -> Any:
    value = _real(plain) if "sqrt" in plain else None
    return value if value is not None and not value.has(sympy.pi) else None


def _pi(plain: str, text: str) -> Any:
    value = _real(plain) if "pi" in plain else None
    return value if value is not None and value.has(sympy.pi) else None


def _complex(plain: str, text: str) -> Any:
    value = expression(plain)
    if value.free_symbols or not value.has(sympy.I):
        return None
    parts = value.as_real_imag()
    return value if all(part.is_Rational for part in parts) else None


def _power(plain: str, text: str) -> Any:
    match = re.fullmatch(r"([0-9]+)\^\{([0-9]+)\}", plain)
    return (int(match[1]), int(match[2])) if match else None


def _factorial(plain: str, text: str) -> Any:
    match = re.fullmatch(r"(\\frac\{1\}\{)?([0-9]+)!(?(1)\})", plain)
    return (bool(match[1]), int(match[2])) if match else None


def _reciprocal(plain: str, text: str) -> Any:
    match = re.fullmatch(r"\\frac\{1\}\{([0-9]+)\^\{([0-9]+)\}\}", plain)
    return (int(match[1]), int(match[2])) if match else None


def _plus_minus(plain: str, text: str) -> Any:
    if plain.count(r"\pm") != 1:
        return None
    values = [expression(plain.replace(r"\pm", sign)) for sign in "+-"]
    return None if values[0].free_symbols else values


def _constant(plain: str, text: str) -> Any:
    return plain if plain in CONSTANTS else None


CONSTANTS = (r"\emptyset", r"\infty", r"-\infty", r"\mathbb{R}")


def _expression(plain: str, text: str) -> Any:
    value = expression(plain)
    return value if value.free_symbols and not value.has(sympy.I) else None


def _assignment(plain: str, text: str) -> Any:
    match = re.fullmatch(r"([a-zA-Z]) ?= ?(.+)", plain)
    if match is None:
        return None
    value = expression(match[2])
    return None if value.free_symbols else (sympy.Symbol(match[1]), value)


def _equation(plain: str, text: str) -> Any:
    if plain.count("=") != 1:
        return None
    left, right = map(expression, plain.split("="))
    return (left, right) if left.free_symbols else None


def _tuple(plain: str, text: str) -> Any:
    if not re.fullmatch(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", plain) or "infty" in plain:
        return None
    parts = split(plain[1:-1])
    return numbers(parts) if len(parts) > 1 else None


def _one_interval(text: str) -> Interval:
    low, high = split(text[1:-1])
    left = -sympy.oo if low == r"-\infty" else numbers([low])[0]
    right = sympy.oo if re.fullmatch(r"\+?\\infty", high.strip()) else numbers([high])[0]
    if not left < right:
        raise ValueError(text)
    return Interval(left, right, text[0] == "[", text[-1] == "]")


def _interval(plain: str, text: str) -> Any:
    if not _INTERVAL.fullmatch(plain) or (
        "[" not in plain and "]" not in plain and "infty" not in plain
    ):
        return None
    return _one_interval(plain)


def _union(plain: str, text: str) -> Any:
    parts = [part.strip() for part in plain.split(r"\cup")]
    if len(parts) < 2 or not all(_INTERVAL.fullmatch(part) for part in parts):
        return None
    return [_one_interval(part) for part in parts]


def _list(plain: str, text: str) -> Any:
    inside = re.sub(r"^\\\{(.*)\\\}$", r"\1", plain)
    inside = re.sub(r",? ?\\text\{ ?,?(?:and|or) ?\}", ",", inside)
    parts = split(inside)
    if len(parts) < 2 or _THOUSANDS.fullmatch(text.strip()):
        return None
    values = numbers(parts)
    return values if len(set(values)) == len(values) else None


def _matrix(plain: str, text: str) -> Any:
    return matrix(plain) if MATRIX.fullmatch(plain) else None


READERS = {
    "integer": _integer,
    "decimal": _decimal,
    "percent": _percent,
    "degrees": _degrees,
    "money": _money,
    "base": _base,
    "ratio": _ratio,
    "letter": _letter,
    "word": _word,
    "measure": _measure,
    "matrix": _matrix,
    "union": _union,
    "interval": _interval,
    "tuple": _tuple,
    "assignment": _assignment,
    "equation": _equation,
    "list": _list,
    "power": _power,
    "constant": _constant,
    "factorial": _factorial,
    "reciprocal": _reciprocal,
    "plusminus": _plus_minus,
    "fraction": _fraction,
    "surd": _surd,
    "pi": _pi,
    "complex": _complex,
    "expression": _expression,
}
