"""Step `run`: calls a program's function in the sandbox, with an argument of each type.

The interface is in the columns `function_name`, `input_args` and `depend` of what a row is made
from, as the task `tools` has them. A function that needs more than the sandbox has is not called:
`ran` is null, and `error` names what it needs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.postprocess import RunProgram
from persona_assets.postprocess.type_names import DATETIME, read_type, sample_value

MOST_CHARACTERS = 500
"""Length of the longest result."""

_OUTSIDE = re.compile(r"the sandbox has no|PermissionError|NotImplementedError|FileNotFoundError")
"""Errors by which the sandbox refuses what it does not have."""

_BROKEN = re.compile(
    r"(?:^|: )(?:out of time|out of memory|(?:Recursion|Memory|Name|UnboundLocal|Syntax)Error\b)"
)
"""Errors of a program that no argument would avoid."""

_RETURNED = "returned: "


class Run:
    """Step that calls the function: `ran` with a `result`, or not with an `error`."""

    version = "1"
    columns: Mapping[str, pl.DataType] = {
        "ran": pl.Boolean(),
        "result": pl.String(),
        "error": pl.String(),
    }
    needs: Sequence[str] = ("code", "function_name", "input_args")

    def __call__(
        self, answer: Mapping[str, Any], origin: Mapping[str, Any], run: RunProgram
    ) -> Mapping[str, Any] | str:
        """Return the result of the call, or the error with which no program is kept."""
        if needed := [need for need in origin.get("depend") or () if not _is_module(need, run)]:
            return _outcome(None, error=f"not run: needs {needed[0]}")
        values = {
            argument["name"]: sample_value(read_type(argument["type"]))
            for argument in origin["input_args"]
        }
        arguments = ", ".join(f"{name}={value}" for name, value in values.items())
        call = f"repr({origin['function_name']}({arguments}))[:{MOST_CHARACTERS}]"
        called = run(f"{answer['code']}\n{DATETIME}\nanswer = {_RETURNED!r} + {call}")
        if called.error is None and called.answer is not None:
            return _outcome(True, result=called.answer.removeprefix(_RETURNED))
        error = (called.error or "no result")[:MOST_CHARACTERS]
        if _OUTSIDE.search(error):
            return _outcome(None, error=f"not run: {error}")
        if _BROKEN.search(error):
            return f"run: {error}"
        return _outcome(False, error=error)


STEP = Run()


def _outcome(
    ran: bool | None, result: str | None = None, error: str | None = None
) -> Mapping[str, Any]:
    return {"ran": ran, "result": result, "error": error}


def _is_module(need: str, run: RunProgram) -> bool:
    """Return True if a need is a module that the sandbox has."""
    return need.isidentifier() and run(f"import {need}\nanswer = 1").error is None
