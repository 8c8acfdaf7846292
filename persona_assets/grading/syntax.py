"""Syntax tree of an answer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from persona_assets.grading.units import Unit


@dataclass(frozen=True, slots=True)
class Number:
    """Exact number; `digits` counts the significant digits of a decimal, 0 for other numbers."""

    value: Fraction
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """Variable, or a constant: `pi`, `e`, `i`, `oo` (infinity)."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Function or operator applied to arguments."""

    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Items in brackets: a point, an interval, a set or a list.

    `loose` tells brackets that print a list in a programming language, as in `[3, 4]`.
    """

    opening: str
    closing: str
    items: tuple["Node", ...]
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Items without brackets, and the connective between them: `,`, `or` or `and`."""

    items: tuple["Node", ...]
    connective: str = ","


@dataclass(frozen=True, slots=True)
class Relation:
    """Chain of equations, inequalities, memberships or congruences."""

    sides: tuple["Node", ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple["Node", ...], ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """Expression with a unit."""

    value: "Node"
    unit: Unit


@dataclass(frozen=True, slots=True)
class Numeral:
    """Digits in a named base."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Words:
    """Text."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Numbers with colons between them."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Builder:
    """Set of all elements with a property: `{x | x > 3}`."""

    element: "Node"
    condition: "Node"


Node = (
    Number
    | Symbol
    | Apply
    | Group
    | Listing
    | Relation
    | Matrix
    | Quantity
    | Numeral
    | Words
    | Ratio
    | Builder
)

CONSTANTS = frozenset({"pi", "e", "i", "oo"})
"""Names of symbols with a fixed value."""


def children(node: Node) -> tuple[Node, ...]:
    """Return the parts of a node, from left to right."""
    match node:
        case Apply():
            return node.arguments
        case Group() | Listing():
            return node.items
        case Relation():
            return node.sides
        case Matrix():
            return tuple(item for row in node.rows for item in row)
        case Quantity():
            return (node.value,)
        case Ratio():
            return node.parts
        case Builder():
            return (node.element, node.condition)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Return a node and all nodes below it."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(children(node))


def variables(node: Node) -> frozenset[str]:
    """Return the names of the symbols in a node, except constants."""
    names = {part.name for part in walk(node) if isinstance(part, Symbol)}
    return frozenset(names - CONSTANTS)


def substitute(node: Node, name: str, value: Node) -> Node:
    """Return an expression with a value in place of a symbol."""
    if isinstance(node, Symbol) and node.name == name:
        return value
    if isinstance(node, Apply):
        return replace(
            node, arguments=tuple(substitute(part, name, value) for part in node.arguments)
        )
    return node


def difference(left: Node, right: Node) -> Apply:
    """Return the expression `left - right`."""
    return Apply("add", (left, Apply("neg", (right,))))
