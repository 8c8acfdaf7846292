"""Sandbox for programs that a model wrote (program-of-thought, section 4.1.2).

The programs are presumed hostile. They run in pydantic-monty, a Python interpreter without files,
sockets, processes or host modules, in worker processes of its own.
"""

import re
import sys
import threading
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontyError

VERSION = "2"
"""VERSION of answers of programs, bumped by hand when they change: part of a code version."""

MODULES = ("collections", "datetime", "decimal", "functools", "itertools", "math", "random", "re")
"""Modules for mathematics that the sandbox has. It lacks sympy, fractions and numpy."""

MAX_RECURSION = 500
"""Deepest recursion of a program, in calls."""

MAX_OUTPUT = 65_536
"""Longest output of a program, in characters."""

MAX_ANSWER = 1_000
"""Longest answer, in characters."""

MAX_SOURCE = 100_000
"""Longest program, in characters."""

MAX_ERROR = 200
"""Longest error message, in characters."""

# Messages with figures that differ between runs would split a single reason into many.
_REASONS = (
    (re.compile(r"TimeoutError: feed time limit exceeded: .*"), "TimeoutError: out of time"),
    (re.compile(r"MemoryError: memory limit exceeded: .*"), "MemoryError: out of memory"),
    (re.compile(r"ModuleNotFoundError: No module named"), "the sandbox has no module"),
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
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})

DIGITS = 12
"""Significant digits of a float in an answer: 1.1 * 100 is 110, not 110.00000000000001."""

_PRELUDE = """\
def round(number, ndigits=None, *, builtin=round):
    if type(number) is not float or type(ndigits) is not int:
        return builtin(number, ndigits)
    if number in (float("inf"), -float("inf")) or number != number or ndigits > 323:
        return number
    if ndigits >= 0:
        return float(f"{number:.{ndigits}f}")
    size = abs(number)
    whole = int(size)
    exact = builtin(10 * whole + (size != whole), ndigits - 1)
    return float(exact // 10) * (-1 if number < 0 else 1)
"""
"""CPython's `round`, which runs before each program. The interpreter's own scales the number, so
that 2.675 to two digits becomes 2.68; CPython rounds the exact value of the float, 2.67499..."""

_PRELUDE_FILE = "<python-input-0>"
"""Name of the prelude in tracebacks."""

_ANSWER = f"answer if answer is None else str(answer)[:{MAX_ANSWER + 1}]"
"""Expression that runs after the program, under the same limits, so that only a short text leaves
the sandbox."""

_TOO_LONG = f"the answer is longer than {MAX_ANSWER:,} characters"

_CLOCK = datetime(2024, 1, 1, tzinfo=UTC)
"""Time at which every program starts."""


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


class Sandbox:
    """Sandbox that runs each program in a fresh interpreter.

    The answer of a program is the value of its variable `answer` or, if that is not set, its last
    printed line, with floats in plain notation and to 12 significant digits. Random numbers and
    clock are fixed, so that a program always has the same answer.

    The worker processes start with the first program and end with `close()`, with this object or
    with this process. Several threads may run programs at the same time.

    Args:
        seconds: Time limit per program.
        memory_mb: Memory limit per program, in MiB.

    Example:
        >>> with Sandbox() as sandbox:
        ...     sandbox.run("import math\\nanswer = math.comb(10, 3)").answer
        '120'
    """

    def __init__(self, seconds: float = 5.0, memory_mb: int = 256) -> None:
        if seconds <= 0 or memory_mb < 1:
            raise ValueError("a sandbox needs a time limit above 0 seconds and at least 1 MiB")
        self._seconds = seconds
        self._bytes = memory_mb * 1024 * 1024
        self._lock = threading.Lock()
        self._pools: list[Monty] = []  # at most one; a list, so that the finalizer sees changes
        weakref.finalize(self, _close, self._pools)

    def run(self, source: str) -> ProgramResult:
        """Run a program; every failure of the program is a result, not an exception.

        Raises:
            FileNotFoundError: The interpreter of pydantic-monty is not installed.
        """
        from pydantic_monty import MontyError

        if len(source) > MAX_SOURCE:
            return ProgramResult(None, "", f"the program is longer than {MAX_SOURCE:,} characters")
        printed = _Printed()
        try:
            with self._running().checkout(
                limits={
                    "max_feed_duration_secs": self._seconds,
                    "max_memory": self._bytes,
                    "max_recursion_depth": MAX_RECURSION,
                },
                os_policy={"datetime": _CLOCK, "sleep": "zero", "random_start": {"seed": 0}},
            ) as session:
                session.feed_run(_PRELUDE)
                # The last line keeps the value of a final expression inside the sandbox.
                session.feed_run(_encodable(source) + "\nNone", print_callback=printed)
                value = session.feed_run(
                    _ANSWER, external_lookup={"answer": None}, print_callback=printed
                )
        except MontyError as error:
            return ProgramResult(None, printed.text(), _one_line(error))
        text = printed.last_line() if value is None else str(value)
        reason = _unusable(text)
        answer = "" if reason else _readable(text)
        if len(answer) > MAX_ANSWER:
            reason = _TOO_LONG
        return ProgramResult(None if reason else answer, printed.text(), reason)

    def close(self) -> None:
        """End the worker processes. A later call of `run` starts new processes."""
        with self._lock:
            _close(self._pools)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _running(self) -> "Monty":
        from pydantic_monty import Monty

        with self._lock:
            if not self._pools:
                self._pools.append(Monty().__enter__())
            return self._pools[0]


class _Printed:
    """Output of a program; printing more than `MAX_OUTPUT` characters ends the program."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def __call__(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        self._parts.append(text[: MAX_OUTPUT - self._size])
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            raise MemoryError(f"printed more than {MAX_OUTPUT:,} characters")

    def text(self) -> str:
        return "".join(self._parts)

    def last_line(self) -> str:
        return next((line for line in reversed(self.text().splitlines()) if line.strip()), "")


def _close(pools: list[Any]) -> None:
    while pools:
        pools.pop().__exit__(None, None, None)


def _encodable(source: str) -> str:
    """Replace lone surrogates, which no Python file can contain."""
    return source.encode("utf-8", "replace").decode()


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
    """Write floats to 12 significant digits, 1e-07 as a decimal number and 2j as 2i."""
    text = text.strip()
    if _COMPLEX.fullmatch(text):
        return _COMPLEX.sub(_complex, text)
    if text[0] in "[({":
        text = _COMPLEX_ITEM.sub(_complex, text)
    text = _FLOAT.sub(_float, text)
    return format(Decimal(text), "f") if _EXPONENT.fullmatch(text) else text


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


def _one_line(error: "MontyError") -> str:
    """Return type and message of an error, and the line of the program that raised it."""
    from pydantic_monty import MontyRuntimeError, MontySyntaxError

    location, message = "", f"the sandbox gave up: {error}"
    if isinstance(error, (MontyRuntimeError, MontySyntaxError)):
        message = error.display("type-msg")
        frames = [frame for frame in error.traceback() if frame.filename != _PRELUDE_FILE]
        location = f"line {frames[-1].line}: " if frames else ""
    for pattern, reason in _REASONS:
        message = pattern.sub(reason, message)
    message = "".join(c for c in " ".join((location + message).split()) if c.isprintable())
    return message if len(message) <= MAX_ERROR else message[: MAX_ERROR - 3] + "..."
