"""Running the programs that a model wrote (program-of-thought, section 4.1.2).

The programs are hostile until proven otherwise. They run in pydantic-monty, a Python interpreter
with no files, sockets, processes or host modules, in worker processes of its own.
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
"""Modules of use in mathematics that the sandbox has. It has no sympy, fractions or numpy."""

MAX_RECURSION = 500
MAX_OUTPUT = 65_536
MAX_ANSWER = 1_000
MAX_SOURCE = 100_000
MAX_ERROR = 200

# Figures that differ from run to run would make the same failure two reasons.
_REASONS = (
    (re.compile(r"TimeoutError: feed time limit exceeded: .*"), "TimeoutError: out of time"),
    (re.compile(r"MemoryError: memory limit exceeded: .*"), "MemoryError: out of memory"),
    (re.compile(r"ModuleNotFoundError: No module named"), "the sandbox has no module"),
)
_EXPONENT = re.compile(r"[+-]?\d+(?:\.\d+)?[eE][+-]?\d{1,3}", re.ASCII)
_COMPLEX = re.compile(r"\(?([+-]?[\d.]+(?:[+-][\d.]+)?)j\)?", re.ASCII)
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})

_ANSWER = f"answer if answer is None else str(answer)[:{MAX_ANSWER + 1}]"
"""Fed after the program, so that only a short text leaves the sandbox, made under its limits."""

_CLOCK = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ProgramResult:
    """What a program came to: its answer, or one line that says why there is none.

    `output` is what it printed, up to `MAX_OUTPUT` characters, also when it failed.
    """

    answer: str | None
    output: str
    error: str | None


class Sandbox:
    """Runs programs, each in a fresh interpreter, within `seconds` and `memory_mb` (MiB).

    A program's answer is the value of its variable `answer`; if it sets none, the last line that it
    printed. Its random numbers and its clock are fixed, so the same program gives the same answer.

    >>> with Sandbox() as sandbox:
    ...     sandbox.run("import math\\nanswer = math.comb(10, 3)").answer
    '120'

    The worker processes start with the first program and end with `close()`, with this object or
    with this process. Programs may be run from several threads at once.
    """

    def __init__(self, seconds: float = 5.0, memory_mb: int = 256) -> None:
        if seconds <= 0 or memory_mb < 1:
            raise ValueError("a sandbox needs a time limit above 0 seconds and at least 1 MiB")
        self._seconds = seconds
        self._bytes = memory_mb * 1024 * 1024
        self._lock = threading.Lock()
        self._pools: list[Monty] = []  # one while running; a list, so that the finalizer sees it
        weakref.finalize(self, _close, self._pools)

    def run(self, source: str) -> ProgramResult:
        """Run one program. Whatever it does, the result says so; nothing is raised for it.

        Raises FileNotFoundError if the interpreter of pydantic-monty is not installed.
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
        """End the worker processes. A later call of `run` starts new ones."""
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
    """What a program prints; printing more than `MAX_OUTPUT` characters ends it."""

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
    """`source` without lone surrogates, which no file of Python could hold."""
    return source.encode("utf-8", "replace").decode()


def _unusable(text: str) -> str | None:
    """Why `text` is no answer, if it is none."""
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
    """The value as mathematics writes it: 1e-07 as a decimal number, 2j as 2i."""
    text = text.strip()
    if _EXPONENT.fullmatch(text):
        return format(Decimal(text), "f")
    imaginary = _COMPLEX.fullmatch(text)
    return f"{imaginary[1]}i" if imaginary else text


def _one_line(error: "MontyError") -> str:
    """The kind of error, its message, and the line of the program where it arose."""
    from pydantic_monty import MontyRuntimeError, MontySyntaxError

    where, message = "", f"the sandbox gave up: {error}"
    if isinstance(error, (MontyRuntimeError, MontySyntaxError)):
        message = error.display("type-msg")
        frames = error.traceback()
        where = f"line {frames[-1].line}: " if frames else ""
    for pattern, reason in _REASONS:
        message = pattern.sub(reason, message)
    message = "".join(c for c in " ".join((where + message).split()) if c.isprintable())
    return message if len(message) <= MAX_ERROR else message[: MAX_ERROR - 3] + "..."
