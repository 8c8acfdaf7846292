"""Tokens of a plainly written answer."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from persona_assets.grading.syntax import Number

Kind = Literal["number", "letters", "word", "command", "symbol", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """Piece of an answer; `spaced` tells a space before it."""

    kind: Kind
    text: str
    spaced: bool = False
    number: Number | None = None
    loose: bool = False
    """Is this a comma with a space after it?"""


END = Token("end", "")

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>[0-9]{1,3}(?:,[0-9]{3}){1,600}(?:\.[0-9]+)?(?![0-9])"
    r"|[0-9]{1,3}(?: [0-9]{3}){1,600}(?![0-9/])(?:\.[0-9]+)?"
    r"|[0-9]{1,3}(?:_[0-9]{3}){1,600}(?![0-9])"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,600}(?![0-9.])"
    r"|[0-9]{1,2000}(?:\.(?!\.)[0-9]{0,2000})?|\.[0-9]{1,2000})"
    r"|(?P<dots>\.\.+)"
    r"|\\(?:text(?:bf|it|rm|normal|sf|tt)?|mbox|hbox|mathrm|operatorname|emph)"
    r"\*?\s*(?:(?P<brace>\{)|(?=[A-Za-z])(?P<bare>[A-Za-z]+))"
    r"|(?P<environment>\\(?:begin|end)\{[a-z]*\*?\}(?:\{[lcr|@ ]{0,40}\})?)"
    r"|(?P<command>\\[A-Za-z]+|\\\\(?:\[[^\]]{0,10}\])?|\\.|\\)"
    r"|(?P<letters>[^\W\d_]+)"
    r"|(?P<symbol>\*\*|<=|>=|!=|==|<>|=<|=>|.)",
    re.DOTALL,
)
_UNGROUPED = re.compile(r"[0-9]{1,2000}(?:\.(?!\.)[0-9]{0,2000})?|\.[0-9]{1,2000}")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,4})(?![0-9A-Za-z.^])")
_REPEAT = re.compile(r"\s?\\overline\s*\{?([0-9]{1,60})\}?|\(([0-9]{1,60})\)")
_ELLIPSIS = re.compile(r"\s?\.\.\.+")
_IN_TEXT = re.compile(r"[{}]")


def tokenize(text: str, thousands: bool = True) -> list[Token]:
    """Return the tokens of an answer that `plain` wrote.

    Args:
        text: Answer.
        thousands: Read `1,000` as a number, not as two.
    """
    tokens: list[Token] = []
    _scan(text, thousands, False, tokens, 3)
    return tokens


def _scan(text: str, thousands: bool, prose: bool, tokens: list[Token], depth: int) -> None:
    position, spaced = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None
        kind, content, position = match.lastgroup, match[0], match.end()
        if kind == "space":
            spaced = True
            if tokens and tokens[-1].text == ",":
                tokens[-1] = Token("symbol", ",", tokens[-1].spaced, loose=True)
            continue
        if kind == "number":
            if not thousands and "," in content:
                plainer = _UNGROUPED.match(text, match.start())
                assert plainer is not None
                content, position = plainer[0], plainer.end()
            number, position = _number(content, text, position)
            tokens.append(Token("number", content, spaced, number))
        elif kind == "brace":
            end = _closing(text, position)
            if depth:
                inner = text[position:end].replace("$", " ")
                before = len(tokens)
                _scan(inner, thousands, True, tokens, depth - 1)
                if spaced and len(tokens) > before:
                    first = tokens[before]
                    tokens[before] = Token(first.kind, first.text, True, first.number, first.loose)
            position = end + 1
        elif kind == "bare":
            tokens.append(Token("word", match["bare"], spaced))
        elif kind == "letters":
            tokens.append(Token("word" if prose else "letters", content, spaced))
        elif kind in ("command", "environment"):
            tokens.append(Token("command", content, spaced))
        else:
            tokens.append(Token("symbol", content, spaced))
        spaced = False


def _closing(text: str, position: int) -> int:
    """Return the position of the brace that closes a group."""
    depth = 1
    for match in _IN_TEXT.finditer(text, position):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return match.start()
    return len(text)


def _number(content: str, text: str, position: int) -> tuple[Number, int]:
    """Return an exact number, with what follows its digits: an exponent or a repetition."""
    digits = content.replace(",", "").replace(" ", "").replace("_", "")
    if digits.count(".") > 1:
        digits = digits.replace(".", "")
    whole, point, decimals = digits.partition(".")
    value = Fraction(int((whole + decimals) or "0"), 10 ** len(decimals))
    significant = len((whole + decimals).lstrip("0")) if point and decimals else 0
    if point:
        repeat = _REPEAT.match(text, position)
        if repeat:
            period = repeat[1] or repeat[2]
            scale = 10 ** len(decimals) * (10 ** len(period) - 1)
            return Number(value + Fraction(int(period), scale)), repeat.end()
        dots = _ELLIPSIS.match(text, position)
        period = _period(decimals) if dots else ""
        if dots and period:
            start = len(decimals) - len(period)
            rest = Fraction(int(period), 10 ** len(decimals) * (10 ** len(period) - 1))
            assert start >= 0
            return Number(value + rest), dots.end()
    exponent = _EXPONENT.match(text, position)
    if exponent:
        power = int(exponent[1])
        value *= Fraction(10) ** power
        return Number(value, significant), exponent.end()
    return Number(value, significant), position


def _period(decimals: str) -> str:
    """Return the digits that repeat at the end of the decimals of a number with an ellipsis."""
    for length in range(1, min(len(decimals) // 2, 30) + 1):
        if decimals.endswith(decimals[-length:] * (3 if length == 1 and len(decimals) > 3 else 2)):
            return decimals[-length:]
    return ""
