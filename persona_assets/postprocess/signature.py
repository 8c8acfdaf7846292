"""Step `signature`: a program defines the function of its interface.

The interface is in the columns `function_name` and `input_args` of what a row is made from, as the
task `tools` has them.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.postprocess import RunProgram
from persona_assets.postprocess.python_code import parsed
from persona_assets.postprocess.type_names import (
    UNKNOWN,
    TypeName,
    accepts,
    read_type,
    written,
)


class Signature:
    """Step that drops a program whose function cannot be called as its interface promises."""

    version = "1"
    columns: Mapping[str, pl.DataType] = {}
    needs: Sequence[str] = ("code", "function_name", "input_args")

    def __call__(
        self, answer: Mapping[str, Any], origin: Mapping[str, Any], run: RunProgram
    ) -> Mapping[str, Any] | str:
        """Return nothing, or the first difference from the interface."""
        tree = parsed(answer["code"])
        if isinstance(tree, str):
            return f"signature: {tree}"
        difference = _difference(tree, origin)
        return {} if difference is None else f"signature: {difference}"


STEP = Signature()


def _difference(tree: ast.Module, interface: Mapping[str, Any]) -> str | None:
    name = interface["function_name"]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    named = [node for node in tree.body if isinstance(node, kinds) and node.name == name]
    if not named:
        return f"no function {name}"
    function = named[-1]
    if not isinstance(function, ast.FunctionDef):
        return f"{name} is no plain function"
    arguments = function.args
    if arguments.posonlyargs:
        return f"{arguments.posonlyargs[0].arg} cannot be passed by name"
    taken = {arg.arg: _annotation(arg) for arg in (*arguments.args, *arguments.kwonlyargs)}
    asked = {arg["name"]: read_type(arg["type"]) for arg in interface["input_args"]}
    if missing := [arg for arg in asked if arg not in taken]:
        return f"no argument {missing[0]}"
    if added := [arg for arg in taken if arg not in asked]:
        return f"an argument {added[0]} that the interface lacks"
    for arg, types in asked.items():
        if not accepts(taken[arg], types):
            return f"{arg} is {written(taken[arg])} instead of {written(types)}"
    return None


def _annotation(argument: ast.arg) -> tuple[TypeName, ...]:
    return UNKNOWN if argument.annotation is None else read_type(ast.unparse(argument.annotation))
