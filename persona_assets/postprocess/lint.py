"""Step `lint`: what pyflakes finds in a program; what cannot run is dropped."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.postprocess import RunProgram
from persona_assets.postprocess.python_code import parsed

MOST_FINDINGS = 20
"""Number of findings of a program that are kept, in the order of its lines."""

MOST_CHARACTERS = 200
"""Length of the longest finding."""

FATAL = (
    *("UndefinedName", "UndefinedLocal", "DuplicateArgument", "InvalidPrintSyntax"),
    *("LateFutureImport", "FutureFeatureNotDefined", "DefaultExceptNotLast"),
    *("ReturnOutsideFunction", "YieldOutsideFunction"),
    *("ContinueOutsideLoop", "BreakOutsideLoop"),
    *("TwoStarredExpressions", "TooManyExpressionsInStarredAssignment"),
)
"""Kinds of findings with which a program cannot run."""


class Lint:
    """Step that lists the findings of pyflakes: unused imports and the like."""

    version = "1"
    columns: Mapping[str, pl.DataType] = {"lint": pl.List(pl.String())}
    needs: Sequence[str] = ("code",)

    def __call__(
        self, answer: Mapping[str, Any], origin: Mapping[str, Any], run: RunProgram
    ) -> Mapping[str, Any] | str:
        """Return the findings, or the first with which the program cannot run."""
        tree = parsed(answer["code"])
        if isinstance(tree, str):
            return f"lint: {tree}"
        findings = []
        for kind, line, text in _findings(tree):
            if kind in FATAL:
                return f"lint: {text}"
            findings.append(f"line {line}: {text}")
        return {"lint": findings[:MOST_FINDINGS]}


STEP = Lint()


def _findings(tree: ast.Module) -> list[tuple[str, int, str]]:
    """Return kind, line and text of each finding, by line."""
    from pyflakes.checker import Checker

    messages = sorted(Checker(tree).messages, key=lambda found: (found.lineno, found.col))
    return [
        (
            type(found).__name__,
            int(found.lineno),
            str(found.message % found.message_args)[:MOST_CHARACTERS],
        )
        for found in messages
    ]
