"""Reader of LaTeX and ASCII mathematics, without any library that a grader uses but sympy."""

import re
from collections.abc import Sequence

import sympy

NAMES = {"pi": sympy.pi, "i": sympy.I}


FUNCTIONS = {name: getattr(sympy, name) for name in ("sqrt", "cbrt", "root")}


_TYPOGRAPHY = re.compile(r"(\\\\)|\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;! ]|~|\$")


_COMMAND = re.compile(r"\\[A-Za-z]+|\\.")


_DIGITS = re.compile(r"[0-9]+")


MATRIX = re.compile(r"\\begin\{([pb]matrix)\}(.*?)\\end\{\1\}", re.DOTALL)


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


def expression(text: str) -> sympy.Expr:
    r"""Return the value of LaTeX or ASCII mathematics.

    Raises:
        ValueError: The text is none of these, or needs more than arithmetic.

    Example:
        >>> expression(r"\frac{1}{2} + 2\sqrt{3}")
        1/2 + 2*sqrt(3)
    """
    text = typeset(text).strip()
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
    value = eval(tree, {"__builtins__": {}}, {**symbols, **NAMES, **FUNCTIONS, "Q": sympy.Rational})
    return sympy.sympify(value)


def typeset(text: str) -> str:
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
                part, position = (digits[0], digits.end()) if digits else _argument(text, position)
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
    tokens = re.findall(
        r"[0-9]*\.[0-9]+|[0-9]+\.?|pi|sqrt|root|cbrt|[A-Za-z]|\*\*|[-+*/(),]", python
    )
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
