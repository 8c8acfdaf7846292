"""Intervals and inequalities as unions of intervals."""

from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from persona_assets.grading.numeric import order, real_value, roots
from persona_assets.grading.syntax import (
    Apply,
    Builder,
    Group,
    Listing,
    Node,
    Number,
    Relation,
    Symbol,
    difference,
    substitute,
    variables,
)
from persona_assets.grading.values import Piece, Region

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}


def interval(node: Group) -> Region | None:
    """Return the interval in brackets, None if the ends are in the wrong order."""
    if len(node.items) != 2 or node.opening not in "([":
        return None
    low, high = node.items
    start = None if _infinite(low) == -1 else low
    end = None if _infinite(high) == 1 else high
    if (start is not None and _infinite(low)) or (end is not None and _infinite(high)):
        return None
    if start is not None and end is not None:
        a, b = real_value(start), real_value(end)
        if a is None or b is None:
            if variables(start) or variables(end):
                return Region((Piece(start, end, node.opening == "[", node.closing == "]"),))
            return None
        if order(a, b) >= 0:
            return None
    closed_low = node.opening == "[" and start is not None
    closed_high = node.closing == "]" and end is not None
    return Region((Piece(start, end, closed_low, closed_high),))


def region(node: Node) -> Region | None:
    """Return the set of real numbers that a tree describes, None for other trees."""
    match node:
        case Symbol(name="reals"):
            return Region((Piece(None, None, False, False),))
        case Group(opening="{", items=items):
            points = [
                Piece(item, item, True, True) for item in items if real_value(item) is not None
            ]
            return _union(points) if len(points) == len(items) and points else None
        case Group():
            return interval(node)
        case Builder(condition=condition):
            return region(condition)
        case Relation():
            return _relation(node)
        case Apply(function="union" | "intersection" | "setdifference", arguments=(left, right)):
            a, b = region(left), region(right)
            if a is None or b is None:
                return None
            if node.function == "union":
                return _union([*a.pieces, *b.pieces])
            if node.function == "setdifference":
                b = _complement(b)
            return None if b is None else _intersection(a, b)
        case Listing(items=items, connective=connective):
            return _listed([region(item) for item in items], connective)
    return None


def _listed(regions: list[Region | None], connective: str) -> Region | None:
    found = [part for part in regions if part is not None]
    names = {part.variable for part in found}
    if len(found) != len(regions) or len(names) != 1:
        return None
    name = names.pop()
    if connective != "or":
        both: Region | None = found[0]
        for part in found[1:]:
            both = both and _intersection(both, part)
        if both is None:
            return None
        if both.pieces or connective == "and":
            return Region(both.pieces, name)
    union = _union([piece for part in found for piece in part.pieces])
    return union and Region(union.pieces, name)


def _relation(node: Relation) -> Region | None:
    """Solve inequalities that are linear in their only variable."""
    parts: list[Region] = []
    names: set[str] = set()
    for left, right, operator in zip(node.sides, node.sides[1:], node.operators, strict=False):
        if operator not in _FLIPPED:
            return None
        solved = _solve(left, right, operator)
        if solved is None or solved.variable is None:
            return None
        parts.append(solved)
        names.add(solved.variable)
    if len(names) != 1:
        return None
    both: Region | None = parts[0]
    for part in parts[1:]:
        both = both and _intersection(both, part)
    return both and Region(both.pieces, names.pop())


def _solve(left: Node, right: Node, operator: str) -> Region | None:
    if isinstance(right, Symbol) and right.name != "oo":
        left, right, operator = right, left, _FLIPPED[operator]
    if isinstance(left, Symbol) and left.name not in variables(right) and left.name != "oo":
        name, bound = left.name, right
        if _infinite(bound):
            return Region((Piece(None, None, False, False),), name)
        return Region(_half_lines(bound, operator), name)
    match left, right:
        case _, Apply(function="abs") if not variables(left):
            left, right, operator = right, left, _FLIPPED[operator]
    match left:
        case Apply(function="abs", arguments=(inner,)) if not variables(right):
            below = _solve(inner, right, operator)
            above = _solve(Apply("neg", (inner,)), right, operator)
            if below is None or above is None or not _positive(right):
                return None
            if operator.startswith("<"):
                both = _intersection(below, above)
            else:
                both = _union([*below.pieces, *above.pieces])
            return both and Region(both.pieces, below.variable)
    return _polynomial(difference(left, right), operator)


def _positive(node: Node) -> bool:
    value = real_value(node)
    return value is not None and value > 0


def _polynomial(gap: Node, operator: str) -> Region | None:
    """Solve `gap < 0` and the like for a polynomial of degree 1 or 2 in a single variable."""
    names = sorted(variables(gap))
    found = roots(gap, names[0]) if len(names) == 1 else None
    if found is None or operator == "!=":
        return None
    rising = substitute(gap, names[0], Number(Fraction(10**9)))
    value = real_value(rising)
    if value is None or not value:
        return None
    operator = operator if value > 0 else _FLIPPED[operator]
    if len(found) == 1:
        return Region(_half_lines(found[0], operator), names[0])
    places = [(real_value(root), root) for root in found]
    if any(place is None for place, _ in places) or order(places[0][0], places[1][0]) == 0:
        return None
    low, high = found if order(places[0][0], places[1][0]) < 0 else found[::-1]
    closed = operator.endswith("=")
    if operator.startswith("<"):
        return Region((Piece(low, high, closed, closed),), names[0])
    return Region((Piece(None, low, False, closed), Piece(high, None, closed, False)), names[0])


def _half_lines(bound: Node, operator: str) -> tuple[Piece, ...]:
    match operator:
        case "<" | "<=":
            return (Piece(None, bound, False, operator == "<="),)
        case ">" | ">=":
            return (Piece(bound, None, operator == ">=", False),)
    return (Piece(None, bound, False, False), Piece(bound, None, False, False))


def _infinite(node: Node) -> int:
    match node:
        case Symbol(name="oo"):
            return 1
        case Apply(function="neg", arguments=(Symbol(name="oo"),)):
            return -1
    return 0


def _place(node: Node) -> Any:
    value = real_value(node)
    if value is None:
        raise _NoOrder
    return value


class _NoOrder(Exception):
    """An end of an interval has no place on the real line."""


def _low(piece: Piece) -> tuple[int, Any, int]:
    """Return a key of the lower end: unbounded first, then place, closed before open."""
    return (0, 0, 0) if piece.low is None else (1, _place(piece.low), 0 if piece.closed_low else 1)


def _high(piece: Piece) -> tuple[int, Any, int]:
    return (
        (2, 0, 0) if piece.high is None else (1, _place(piece.high), 1 if piece.closed_high else 0)
    )


def _order(a: tuple[int, Any, int], b: tuple[int, Any, int]) -> int:
    if a[0] != b[0]:
        return -1 if a[0] < b[0] else 1
    return order(a[1], b[1]) or (a[2] > b[2]) - (a[2] < b[2])


_Key = tuple[tuple[int, Any, int], Piece]


def _by_low(a: _Key, b: _Key) -> int:
    return _order(a[0], b[0])


def _union(pieces: list[Piece]) -> Region | None:
    try:
        keys = sorted(((_low(piece), piece) for piece in pieces), key=cmp_to_key(_by_low))
        ordered = [piece for _, piece in keys]
        merged: list[Piece] = []
        for piece in ordered:
            last = merged[-1] if merged else None
            if last is not None and _touch(last, piece):
                if _order(_high(piece), _high(last)) > 0:
                    merged[-1] = Piece(last.low, piece.high, last.closed_low, piece.closed_high)
            else:
                merged.append(piece)
    except _NoOrder:
        return None
    return Region(tuple(merged))


def _touch(left: Piece, right: Piece) -> bool:
    if left.high is None or right.low is None:
        return True
    sign = order(_place(right.low), _place(left.high))
    return sign < 0 or (sign == 0 and (left.closed_high or right.closed_low))


def _intersection(a: Region, b: Region) -> Region | None:
    try:
        pieces = []
        for one in a.pieces:
            for other in b.pieces:
                start = one if _order(_low(one), _low(other)) >= 0 else other
                end = one if _order(_high(one), _high(other)) <= 0 else other
                if start.low is not None and end.high is not None:
                    sign = order(_place(start.low), _place(end.high))
                    if sign > 0 or (sign == 0 and not (start.closed_low and end.closed_high)):
                        continue
                pieces.append(Piece(start.low, end.high, start.closed_low, end.closed_high))
    except _NoOrder:
        return None
    return _union(pieces)


def _complement(a: Region) -> Region | None:
    pieces: list[Piece] = []
    low: Node | None = None
    closed = False
    bounded = False
    for piece in a.pieces:
        if piece.low is not None:
            pieces.append(Piece(low, piece.low, closed, not piece.closed_low))
        if piece.high is None:
            return Region(tuple(pieces))
        low, closed, bounded = piece.high, not piece.closed_high, True
    pieces.append(Piece(low if bounded else None, None, closed, False))
    return Region(tuple(pieces))
