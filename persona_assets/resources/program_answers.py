"""Result of a program: its answer as text, or the reason for having none.

Belongs here: what both sandboxes share. Does not belong here: running a program.
"""

import re
import sys
from dataclasses import dataclass
from decimal import Decimal

MAX_OUTPUT = 65_536
"""Longest output of a program, in characters."""

MAX_ANSWER = 1_000
"""Longest answer, in characters."""

MAX_SOURCE = 100_000
"""Longest program, in characters."""

MAX_ERROR = 200
"""Longest error message, in characters."""

DIGITS = 12
"""Significant digits of a float in an answer: 1.1 * 100 is 110, not 110.00000000000001."""

OUT_OF_TIME = "TimeoutError: out of time"
OUT_OF_MEMORY = "MemoryError: out of memory"
TOO_MUCH_OUTPUT = f"MemoryError: printed more than {MAX_OUTPUT:,} characters"
TOO_LONG_SOURCE = f"the program is longer than {MAX_SOURCE:,} characters"
NO_MODULE = "the sandbox has no module"

# Messages with figures that differ between runs would split a single reason into many.
_REASONS = (
    (re.compile(r"TimeoutError: feed time limit exceeded: .*"), OUT_OF_TIME),
    (re.compile(r"MemoryError: memory limit exceeded: .*"), OUT_OF_MEMORY),
    (re.compile(r"ModuleNotFoundError: No module named"), NO_MODULE),
)
_EXPONENT = re.compile(r"[+-]?\d+(?:\.\d+)?[eE][+-]?\d{1,3}", re.ASCII)
_FLOAT = re.compile(
    r"(?:(?<![\w.)\]])-(?=0))?(?<![\w.])\d+(?:\.\d+)?(?:e[+-]\d+)?(?![\dj_]|\.\d|[eE][+-]?\d)",
    re.ASCII,
)
_PART = r"[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?"
_COMPLEX = re.compile(rf"\(?(?:({_PART})(?=[+-]))?({_PART})j\)?", re.ASCII)
_COMPLEX_ITEM = re.compile(
    rf"(?:(?<=[\[({{])|(?<=, )|(?<=: )){_COMPLEX.pattern}(?=[,\])}}])", re.ASCII
)
_WRAPPED = re.compile(r"\b(?:Decimal|mpf)\('([^']*)'\)")
_FRACTION = re.compile(r"\bFraction\((-?\d+), (\d+)\)")
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity", "zoo", "oo", "-oo"})
_TOO_LONG = f"the answer is longer than {MAX_ANSWER:,} characters"


@dataclass(frozen=True)
class ProgramResult:
    """Result of a program: its answer, or the reason for having none.

    Attributes:
        answer: Text of the answer, None if the program failed.
        output: Printed text, up to `MAX_OUTPUT` characters, also of a program that failed.
        error: Reason in a single line, None if the program has an answer.
    """

    answer: str | None
    output: str
    error: str | None


def ended_program(value: str | None, output: str) -> ProgramResult:
    """Return the result of a program that ended without an error.

    Args:
        value: Text of its variable `answer`; None for its last printed line.
        output: Printed text.

    Example:
        >>> ended_program(None, "in all:\\n0.30000000000000004\\n").answer
        '0.3'
        >>> ended_program("nan", "").error
        'the answer is not a finite number: nan'
    """
    lines = (line for line in reversed(output.splitlines()) if line.strip())
    text = encodable(next(lines, "") if value is None else value)
    reason = _unusable(text)
    answer = "" if reason else _readable(text)
    if len(answer) > MAX_ANSWER:
        reason = _TOO_LONG
    return ProgramResult(None if reason else answer, output, reason)


def failed_program(message: str, output: str = "") -> ProgramResult:
    """Return the result of a program that failed, with its message in a single short line.

    Example:
        >>> failed_program("line 1: ModuleNotFoundError: No module named 'socket'").error
        "line 1: the sandbox has no module 'socket'"
    """
    for pattern, reason in _REASONS:
        message = pattern.sub(reason, message)
    message = "".join(c for c in " ".join(message.split()) if c.isprintable())
    short = message if len(message) <= MAX_ERROR else message[: MAX_ERROR - 3] + "..."
    return ProgramResult(None, output, short)


def encodable(text: str) -> str:
    """Replace lone surrogates, which no file in UTF-8 can contain."""
    return text.encode("utf-8", "replace").decode()


def _unusable(text: str) -> str | None:
    """Return the reason why a text is no answer, None if it is an answer."""
    if not text.strip():
        return "no answer: the program neither sets `answer` nor prints"
    if len(text) > MAX_ANSWER:
        return _TOO_LONG
    if text == "None":
        return "no answer: the program prints None"
    if text in _NOT_FINITE:
        return f"the answer is not a finite number: {text}"
    if text.startswith("<") and text.endswith(">"):
        return "`answer` is a function or an object, not a value"
    return None


def _readable(text: str) -> str:
    """Write floats to 12 significant digits, 1e-07 as a decimal number and 2j as 2i.

    Of numbers that a list shows with their type, such as Fraction(1, 2), the value remains.
    """
    text = _FRACTION.sub(_ratio, _WRAPPED.sub(r"\1", text.strip()))
    if _COMPLEX.fullmatch(text):
        return _COMPLEX.sub(_complex, text)
    if text[0] in "[({":
        text = _COMPLEX_ITEM.sub(_complex, text)
    text = _FLOAT.sub(_float, text)
    return format(Decimal(text), "f") if _EXPONENT.fullmatch(text) else text


def _ratio(number: re.Match[str]) -> str:
    return number[1] if number[2] == "1" else f"{number[1]}/{number[2]}"


def _float(number: re.Match[str]) -> str:
    """Write a numeral plainly if Python prints a float like that; leave any other numeral."""
    value = float(number[0])
    return _plain(value) if repr(value) == number[0] else number[0]


def _complex(number: re.Match[str]) -> str:
    """Write a complex number with i; a part of 10^-12 of the other part is a rounding error."""
    real, imaginary = float(number[1] or 0), float(number[2])
    noise = max(abs(real), abs(imaginary)) / 10**DIGITS
    if abs(imaginary) <= noise:
        return _plain(real)
    sign = "+" if imaginary > 0 else ""
    return f"{'' if abs(real) <= noise else _plain(real) + sign}{_plain(imaginary)}i"


def _plain(value: float) -> str:
    """Write a float without exponent.

    Digits before the point are kept as long as a float holds whole numbers (2^53); above, it holds
    15 digits for sure.
    """
    if 10**DIGITS <= abs(value) <= 2**53:
        return str(round(value))
    digits = DIGITS if abs(value) < 10**DIGITS else sys.float_info.dig
    text = format(Decimal(f"{value:.{digits}g}"), "f")
    return "0" if value == 0 else text
