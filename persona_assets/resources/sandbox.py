"""Sandbox for programs that a model wrote (program-of-thought, section 4.1.2).

The programs are presumed hostile. They run in an interpreter without the world (`LightSandbox`), or
in a full Python that the kernel isolates (`IsolatedSandbox`).
"""

from types import TracebackType
from typing import Literal, Self

from persona_assets.resources.isolated_sandbox import IsolatedSandbox, NotIsolated
from persona_assets.resources.light_sandbox import LightSandbox
from persona_assets.resources.program_answers import NO_MODULE, ProgramResult, failed_program

VERSION = "3"
"""VERSION of answers of programs, bumped by hand when they change: part of a code version."""

EARLIER_VERSION = "2"
"""VERSION before: no isolated sandbox, no `fractions`."""

Kind = Literal["auto", "light", "isolated"]
"""Where a program runs: in the light sandbox, in the isolated one, or, for `auto`, in the light one
and, if it fails there, once more in the isolated one."""


class Sandbox:
    """Sandbox that runs each program on its own.

    The answer of a program is the value of its variable `answer` or, if that is not set, its last
    printed line, with floats in plain notation and to 12 significant digits. Random numbers are
    fixed.

    Processes start with the first program that needs them and end with `close()`, with this object
    or with this process. Several threads may run programs at the same time.

    Args:
        seconds: CPU time limit per program; its wall time is limited to ten times that.
        memory_mb: Memory limit per program, in MiB.
        kind: Where programs run. Without isolation on this machine, `auto` is the light sandbox
            alone, and `isolated` an error.

    Example:
        >>> with Sandbox() as sandbox:
        ...     sandbox.run("import math\\nanswer = math.comb(10, 3)").answer
        '120'
    """

    def __init__(self, seconds: float = 5.0, memory_mb: int = 256, kind: Kind = "auto") -> None:
        if seconds <= 0 or memory_mb < 1:
            raise ValueError("a sandbox needs a time limit above 0 seconds and at least 1 MiB")
        self._kind = kind
        self._light = LightSandbox(seconds, memory_mb)
        self._isolated = IsolatedSandbox(seconds, memory_mb)

    def run(self, source: str) -> ProgramResult:
        """Run a program; every failure of the program is a result, not an exception.

        Raises:
            FileNotFoundError: The interpreter of pydantic-monty is not installed.
            NotIsolated: The sandbox is `isolated`, and this machine cannot isolate programs.
        """
        if self._kind == "isolated":
            try:
                return self._isolated.run(source)
            except NotIsolated as error:
                raise NotIsolated(f"{error}: set PERSONA_SANDBOX=light") from None
        result = self._light.run(source)
        if self._kind == "light" or result.error is None:
            return result
        try:
            return self._isolated.run(source)
        except NotIsolated as error:
            # Whoever reads the reason learns why the same program runs on another machine.
            lacks_module = NO_MODULE in result.error
            return (
                failed_program(f"{result.error}; {error}", result.output)
                if lacks_module
                else result
            )

    def close(self) -> None:
        """End all processes. A later call of `run` starts new ones."""
        self._light.close()
        self._isolated.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
