"""Construction of syntax trees from parts."""

from fractions import Fraction

from persona_assets.grading import units
from persona_assets.grading.lexer import Token
from persona_assets.grading.syntax import (
    Apply,
    Group,
    Matrix,
    Node,
    Number,
    Numeral,
    Quantity,
    Relation,
    Symbol,
    children,
)
from persona_assets.grading.vocabulary import BASES, FUNCTIONS

MAX_TREE = 100
"""Deepest syntax tree."""


class Unreadable(Exception):
    """The text is not the notation of a value."""


def base_of(text: str) -> int | None:
    text = text.strip("()").lower()
    base = int(text) if text.isdecimal() and len(text) < 4 else BASES.get(text)
    return base if base is not None and 2 <= base <= 36 else None


def is_word(token: Token, *words: str) -> bool:
    return token.kind in ("word", "letters", "command") and token.text.removeprefix("\\") in words


def split_function(text: str) -> tuple[str, str] | None:
    """Split a function from a variable that touches it: `sinx`, `pir`."""
    for length in range(len(text) - 1, 1, -1):
        head, tail = text[:length], text[length:]
        if len(tail) == 1 and (head in FUNCTIONS or head == "pi") and head != "re":
            return head, tail
        if head in ("sqrt", "pi") and tail in FUNCTIONS:
            return head, tail
    return None


def integer(node: Node) -> int | None:
    match node:
        case Number(value=value) if value.denominator == 1:
            return int(value)
        case Apply(function="neg", arguments=(Number(value=value),)) if value.denominator == 1:
            return -int(value)
    return None


def negative(node: Node) -> Node:
    if isinstance(node, Quantity):
        return Quantity(Apply("neg", (node.value,)), node.unit)
    return Apply("neg", (node,))


def is_bare_integer(node: Node) -> bool:
    return isinstance(node, Number) and node.value.denominator == 1 and not node.digits


def is_proper(node: Node) -> bool:
    """Is this a fraction between 0 and 1, written with two integers?"""
    match node:
        case Apply(function="div", arguments=(Number(value=top), Number(value=bottom))):
            return 0 < top < bottom and top.denominator == bottom.denominator == 1
    return False


def product(node: Node, factor: Node) -> Node:
    """Append a factor to a product, so that a long product is no deep tree."""
    if isinstance(node, Apply) and node.function == "mul":
        return Apply("mul", (*node.arguments, factor))
    return Apply("mul", (node, factor))


def is_deep(node: Node) -> bool:
    stack = [(node, 1)]
    while stack:
        part, depth = stack.pop()
        if depth > MAX_TREE:
            return True
        stack.extend((child, depth + 1) for child in children(part))
    return False


def quotient(numerator: Node, denominator: Node) -> Node:
    return Apply("div", (numerator, denominator))


def scaled(node: Node, factor: int) -> Node:
    if isinstance(node, Quantity):
        return Quantity(scaled(node.value, factor), node.unit)
    return Apply("mul", (node, Number(Fraction(factor))))


def numeral(node: Node, base: int) -> Node:
    if isinstance(node, Number) and node.value.denominator == 1 and not node.digits:
        return Numeral(str(int(node.value)), base)
    if isinstance(node, Apply) and node.function == "neg":
        inner = numeral(node.arguments[0], base)
        assert isinstance(inner, Numeral)
        return Numeral("-" + inner.digits, base)
    raise Unreadable


def compound(items: list[Node]) -> Node | None:
    """Return the sum of quantities in ever smaller units: `2 hours and 30 minutes`."""
    total: Node | None = None
    last: units.Unit | None = None
    for item in items:
        if not isinstance(item, Quantity) or not item.unit.dimensions:
            return None
        if last is None:
            total, first = item.value, item.unit
        elif item.unit.dimensions == last.dimensions and item.unit.factor < last.factor:
            share = Number(item.unit.factor / first.factor)
            assert total is not None
            total = Apply("add", (total, Apply("mul", (item.value, share))))
        else:
            return None
        last = item.unit
    return Quantity(total, first) if total is not None else None


def function_of(name: str, arguments: tuple[Node, ...], base: Node | None) -> Node:
    match name, arguments:
        case "power", (root, exponent):
            return Apply("pow", (root, exponent))
        case "fraction", (top, bottom):
            return quotient(top, bottom)
        case "sqrt", (radicand,):
            return Apply("root", (radicand, Number(Fraction(2))))
        case "cbrt", (radicand,):
            return Apply("root", (radicand, Number(Fraction(3))))
        case "exp", (power,):
            return Apply("pow", (Symbol("e"), power))
        case "log", (argument,) if base is not None:
            return Apply("log", (argument, base))
        case "lg", (argument,):
            return Apply("log", (argument, Number(Fraction(10))))
        case "identity", (value,):
            return value
        case "complex", (real, imaginary):
            return Apply("add", (real, Apply("mul", (imaginary, Symbol("i")))))
        case "equation", (left, right):
            return Relation((left, right), ("=",))
        case "set", items:
            if len(items) == 1 and isinstance(items[0], Group):
                return items[0]
            return Group("{", "}", items)
        case "list", (Group() as group,):
            return group
        case "union", (first, *others):
            node = first
            for other in others:
                node = Apply("union", (node, other))
            return node
        case (("interval" | "open" | "lopen" | "ropen"), (low, high)):
            return Group(
                "(" if name in ("open", "lopen") else "[",
                ")" if name in ("open", "ropen") else "]",
                (low, high),
            )
        case (("log" | "gcd" | "lcm" | "max" | "min" | "binom"), _) if base is None:
            return Apply(name, arguments)
        case _, (argument,) if base is None:
            return Apply(name, (argument,))
    raise Unreadable


def matrix_of(node: Node) -> Node:
    """Return the matrix of a list of rows or of entries, as programs print one."""
    if isinstance(node, Group) and node.items:
        rows = [row.items if isinstance(row, Group) else (row,) for row in node.items]
        if len(node.items) == 1 and isinstance(node.items[0], Group):
            inner = node.items[0].items
            if inner and all(isinstance(row, Group) for row in inner):
                rows = [row.items for row in inner if isinstance(row, Group)]
        if len({len(row) for row in rows}) == 1:
            return Matrix(tuple(rows))
    raise Unreadable
