r"""Gold answers with their values, read by a small LaTeX reader that no grader uses.

Example:
    >>> read(r"\frac{3}{4}")
    Gold(text='\\frac{3}{4}', kind='fraction', value=3/4)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy

MATRIX = re.compile(r"\\begin\{([pb]matrix)\}(.*?)\\end\{\1\}", re.DOTALL)
NAMES = {"pi": sympy.pi, "i": sympy.I}
FUNCTIONS = {name: getattr(sympy, name) for name in ("sqrt", "cbrt", "root")}

_TYPOGRAPHY = re.compile(r"(\\\\)|\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;! ]|~|\$")
_COMMAND = re.compile(r"\\[A-Za-z]+|\\.")
_DIGITS = re.compile(r"[0-9]+")
_BASE = re.compile(r"([0-9]+)_\{?([0-9]+)\}?")
_RATIO = re.compile(r"([0-9]+):([0-9]+)")
_MIXED = re.compile(r"([0-9]+) ?\\[dt]?frac ?(?:\{([0-9]+)\}|([0-9])) ?(?:\{([0-9]+)\}|([0-9]))")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:(?:,\\! ?|\{,\}|,|,\\ )[0-9]{3})+")
_MEASURE = re.compile(r"(.*?[^\\\s])(?:\\,|\\ |\s)*\\(?:text|mbox|mathrm)\{\s*([A-Za-z .]+?)\.?\}(\^2|\^3)?")
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
    plain = re.sub(r"\s+", " ", _typeset(text.replace(r"\$", "USD"))).strip()
    for kind, reader in READERS.items():
        try:
            value = reader(plain, text)
        except (ValueError, SyntaxError, TypeError, AttributeError, IndexError):
            continue
        if value is not None:
            return Gold(text, kind, value)
    return None


def expression(text: str) -> sympy.Expr:
    r"""Return the value of LaTeX or ASCII mathematics.

    Raises:
        ValueError: The text is none of these, or needs more than arithmetic.

    Example:
        >>> expression(r"\frac{1}{2} + 2\sqrt{3}")
        1/2 + 2*sqrt(3)
    """
    text = _typeset(text).strip()
    if not text or re.search(r"[=<>:;!?'\"&|_%]|,|[fgh]\([a-z]\)", text):
        raise ValueError(text)
    python = _python(text)
    if re.search(r"\*\*\(?[0-9]{3}", python):
        raise ValueError(text)
    # A letter is a symbol unless it is part of a function's name.
    names = [name for name in re.findall(r"[A-Za-z]+", python)]
    allowed = {*NAMES, *FUNCTIONS}
    if any(len(name) > 1 and name not in allowed for name in names):
        raise ValueError(text)
    python = _implicit(python)
    symbols = {name: sympy.Symbol(name) for name in names if name not in allowed}
    tree = compile(python, "<gold>", "eval")
    value = eval(  # noqa: S307 (letters, digits and operators only)
        tree, {"__builtins__": {}}, {**symbols, **NAMES, **FUNCTIONS, "Q": sympy.Rational}
    )
    return sympy.sympify(value)


def _typeset(text: str) -> str:
    """Remove typography, but no row break of a matrix."""
    return _TYPOGRAPHY.sub(lambda match: match[1] or "", text)


def _python(text: str) -> str:
    """Translate LaTeX to Python with implicit products."""
    out, position = "", 0
    while position < len(text):
        match = _COMMAND.match(text, position)
        if match is None:
            character = text[position]
            position += 1
            if character in "{[":
                character = "("
            elif character in "}]":
                character = ")"
            out += "**" if character == "^" else character
            if character == "^":
                digits = _DIGITS.match(text, position)  # nobody means x^1 * 0 by x^10
                part, position = (
                    (digits[0], digits.end()) if digits else _argument(text, position)
                )
                out += f"({_python(part)})"
            continue
        name, position = match[0], match.end()
        if name in (r"\frac", r"\dfrac", r"\tfrac", r"\cfrac"):
            top, position = _argument(text, position)
            bottom, position = _argument(text, position)
            out += f"(({_python(top)})/({_python(bottom)}))"
        elif name == r"\sqrt":
            index = "2"
            if text[position : position + 1] == "[":
                end = text.index("]", position)
                index, position = text[position + 1 : end], end + 1
            part, position = _argument(text, position)
            out += f"root(({_python(part)}),({_python(index)}))"
        elif name == r"\pi":
            out += " pi "
        elif name in (r"\cdot", r"\times"):
            out += "*"
        else:
            raise ValueError(text)
    return out


def _argument(text: str, position: int) -> tuple[str, int]:
    """Return the argument of a command, and the position after it."""
    while text[position : position + 1] == " ":
        position += 1
    if position >= len(text):
        raise ValueError(text)
    if text[position] == "{":
        depth = 0
        for end in range(position, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return text[position + 1 : end], end + 1
        raise ValueError(text)
    if text[position] == "\\":
        match = _COMMAND.match(text, position)
        assert match is not None
        return match[0], match.end()
    return text[position], position + 1


def _implicit(python: str) -> str:
    """Make products explicit and numbers exact."""
    tokens = re.findall(r"[0-9]*\.[0-9]+|[0-9]+\.?|pi|sqrt|root|cbrt|[A-Za-z]|\*\*|[-+*/(),]", python)
    if "".join(tokens) != re.sub(r"\s", "", python):
        raise ValueError(python)
    out: list[str] = []
    previous = ""
    for token in tokens:
        starts = bool(re.match(r"[0-9.A-Za-z(]", token))
        ends = bool(re.match(r"[0-9.A-Za-z)]", previous)) and previous not in FUNCTIONS
        if starts and ends:
            if re.match(r"[0-9.]", token) and re.match(r"[0-9.]", previous):
                raise ValueError(python)
            out.append("*")
        number = re.match(r"[0-9.]", token)
        out.append(f"Q('{token.rstrip('.')}')" if number else token)
        previous = token
    return "".join(out)


def split(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def matrix(text: str) -> list[list[sympy.Expr]]:
    """Return the rows of a matrix in LaTeX."""
    match = MATRIX.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    body = match[2].strip().removesuffix("\\\\")
    rows = [[expression(cell) for cell in row.split("&")] for row in body.split("\\\\")]
    if len({len(row) for row in rows}) != 1:
        raise ValueError(text)
    return rows


def numbers(texts: Sequence[str]) -> list[sympy.Expr]:
    """Return the values of texts, none of which has a symbol."""
    values = [expression(text) for text in texts]
    if any(value.free_symbols for value in values):
        raise ValueError(texts)
    return values


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


def boxed(solution: str) -> str | None:
    r"""Return the content of the last `\boxed{...}`.

    Example:
        >>> boxed(r"so $x = \boxed{\frac{1}{2}}$")
        '\\frac{1}{2}'
    """
    start = solution.rfind(r"\boxed{")
    if start < 0:
        return None
    try:
        return _argument(solution, start + len(r"\boxed"))[0]
    except ValueError:
        return None


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
    if re.fullmatch(r"-\\infty", low.strip()):
        left = -sympy.oo
    else:
        left = numbers([low])[0]
    right = sympy.oo if re.fullmatch(r"\+?\\infty", high.strip()) else numbers([high])[0]
    if not left < right:
        raise ValueError(text)
    return Interval(left, right, text[0] == "[", text[-1] == "]")


def _interval(plain: str, text: str) -> Any:
    if not _INTERVAL.fullmatch(plain) or ("[" not in plain and "]" not in plain and "infty" not in plain):
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
