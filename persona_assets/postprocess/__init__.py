"""Steps of Python on an answer, which a task file names in `then`: parse, check, run.

A step is a function of the answer and of what the row is made from. It returns the columns that it
adds to the row, or the reason for which the row is dropped. Each step is a file; a package adds one
by the entry-point group `persona_assets.postprocess`.

    then: [python_code, signature]
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from persona_assets.registry import Registry

RunProgram = Callable[[str], "ProgramAnswer"]
"""Execution of a model's program in a sandbox."""


class ProgramAnswer(Protocol):
    """Result of a program: an answer, or an error in one line."""

    @property
    def answer(self) -> str | None: ...

    @property
    def error(self) -> str | None: ...


def run_nothing(program: str) -> ProgramAnswer:
    """Refuse to run a program, where there is no sandbox.

    Raises:
        ValueError: Always.
    """
    raise ValueError("a step of Python needs a sandbox")


class Step(Protocol):
    """Step on an answer.

    Attributes:
        version: Changes with any result of the step.
        columns: Columns that it adds, with their types.
        needs: Columns that the answer, an earlier step, or what the row is made from must have.
    """

    version: str
    columns: Mapping[str, pl.DataType]
    needs: Sequence[str]

    def __call__(
        self, answer: Mapping[str, Any], origin: Mapping[str, Any], run: RunProgram
    ) -> Mapping[str, Any] | str:
        """Return the step's columns, or the reason of the drop, `<name>` or `<name>: <detail>`.

        Args:
            answer: Fields of the answer, with the columns of earlier steps.
            origin: Columns of what the row is made from.
            run: Sandbox.
        """


STEPS: Registry[Step] = Registry(
    "persona_assets.postprocess",
    {
        "python_code": "persona_assets.postprocess.python_code:STEP",
        "lint": "persona_assets.postprocess.lint:STEP",
        "signature": "persona_assets.postprocess.signature:STEP",
        "run": "persona_assets.postprocess.run:STEP",
    },
)
"""Steps by name, built in or of an installed package."""


def added_columns(names: Iterable[str]) -> dict[str, pl.DataType]:
    """Return the columns that steps add, in order."""
    return {column: kind for name in names for column, kind in STEPS.get(name).columns.items()}


def steps_version(names: Iterable[str]) -> str:
    """Return the version of a sequence of steps; "" for none."""
    return "".join(f".{name}{STEPS.get(name).version}" for name in names)
