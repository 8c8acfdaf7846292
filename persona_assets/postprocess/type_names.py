"""Names of types, as interfaces and annotations write them: comparison, and sample values.

int, integer, float, str, string, list[str], dict[str, int], Optional[int], int | None, Any
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

ANY = "Any"

_SPELLINGS = {
    "str": "str string text",
    "int": "int integer",
    "float": "float number double decimal real",
    "bool": "bool boolean",
    "list": "list array sequence iterable collection vector",
    "tuple": "tuple",
    "set": "set frozenset",
    "dict": "dict dictionary mapping object map",
    "bytes": "bytes bytearray",
    "date": "date",
    "datetime": "datetime",
    "None": "none null nonetype",
}
_NAMES = {spelling: name for name, all_ in _SPELLINGS.items() for spelling in all_.split()}
_ACCEPTED = {"float": {"int"}, "list": {"tuple"}, "date": {"datetime"}}
"""Types that a parameter takes besides its own."""

_VALUES = {
    "str": "'sample'",
    "int": "3",
    "float": "2.5",
    "bool": "True",
    "bytes": "b'sample'",
    "date": "__import_datetime.date(2024, 5, 17)",
    "datetime": "__import_datetime.datetime(2024, 5, 17, 9, 30)",
    ANY: "'sample'",
    "None": "None",
}
DATETIME = "import datetime as __import_datetime"
"""Import that sample values of dates need."""


@dataclass(frozen=True)
class TypeName:
    """A type: its name in Python, `Any` for one that is unknown, and the types of its items."""

    name: str
    items: tuple["TypeName", ...] = ()


UNKNOWN = (TypeName(ANY),)


def read_type(text: str) -> tuple[TypeName, ...]:
    """Return the types of a union; a single `Any` for what is no name of a type.

    Example:
        >>> [kind.name for kind in read_type("Optional[list[int]]")]
        ['list', 'None']
        >>> read_type("a number of days")[0].name
        'Any'
    """
    try:
        tree = ast.parse(text.strip().lower(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return UNKNOWN
    return _read(tree)


def _read(node: ast.expr) -> tuple[TypeName, ...]:
    match node:
        case ast.Constant(value=None):
            return (TypeName("None"),)
        case ast.Constant(value=str(text)):
            return read_type(text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return (*_read(left), *_read(right))
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return (TypeName(_NAMES.get(name, ANY)),)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name == "union":
                return tuple(each for part in parts for each in _read(part))
            if name == "optional":
                return (*_read(parts[0]), TypeName("None"))
            items = tuple(_one(_read(part)) for part in parts)
            return (TypeName(_NAMES.get(name, ANY), items),)
    return UNKNOWN


def _one(types: Sequence[TypeName]) -> TypeName:
    return types[0] if len(types) == 1 else TypeName(ANY)


def accepts(parameter: Sequence[TypeName], argument: Sequence[TypeName]) -> bool:
    """Return True if a parameter may take an argument; what is unknown fits all.

    Example:
        >>> accepts(read_type("float"), read_type("int"))
        True
        >>> accepts(read_type("list[int]"), read_type("list[str]"))
        False
    """
    return any(_takes(one, other) for one in parameter for other in argument)


def _takes(one: TypeName, other: TypeName) -> bool:
    if ANY in (one.name, other.name):
        return True
    if one.name != other.name:
        return other.name in _ACCEPTED.get(one.name, ())
    return all(_takes(a, b) for a, b in zip(one.items, other.items, strict=False))


def written(types: Sequence[TypeName]) -> str:
    """Return types as an annotation.

    Example:
        >>> written(read_type("Optional[List[str]]"))
        'list[str] | None'
    """
    return " | ".join(
        kind.name + (f"[{', '.join(written([item]) for item in kind.items)}]" if kind.items else "")
        for kind in types
    )


def sample_value(types: Sequence[TypeName]) -> str:
    """Return a Python expression whose value has the first of the types.

    Example:
        >>> sample_value(read_type("dict[str, list[float]]"))
        "{'sample': [2.5]}"
    """
    kind = types[0]
    items = [sample_value([item]) for item in kind.items] or ["'sample'"]
    match kind.name:
        case "list":
            return f"[{items[0]}]"
        case "set":
            return f"{{{items[0]}}}"
        case "tuple":
            return f"({', '.join(item for item in items if item != '...')},)"
        case "dict":
            return f"{{'sample': {items[-1]}}}" if len(items) < 2 else f"{{{items[0]}: {items[1]}}}"
        case name:
            return _VALUES[name]
