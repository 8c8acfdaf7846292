"""Prose of a text: formulas, code and pictures in markup do not count."""

import re

_CLOSING = {
    "$$": "$$",
    "$": "$",
    "\\[": "\\]",
    "\\(": "\\)",
    "```": "```",
    "`": "`",
    "[asy]": "[/asy]",
    "\\begin{": "\\end{",
}
_OPENING = re.compile(r"\$\$?|\\[\[(]|```|`|\[asy\]|\\begin\{")
_ON_A_LINE = ("$", "`")


def without_formulas(text: str, *, numbered: bool = False) -> str:
    """Return a text with a space in place of each formula, code span and picture.

    Runs in linear time: an ending that does not occur is sought once.

    Args:
        text: Any text.
        numbered: Leave a number per formula, the same for equal formulas.

    Example:
        >>> without_formulas("Find $x$ for $5.")
        'Find   for $5.'
        >>> without_formulas("$x$ or $y$, not $x$", numbered=True)
        ' 0  or  1 , not  0 '
    """
    numbers: dict[str, int] = {}
    parts: list[str] = []
    done = 0
    missing = set[str]()
    place = _OPENING.search(text)
    while place:
        closing = _CLOSING[place[0]]
        end = -1 if closing in missing else text.find(closing, place.end())
        if end < 0:
            missing.add(closing)
        elif closing in _ON_A_LINE and "\n" in text[place.end() : end]:
            end = -1
        if end >= 0:
            formula = text[place.start() : end]
            number = f" {numbers.setdefault(formula, len(numbers))} " if numbered else " "
            parts += [text[done : place.start()], number]
            done = end + len(closing)
        place = _OPENING.search(text, done if end >= 0 else place.end())
    return "".join([*parts, text[done:]])
