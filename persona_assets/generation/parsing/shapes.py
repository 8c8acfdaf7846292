"""Shapes of JSON: a value in another shape than that of its output model, rewritten in the model's.

    "function_names": ["find"]     "function_name": "find"                       key, shape
    "args": {"year": "The year"}   "args": [{"name": "year", "about": "The year"}]     shape
    "args": "city, year"           "args": [{"name": "city"}, {"name": "year"}]        shape
    "needs": "requests"            "needs": ["requests"]                               shape

No word of the value is lost, apart from names of groups in a list of strings. What a field has in
place of an unstated value is declared by `Unstated`, and nothing else is made up: the result is
validated by the output model.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

TYPE = "type"
"""Field of an object that a type's name fills, if the object comes as a name and a text."""


@dataclass(frozen=True)
class Unstated:
    """Metadata of a field: its value in an object of another shape that does not state it."""

    value: str


@dataclass(frozen=True)
class AsJson:
    """Metadata of a string field: a list or an object in its place is kept as JSON text."""


_TYPE_NAME = re.compile(
    r"(?i)(?:str(?:ing)?|int(?:eger)?|float|number|bool(?:ean)?|list|array|tuple|set|dict|object|"
    r"date|time|datetime|bytes|any|optional|union)(?:\s*\[.*\])?(?:\s*\|\s*None)?",
    re.DOTALL,
)
_OPENERS, _CLOSERS = ("(", "[", "{"), (")", "]", "}")
_MARKS = re.compile(r"([,()\[\]{}])")
_LETTERS = re.compile(r"[\W_]+")


def reshape(value: Any, output: type[BaseModel]) -> tuple[Any, tuple[str, ...]]:
    """Return a decoded value in the shape of an output model, and the repairs: "key", "shape".

    Args:
        value: Object; anything else is returned as it is.
        output: Output model.

    Example:
        >>> class Trip(BaseModel):
        ...     stop_names: list[str]
        >>> reshape({"stopName": "Bergen, Oslo"}, Trip)
        ({'stop_names': ['Bergen', 'Oslo']}, ('key', 'shape'))
    """
    if not isinstance(value, dict):
        return value, ()
    named = _named(value, output)
    shaped = _shaped_object(named, output)
    repairs = ("key",) * (named.keys() != value.keys()) + ("shape",) * (shaped != named)
    return shaped, repairs


def _fields(output: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in output.model_fields.items()}


def _named(value: Mapping[str, Any], output: type[BaseModel]) -> dict[str, Any]:
    """Return an object whose keys are field names, if they differ in case, marks or a plural s."""
    fields = _fields(output)
    missing = {_plain(name): name for name in fields if name not in value}
    keys = [name for name in value if name not in fields]
    found = {key: missing[_plain(key)] for key in keys if _plain(key) in missing}
    if len(set(found.values())) < len(found):
        return dict(value)
    return {found.get(key, key): member for key, member in value.items()}


def _plain(key: str) -> str:
    return _LETTERS.sub("", key).lower().removesuffix("s")


def _shaped_object(value: Mapping[str, Any], output: type[BaseModel]) -> dict[str, Any]:
    fields = _fields(output)
    return {
        name: _shaped(member, fields[name]) if name in fields else member
        for name, member in value.items()
    }


def _shaped(value: Any, field: FieldInfo) -> Any:
    if get_origin(field.annotation) is list:
        [item] = get_args(field.annotation)
        if isinstance(item, type) and issubclass(item, BaseModel):
            parts = [value] if _is_one(value, item) else _parts(value)
            return [_item(each, item) for each in parts]
        return list(_texts(value)) if _is_text(item) else value
    if field.annotation is not str:
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if isinstance(value, list | dict) and any(isinstance(m, AsJson) for m in field.metadata):
        return json.dumps(value, ensure_ascii=False)
    return value


def _is_one(value: Any, item: type[BaseModel]) -> bool:
    """Return True for a single object in place of a list of one."""
    fields = item.model_fields.items()
    required = {field.alias or name for name, field in fields if field.is_required()}
    return isinstance(value, dict) and required <= _named(value, item).keys()


def _is_text(item: Any) -> bool:
    return item is str or str in get_args(item)[:1]


def _parts(value: Any) -> list[Any]:
    """Return the objects of a list in any shape; an object by name is a pair of both."""
    if isinstance(value, str):
        return _split(value)
    if isinstance(value, dict):
        return list(value.items())
    return value if isinstance(value, list) else [value]


def _split(text: str) -> list[str]:
    """Return the parts of a text between commas outside of brackets."""
    parts, depth = [""], 0
    for mark in _MARKS.split(text):
        depth += (mark in _OPENERS) - (mark in _CLOSERS)
        if mark == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts if part.strip()]


def _item(value: Any, output: type[BaseModel]) -> Any:
    """Return an object of a list that comes as itself, as a name, or as a name and the rest."""
    fields = _fields(output)
    if isinstance(value, dict):
        value = _named(value, output)
        if len(value) == 1 and not value.keys() & fields.keys():
            [value] = value.items()
    if isinstance(value, str):
        name, colon, rest = (part.strip() for part in value.partition(":"))
        value = (name, rest) if colon and rest else (value, {})
    if isinstance(value, tuple):
        value = _pair(value, output)
    if not isinstance(value, dict):
        return value
    unstated = {
        name: mark.value
        for name, field in fields.items()
        for mark in field.metadata
        if isinstance(mark, Unstated) and name not in value
    }
    return {**value, **unstated}


def _pair(pair: tuple[str, Any], output: type[BaseModel]) -> Any:
    """Return the object of a name and a text or object; the pair itself for anything else."""
    name, rest = pair
    first, *others = _fields(output)
    if isinstance(rest, str) and others:
        is_type = TYPE in others and _TYPE_NAME.fullmatch(rest.strip())
        return {first: name, (TYPE if is_type else others[-1]): rest}
    return {first: name, **_named(rest, output)} if isinstance(rest, dict) else pair


def _texts(value: Any) -> Iterator[Any]:
    """Iterate over the strings of a list in any shape; names of groups are left out."""
    if isinstance(value, str):
        yield from _split(value)
    elif isinstance(value, dict):
        for name, member in value.items():
            if isinstance(member, str):
                yield f"{name}: {member}"
            elif isinstance(member, list):
                yield from member
            elif member is not None:
                yield member
    elif isinstance(value, list):
        yield from value
    else:
        yield value
