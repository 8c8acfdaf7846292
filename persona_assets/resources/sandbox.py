"""Sandbox for programs that a model wrote (program-of-thought, section 4.1.2).

The programs are presumed hostile. They run in pydantic-monty, a Python interpreter without files,
sockets, processes or host modules, in worker processes of its own.
"""

import re
import threading
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from pydantic_monty import Monty, MontyError

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
_COMPLEX = re.compile(r"\(?([+-]?[\d.]+(?:[+-][\d.]+)?)j\)?", re.ASCII)
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})

_ANSWER = f"answer if answer is None else str(answer)[:{MAX_ANSWER + 1}]"
"""Expression that runs after the program, under the same limits, so that only a short text leaves
the sandbox."""

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
    printed line. Random numbers and clock are fixed, so that a program always has the same answer.

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
                # The last line keeps the value of a final expression inside the sandbox.
                session.feed_run(_encodable(source) + "\nNone", print_callback=printed)
                value = session.feed_run(
                    _ANSWER, external_lookup={"answer": None}, print_callback=printed
                )
        except MontyError as error:
            return ProgramResult(None, printed.text(), _one_line(error))
        text = printed.last_line() if value is None else str(value)
        reason = _unusable(text)
        return ProgramResult(None if reason else _readable(text), printed.text(), reason)

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
        return f"the answer is longer than {MAX_ANSWER:,} characters"
    if text in _NOT_FINITE:
        return f"the answer is not a finite number: {text}"
    if text.startswith("<") and text.endswith(">"):
        return "`answer` is a function or an object, not a value"
    return None


def _readable(text: str) -> str:
    """Write a value in mathematical notation: 1e-07 as a decimal number, 2j as 2i."""
    text = text.strip()
    if _EXPONENT.fullmatch(text):
        return format(Decimal(text), "f")
    imaginary = _COMPLEX.fullmatch(text)
    return f"{imaginary[1]}i" if imaginary else text


def _one_line(error: "MontyError") -> str:
    """Return type and message of an error, and the line of the program that raised it."""
    from pydantic_monty import MontyRuntimeError, MontySyntaxError

    location, message = "", f"the sandbox gave up: {error}"
    if isinstance(error, (MontyRuntimeError, MontySyntaxError)):
        message = error.display("type-msg")
        frames = error.traceback()
        location = f"line {frames[-1].line}: " if frames else ""
    for pattern, reason in _REASONS:
        message = pattern.sub(reason, message)
    message = "".join(c for c in " ".join((location + message).split()) if c.isprintable())
    return message if len(message) <= MAX_ERROR else message[: MAX_ERROR - 3] + "..."
