"""Pydantic models and polars types from the `output:` block of a prompt file.

A field is written as, for example, `persona: {type: string, min_length: 20, max_length: 300}`.
Types are string, integer, number, boolean, and list with `items:` being one such field or, under
`fields:`, an object. The limits `min_length, max_length, pattern` (of strings and lists), `minimum,
maximum`, `enum` and `description` reach the model as JSON schema and are checked again on its
answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, create_model

_SCALARS: dict[str, tuple[type, pl.DataType]] = {
    "string": (str, pl.String()),
    "integer": (int, pl.Int64()),
    "number": (float, pl.Float64()),
    "boolean": (bool, pl.Boolean()),
}
_LIMITS = {
    "min_length": "min_length",
    "max_length": "max_length",
    "pattern": "pattern",
    "minimum": "ge",
    "maximum": "le",
    "description": "description",
}


def answer_model(name: str, fields: Mapping[str, Mapping[str, Any]]) -> type[BaseModel]:
    """The pydantic model of an answer. Raises ValueError for a block that is not as above."""
    if not fields:
        raise ValueError("output: names no field")
    members: dict[str, Any] = {field: _annotation(field, spec) for field, spec in fields.items()}
    config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    return create_model(name, __config__=config, **members)


def answer_columns(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, pl.DataType]:
    """The polars type of each field of an answer."""
    return {field: _column(spec) for field, spec in fields.items()}


def _annotation(name: str, spec: Mapping[str, Any]) -> Any:
    if not isinstance(spec, Mapping):
        raise ValueError(f"output: {name}: expected a mapping such as {{type: string}}")
    kind = spec.get("type")
    unknown = set(spec) - set(_LIMITS) - {"type", "items", "fields", "enum"}
    if unknown:
        raise ValueError(f"output: {name}: unknown {', '.join(sorted(unknown))}")
    limits = {_LIMITS[key]: value for key, value in spec.items() if key in _LIMITS}
    if kind == "list":
        return Annotated[list[_item(name, spec)], Field(**limits)]  # type: ignore[misc]
    if kind not in _SCALARS:
        raise ValueError(f"output: {name}: type is one of {', '.join([*_SCALARS, 'list'])}")
    if "enum" in spec:
        return Annotated[Literal[tuple(spec["enum"])], Field(**limits)]
    return Annotated[_SCALARS[kind][0], Field(**limits)]


def _item(name: str, spec: Mapping[str, Any]) -> Any:
    if "fields" in spec:
        return answer_model(name.capitalize(), spec["fields"])
    if "items" in spec:
        return _annotation(name, spec["items"])
    raise ValueError(f"output: {name}: a list needs items: or fields:")


def _column(spec: Mapping[str, Any]) -> pl.DataType:
    if spec["type"] != "list":
        return _SCALARS[spec["type"]][1]
    if "fields" in spec:
        return pl.List(pl.Struct(answer_columns(spec["fields"])))
    return pl.List(_column(spec["items"]))
