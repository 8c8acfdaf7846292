"""Pydantic model and polars types from the `output:` block of a prompt file.

Syntax of a field: `persona: {type: string, min_length: 20, max_length: 300}`. Types are string,
integer, number, boolean and list; a list has `items:` (a field) or `fields:` (an object). Limits
are `min_length` and `max_length` of a string or list, `pattern` and `enum` of a string, `minimum`
and `maximum` of a number. Any field may have a `description`. The limits are sent to the model as
JSON schema and are validated again on each answer.

Two keys concern answers in another shape alone, which are read with a repair (parsing/shapes.py):
`unstated` is the value of a string that an object in a list does not state, and `as_json: true`
keeps a list or an object in place of a string as JSON text. No request has them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic_core import SchemaError

from persona_assets.generation.parsing.shapes import AsJson, Unstated


def _int64(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError("an integer has at most 64 bits")
    return value


_SCALARS: dict[str, tuple[Any, pl.DataType]] = {
    "string": (str, pl.String()),
    "integer": (Annotated[int, AfterValidator(_int64)], pl.Int64()),
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
READING = ("unstated", "as_json")
"""Keys of a string that no request has."""

_ALLOWED = {
    "string": {"min_length", "max_length", "pattern", "enum", *READING},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set[str](),
    "list": {"min_length", "max_length", "items", "fields"},
}


def answer_model(name: str, fields: Mapping[str, Mapping[str, Any]]) -> type[BaseModel]:
    """Build the pydantic model of an answer from an `output:` block.

    Args:
        name: Class name of the model.
        fields: Specification by field, see the head of this module.

    Raises:
        ValueError: The block violates the syntax; the message names the field.

    Example:
        >>> model = answer_model("Answer", {"age": {"type": "integer", "minimum": 0}})
        >>> model.model_validate({"age": 7}).model_dump()
        {'age': 7}
    """
    if not isinstance(fields, Mapping) or not fields:
        raise ValueError("output: names no field")
    for field in fields:
        _check_name(field)
    members: dict[str, Any] = {field: _annotation(field, spec) for field, spec in fields.items()}
    config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)
    try:
        return create_model(name, __config__=config, **members)
    except SchemaError as error:
        raise ValueError(f"output: a limit is not as it must be: {error}") from None


def answer_columns(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, pl.DataType]:
    """Return the polars type of each field of an answer.

    Example:
        >>> answer_columns({"tags": {"type": "list", "items": {"type": "string"}}})
        {'tags': List(String)}
    """
    return {field: _column(spec) for field, spec in fields.items()}


def sent_fields(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return an `output:` block without the keys that no request has.

    Example:
        >>> sent_fields({"result": {"type": "string", "as_json": True}})
        {'result': {'type': 'string'}}
    """
    return {name: _sent(spec) for name, spec in fields.items()}


def _sent(spec: Mapping[str, Any]) -> dict[str, Any]:
    inner = {"items": _sent, "fields": sent_fields}
    return {
        key: inner[key](value) if key in inner else value
        for key, value in spec.items()
        if key not in READING
    }


def _check_name(field: object) -> None:
    if not isinstance(field, str) or not field.isidentifier() or field.startswith("_"):
        raise ValueError(f"output: {field!r}: a field's name has letters, digits and _ alone")
    if hasattr(BaseModel, field):
        raise ValueError(f"output: {field}: this name is taken by pydantic; choose another")


def _annotation(name: str, spec: Mapping[str, Any]) -> Any:
    if not isinstance(spec, Mapping):
        raise ValueError(f"output: {name}: expected a mapping such as {{type: string}}")
    kind = spec.get("type")
    if not isinstance(kind, str) or kind not in _ALLOWED:
        raise ValueError(f"output: {name}: type is one of {', '.join(_ALLOWED)}")
    unknown = set(spec) - _ALLOWED[kind] - {"type", "description"}
    if unknown:
        raise ValueError(f"output: {name}: a {kind} has no {', '.join(sorted(map(str, unknown)))}")
    limits = {_LIMITS[key]: value for key, value in spec.items() if key in _LIMITS}
    if kind == "list":
        return Annotated[list[_item(name, spec)], Field(**limits)]  # type: ignore[misc]
    if "enum" in spec:
        return Annotated[Literal[_values(name, spec["enum"])], Field(**limits)]
    return Annotated[_SCALARS[kind][0], Field(**limits), *_reading(name, spec)]


def _reading(name: str, spec: Mapping[str, Any]) -> list[Unstated | AsJson]:
    unstated, as_json = spec.get("unstated"), spec.get("as_json", False)
    if not isinstance(unstated, str | None) or not isinstance(as_json, bool):
        raise ValueError(f"output: {name}: unstated is a text, and as_json is true or false")
    return [*([Unstated(unstated)] if unstated else []), *([AsJson()] if as_json else [])]


def _item(name: str, spec: Mapping[str, Any]) -> Any:
    if "fields" in spec:
        return answer_model(name.capitalize(), spec["fields"])
    if "items" in spec:
        return _annotation(name, spec["items"])
    raise ValueError(f"output: {name}: a list needs items: or fields:")


def _values(name: str, enum: object) -> tuple[str, ...]:
    if not isinstance(enum, list) or not enum or not all(isinstance(value, str) for value in enum):
        raise ValueError(f"output: {name}: enum is a list of strings (quote words such as yes)")
    return tuple(enum)


def _column(spec: Mapping[str, Any]) -> pl.DataType:
    if spec["type"] != "list":
        return _SCALARS[spec["type"]][1]
    if "fields" in spec:
        return pl.List(pl.Struct(answer_columns(spec["fields"])))
    return pl.List(_column(spec["items"]))
