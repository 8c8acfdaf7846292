r"""Equality of answers by rules on strings, in the manner of PRM800K's grader.

Both texts are normalised and compared as strings. Otherwise tuples are compared element by element,
where a fraction must be the same text, an integer equals only an integer, and sympy must reduce any
other difference to zero.
"""

import re

UNITS = [
    "degree",
    "centimeter",
    "meter",
    "mile",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "foot",
    "feet",
    "inch",
    "yard",
    "cm",
]
SCALES = {"million": "*10^6", "billion": "*10^9", "trillion": "*10^12"}
SYMBOLS = {
    r"\pi": "pi",
    r"\infty": "inf",
    r"\cup": "U",
    r"\cdot": "*",
    r"\times": "*",
    "√": "sqrt",
    "π": "pi",
    "∞": "inf",
    "∪": "U",
    "·": "*",
    "×": "*",
    r"\le": "<=",
    r"\ge": ">=",
    "^": "**",
}


def equal(gold: str, answer: str) -> bool:
    """Tell whether an answer is right.

    Example:
        >>> equal(r"\\frac{1}{2}", "1/2"), equal("(1, 2)", "(2, 1)")
        (True, False)
    """
    if _typeset(gold) == _typeset(answer):
        return True
    expected, given = _normal(gold), _normal(answer)
    if expected == given:
        return True
    if not given:
        return False
    ours, theirs = _elements(expected), _elements(given)
    if len(ours) != len(theirs):
        return False
    if len(ours) > 1 and (expected[0], expected[-1]) != (given[0], given[-1]):
        return False
    return all(_same(one, other) for one, other in zip(ours, theirs, strict=True))


def _typeset(text: str) -> str:
    """Normalise LaTeX: fractions, roots, brackets, units in text, percentages, degrees."""
    text = re.sub(r"^\\text\{(.+?)\}$", r"\1", text.strip().replace("\n", ""))
    text = text.replace("\\\\", "\\").replace("\\!", "")
    text = re.sub(r"[dt]frac", "frac", text)
    text = re.sub(r"\\left|\\right|\^\{?\\circ\}?|\\?\\%|\\\$", "", text)
    text = re.sub(r"\\text\{ .*$", "", text)
    text = re.sub(r"(^|[ {])\.", r"\g<1>0.", text)
    if text.count("=") == 1 and len(text.split("=")[0]) <= 2:
        text = text.split("=")[1]
    text = re.sub(r"\\sqrt([^{])", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac([^{\\])([^{\\])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac([^{\\])\{", r"\\frac{\1}{", text)
    if text == "0.5":
        return r"\frac{1}{2}"
    return re.sub(r"^(-?[0-9]+)/(-?[0-9]+)$", r"\\frac{\1}{\2}", text)


def _normal(text: str) -> str:
    """Normalise to ASCII without units, braces, spaces and capitals."""
    text = re.sub(r"^\\text\{(.+?)\}$", r"\1", text)
    text = re.sub(r"\\?[%$]", "", text)
    text = re.sub(r" (?:or|and) ", " , ", text)
    for word, power in SCALES.items():
        text = text.replace(word, power)
    for unit in UNITS:
        text = re.sub(rf"{unit}(?:es)?s? *(?:\^[0-9]+)?", "", text)
    text = re.sub(r"\^ *\\circ|,\\! *", "", text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    if "\\" in text:
        text = _ascii(text)
    text = re.sub(r"- *", "-", text.strip())
    text = re.sub(r"([0-9]) +([0-9])", r"\1+\2", text)
    text = re.sub(r"[ {}]", "", text).lower()
    number = _number(text)
    return str(int(number)) if number is not None and abs(number - round(number)) <= 1e-7 else text


def _ascii(text: str) -> str:
    """Translate LaTeX as a text converter does."""
    text = re.sub(r"\\[dt]?frac", r" \\frac", text)
    for _ in range(8):
        simpler = re.sub(r"\\frac *\{([^{}]*)\} *\{([^{}]*)\}", r"\1/\2", text)
        simpler = re.sub(r"\\frac *([0-9])([0-9])", r"\1/\2", simpler)
        simpler = re.sub(r"\\sqrt *\{([^{}]*)\}", r"sqrt(\1)", simpler)
        simpler = re.sub(r"\\(?:text|mbox|mathrm|mathbf|textbf)\{([^{}]*)\}", r"\1", simpler)
        if simpler == text:
            break
        text = simpler
    for command, sign in SYMBOLS.items():
        if command != "^":
            text = text.replace(command, sign)
    return re.sub(r"\\[A-Za-z]+|\\.", "", text)


def _number(text: str) -> float | None:
    try:
        number = float(re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?:$|[^0-9]))", "", text))
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None


def _elements(text: str) -> list[str]:
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?:$|[^0-9]))", "", text)
    inside = text[1:-1]
    if (
        len(text) > 2
        and text[0] in "(["
        and text[-1] in ")]"
        and not re.search(r"[()\[\]]", inside)
    ):
        return inside.split(",")
    return [text]


def _same(gold: str, answer: str) -> bool:
    fraction = r"-?[0-9]+.?/0*[1-9][0-9]*.?"
    if re.fullmatch(fraction, gold) and re.fullmatch(fraction, answer):
        return gold == answer
    whole = [number is not None and number.is_integer() for number in map(_number, (gold, answer))]
    if whole[0] != whole[1]:
        return False
    return _difference_is_zero(gold, answer)


def _difference_is_zero(gold: str, answer: str) -> bool:
    from sympy import simplify
    from sympy.parsing.sympy_parser import (
        implicit_multiplication_application,
        parse_expr,
        standard_transformations,
    )

    text = f"({gold})-({answer})"
    letters = {c for c in text.replace("sqrt", "").replace("frac", "") if c.isalpha()}
    if len(letters) > 2 or re.search(r"\^\{|\^\(|\^[0-9]+\^|\^[0-9][0-9]+", text):
        return False
    rules = (*standard_transformations, implicit_multiplication_application)
    try:
        return bool(simplify(parse_expr(text.replace("^", "**"), transformations=rules)) == 0)
    except Exception:
        return False
