"""Sandbox without a kernel's help: pydantic-monty, a Python interpreter of its own.

It has neither files, sockets and processes nor host modules, and starts a program in under a
millisecond. Of Python it lacks inheritance, comparison of objects by `<`, sympy and numpy.
"""

import ast
import os
import re
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from persona_assets.resources.cpu_clock import WALL_FACTOR, cpu_seconds
from persona_assets.resources.program_answers import (
    MAX_ANSWER,
    MAX_OUTPUT,
    MAX_SOURCE,
    OUT_OF_TIME,
    TOO_LONG_SOURCE,
    TOO_MUCH_OUTPUT,
    ProgramResult,
    encodable,
    ended_program,
    failed_program,
)

MODULES = (
    *("collections", "datetime", "decimal", "fractions", "functools", "itertools", "math"),
    *("random", "re"),
)
"""Modules for mathematics that the sandbox has."""

MAX_RECURSION = 500
"""Deepest recursion of a program, in calls."""

_ROUND = """\
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
"""Name of what runs before a program in tracebacks."""

_FRACTIONS = Path(__file__).with_name("light_fractions.py")
_USES_FRACTIONS = re.compile(r"\bfractions\b")

_ANSWER = f"answer if answer is None else str(answer)[:{MAX_ANSWER + 1}]"
"""Expression that runs after the program, under the same limits, so that only a short text leaves
the sandbox."""

_CLOCK = datetime(2024, 1, 1, tzinfo=UTC)
"""Time at which every program starts."""


class LightSandbox:
    """Sandbox that runs each program in a fresh session of an interpreter.

    Random numbers and clock are fixed, so that a program always has the same answer. Interpreters
    start with the first program and end with `close()`, with this object or with this process.
    Several threads may run programs at the same time.

    Args:
        seconds: CPU time limit per program; its wall time is limited to `WALL_FACTOR` times that.
            Where there is no /proc, the limit is wall time.
        memory_mb: Memory limit per program, in MiB.
    """

    def __init__(self, seconds: float, memory_mb: int) -> None:
        self._seconds = seconds
        self._bytes = memory_mb * 1024 * 1024
        self._idle: list[_Interpreter] = []
        weakref.finalize(self, _stop_all, self._idle)

    def run(self, source: str) -> ProgramResult:
        """Run a program; every failure of the program is a result, not an exception.

        Raises:
            FileNotFoundError: The interpreter of pydantic-monty is not installed.
        """
        from pydantic_monty import MontyError

        if len(source) > MAX_SOURCE:
            return failed_program(TOO_LONG_SOURCE)
        prelude, source = _with_fractions(encodable(source))
        with self._interpreter() as interpreter, _Guard(interpreter, self._seconds) as guard:
            printed = _Printed(guard)
            try:
                with interpreter.pool.checkout(
                    limits={
                        "max_feed_duration_secs": guard.wall_seconds,
                        "max_memory": self._bytes,
                        "max_recursion_depth": MAX_RECURSION,
                    },
                    os_policy={"datetime": _CLOCK, "sleep": "zero", "random_start": {"seed": 0}},
                ) as session:
                    session.feed_run(prelude)
                    # The last line keeps the value of a final expression inside the sandbox.
                    session.feed_run(source + "\nNone", print_callback=printed)
                    value = session.feed_run(
                        _ANSWER, external_lookup={"answer": None}, print_callback=printed
                    )
            except MontyError as error:
                return failed_program(guard.reason or _message(error), printed.text())
        return ended_program(None if value is None else str(value), printed.text())

    def close(self) -> None:
        """End the interpreters. A later call of `run` starts new ones."""
        _stop_all(self._idle)

    @contextmanager
    def _interpreter(self) -> Iterator["_Interpreter"]:
        """Lend an interpreter to a program."""
        while True:
            try:
                interpreter = self._idle.pop()
            except IndexError:
                interpreter = _Interpreter()
                break
            if interpreter.is_alive():
                break
            interpreter.stop()
        try:
            yield interpreter
        finally:
            self._idle.append(interpreter)


class _Interpreter:
    """Process of an interpreter.

    Attributes:
        pool: Pool of this single process.
        pid: Its id; None where there is no /proc.
    """

    _starting = threading.Lock()

    def __init__(self) -> None:
        from pydantic_monty import Monty

        with self._starting:
            before = _interpreters()
            self.pool = Monty(min_processes=1, max_processes=1).__enter__()
            started = _interpreters() - before
        self.pid = started.pop() if len(started) == 1 else None

    def is_alive(self) -> bool:
        """Return True unless the process ended; its pool may have another, of unknown id."""
        return self.pid is None or _is_interpreter(Path(f"/proc/{self.pid}/stat"))

    def stop(self) -> None:
        self.pool.__exit__(None, None, None)


class _Guard:
    """Limit on the CPU time of an interpreter: its process is killed.

    Attributes:
        wall_seconds: Limit on the wall time.
        reason: Reason for which the process was killed, None if it was not.
    """

    def __init__(self, interpreter: _Interpreter, seconds: float) -> None:
        self.wall_seconds = seconds if interpreter.pid is None else WALL_FACTOR * seconds
        self.reason: str | None = None
        self._pid, self._seconds = interpreter.pid, seconds
        self._ended = threading.Event()
        self._deciding = threading.Lock()

    def __enter__(self) -> Self:
        if self._pid is not None:
            until = cpu_seconds(self._pid) + self._seconds
            threading.Thread(target=self._watch, args=(self._pid, until), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._deciding:
            self._ended.set()

    def kill(self, reason: str) -> None:
        """Kill the process, unless the program has ended."""
        with self._deciding:
            if self._pid is not None and not self._ended.is_set():
                self.reason = self.reason or reason
                self._ended.set()
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)

    def _watch(self, pid: int, until: float) -> None:
        left = self._seconds
        while not self._ended.wait(left):
            with suppress(OSError):  # the process has ended by itself
                left = until - cpu_seconds(pid)
                if left > 0:
                    continue
            self.kill(OUT_OF_TIME)


class _Printed:
    """Output of a program; printing more than `MAX_OUTPUT` characters ends the program."""

    def __init__(self, guard: _Guard) -> None:
        self._guard = guard
        self._parts: list[str] = []
        self._size = 0

    def __call__(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        self._parts.append(text[: MAX_OUTPUT - self._size])
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            # The interpreter looks at an error of this function only once the program has ended.
            self._guard.kill(TOO_MUCH_OUTPUT)
            raise MemoryError(TOO_MUCH_OUTPUT.partition(": ")[2])

    def text(self) -> str:
        return "".join(self._parts)


def _interpreters() -> set[int]:
    """Return the ids of this process's children that are interpreters."""
    files = Path("/proc").glob("[0-9]*/stat") if sys.platform == "linux" else ()
    return {int(file.parent.name) for file in files if _is_interpreter(file)}


def _is_interpreter(stat: Path) -> bool:
    """Return True if a file of /proc is about a living interpreter of this process."""
    try:
        name, _, rest = stat.read_text(errors="replace").rpartition(")")
    except OSError:
        return False
    state, parent, *_ = rest.split()
    return name.endswith("(monty") and int(parent) == os.getpid() and state != "Z"


def _stop_all(interpreters: list[_Interpreter]) -> None:
    while interpreters:
        interpreters.pop().stop()


def _with_fractions(source: str) -> tuple[str, str]:
    """Return what runs before a program, and the program, with `fractions` in place of its import.

    The interpreter has no modules but its own: a class that runs before the program stands in for
    the module.
    """
    if not _USES_FRACTIONS.search(source):
        return _ROUND, source
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _ROUND, source  # the interpreter has its own message
    # The lines that Python counts.
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    lines = [line.encode() for line in source.split("\n")]
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    # From the end, so that positions before a replacement stay.
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        text = _replacement(node)
        if text is not None and node.end_lineno == node.lineno:
            line = lines[node.lineno - 1]
            rest = line[node.end_col_offset :]
            lines[node.lineno - 1] = line[: node.col_offset] + text.encode() + rest
    return f"{_ROUND}{_FRACTIONS.read_text()}", b"\n".join(lines).decode()


def _replacement(node: ast.Import | ast.ImportFrom) -> str | None:
    """Return statements in place of an import of `fractions`; None for any other import."""
    if isinstance(node, ast.ImportFrom):
        if node.module != "fractions" or node.level:
            return None
        names = [alias.asname or alias.name for alias in node.names if alias.name == "Fraction"]
        return "; ".join(f"{name} = FractionClass" for name in names) or "pass"
    if all(alias.name != "fractions" for alias in node.names):
        return None
    return "; ".join(
        f"{alias.asname or alias.name} = FractionsModule()"
        if alias.name == "fractions"
        else f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
        for alias in node.names
    )


def _message(error: Any) -> str:
    """Return type and message of an error, and the line of the program that raised it."""
    from pydantic_monty import MontyRuntimeError, MontySyntaxError

    if not isinstance(error, (MontyRuntimeError, MontySyntaxError)):
        return f"the sandbox gave up: {error}"
    frames = [frame for frame in error.traceback() if frame.filename != _PRELUDE_FILE]
    where = f"line {frames[-1].line}: " if frames else ""
    return where + error.display("type-msg")
