"""Equality of two answers, by the types of their values.

Conventions, after the MATH data set and what a person says:

- A unit, a base or a name that both answers state must agree; one that a single answer states
  is no difference. Quantities are converted: 5 m is 500 cm.
- 35 % is 35 and 0.35. An angle in degrees is also its value in radians if that is written with pi.
- Lists without brackets and sets have no order and no repetition, points have an order.
- A rounded decimal is not the exact value: 0.33 is not 1/3. Floats as programs print them, with
  at least 12 digits, are (`is_float_of`).
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

from persona_assets.grading.numeric import is_float_of, real_value, roots, same_value
from persona_assets.grading.reading import read
from persona_assets.grading.syntax import (
    Apply,
    Node,
    Number,
    Symbol,
    difference,
    substitute,
    variables,
    walk,
)
from persona_assets.grading.typography import plain
from persona_assets.grading.units import DEGREE, PERCENT, RADIAN, Unit
from persona_assets.grading.values import (
    Choice,
    Clock,
    Congruence,
    Day,
    Digits,
    Equation,
    Inequality,
    Infinite,
    Named,
    Piece,
    Proportion,
    Region,
    Scalar,
    Sequence,
    Table,
    Text,
    Value,
)

MAX_CHARACTERS = 2_000
"""Longest answer in characters; pairs with a longer answer are undecided."""

MAX_COMPARISONS = 2_000
"""Largest number of comparisons of expressions, for a pair of long lists."""


class Algebra(Protocol):
    """What a computer algebra system decides, if it is asked."""

    def equal(self, a: Node, b: Node) -> bool | None:
        """Tell if two expressions are equal; None if undecided."""

    def same_solutions(self, a: Value, b: Value) -> bool | None:
        """Tell if two equations, inequalities or regions have the same solutions."""


class Comparison:
    """Comparison of a pair of answers; `unsolved` tells that algebra was missing.

    Args:
        algebra: Computer algebra, None for undecided.

    Example:
        >>> Comparison().answers(r"\\frac{1}{2}", "0.5")
        True
    """

    def __init__(self, algebra: Algebra | None = None) -> None:
        self._algebra = algebra
        self._left = MAX_COMPARISONS
        self.unsolved = False

    def answers(self, gold: str, answer: str) -> bool | None:
        """Tell if an answer equals the gold answer; None if undecided."""
        if max(len(gold), len(answer)) > MAX_CHARACTERS or not gold.strip():
            return None
        expected, given = plain(gold), plain(answer)
        if expected == given:
            return True if expected else None
        ours, theirs = read(gold), read(answer)
        if not ours:
            return None
        clocks = [[v for v in values if isinstance(v, Clock)] for values in (ours, theirs)]
        if all(clocks):
            ours, theirs = map(tuple, clocks)
        return _any(self.values(a, b) for a in ours for b in theirs)

    def values(self, a: Value, b: Value) -> bool | None:
        """Tell if two values are equal."""
        if isinstance(b, Named) and not isinstance(a, Named):
            a, b = b, a
        match a, b:
            case Named(), Named():
                return _same_name(a.name, b.name) and self.values(a.value, b.value)
            case Named(), Equation():
                return False
            case Named(), _:
                return self.values(a.value, b)
            case Scalar(), Scalar():
                return self._scalars(a, b)
            case Sequence(), Sequence():
                return self._sequences(a, b)
            case (Sequence(items=(item,)), other) | (other, Sequence(items=(item,))):
                return self.values(item, other)
            case (Sequence(items=()), Region(pieces=())) | (Region(pieces=()), Sequence(items=())):
                return True
            case (Sequence(kind="point", items=items), Table() as table) | (
                Table() as table, Sequence(kind="point", items=items)
            ):  # fmt: skip
                cells = [cell for row in table.rows for cell in row]
                return min(len(table.rows), len(table.rows[0])) == 1 and self._pairwise(
                    items, cells
                )
            case Table(), Table():
                return len(a.rows) == len(b.rows) and _all(
                    self._pairwise(*rows) for rows in zip(a.rows, b.rows, strict=True)
                )
            case Region(), Region():
                return self._regions(a, b)
            case (Digits(digits=digits), Scalar(node=Number(value=value))) | (
                Scalar(node=Number(value=value)), Digits(digits=digits)
            ):  # fmt: skip
                return digits.isdecimal() and value == int(digits)
            case Equation(), Equation():
                return a.negated == b.negated and self._equations(a, b)
            case Inequality(), Inequality():
                return self._inequalities(a, b)
            case (Equation(negated=True) | Inequality(), Region()) | (
                Region(), Equation(negated=True) | Inequality()
            ):  # fmt: skip
                return self._solutions(a, b)
            case Proportion(parts=ours), Proportion(parts=theirs):
                return len(ours) == len(theirs) and _all(
                    same_value(Apply("mul", (ours[0], other)), Apply("mul", (theirs[0], one)))
                    for one, other in zip(ours[1:], theirs[1:], strict=True)
                )
            case Congruence(), Congruence():
                return _congruent(a, b)
            case (Congruence(node=one), Scalar(node=other)) | (
                Scalar(node=other), Congruence(node=one)
            ):  # fmt: skip
                return same_value(one, other)
            case Text(), Text():
                return "".join(a.words) == "".join(b.words)
            case Clock(), Clock():
                return a.minutes == b.minutes and (not a.half or not b.half or a.half == b.half)
            case Day(), Day():
                return (a.month, a.day) == (b.month, b.day) and (
                    not a.year or not b.year or a.year == b.year
                )
            case (Digits(), Digits()) | (Infinite(), Infinite()) | (Choice(), Choice()):
                return a == b
        return False

    def _scalars(self, a: Scalar, b: Scalar) -> bool | None:
        if a.unit is None or b.unit is None:
            if a.unit is None and b.unit is not None:
                a, b = b, a
            verdict = self._expressions(a.node, b.node)
            if verdict is not True and a.unit == PERCENT and b.unit is None:
                hundredth = Apply("div", (a.node, Number(Fraction(100))))
                return _any([verdict, self._expressions(hundredth, b.node)])
            if verdict is False and a.unit == DEGREE and Symbol("pi") in walk(b.node):
                return same_value(Apply("degree", (a.node,)), b.node)
            return verdict
        kinds = (a.unit.dimensions, b.unit.dimensions)
        if kinds == (DEGREE.dimensions, RADIAN.dimensions):
            return same_value(Apply("degree", (a.node,)), b.node)
        if kinds == (RADIAN.dimensions, DEGREE.dimensions):
            return same_value(Apply("degree", (b.node,)), a.node)
        factors = _common_unit(a.unit, b.unit)
        if factors is None:
            return False
        ours, theirs = (
            node if factor == 1 else Apply("mul", (Number(factor), node))
            for node, factor in zip((a.node, b.node), factors, strict=True)
        )
        return self._expressions(ours, theirs)

    def _expressions(self, a: Node, b: Node) -> bool | None:
        if isinstance(a, Number) and isinstance(b, Number) and not (a.digits or b.digits):
            return a.value == b.value
        if a == b:
            return True
        self._left -= 1
        if self._left < 0:
            return None
        verdict = same_value(a, b)
        if verdict is None:
            return self._ask(a, b)
        return verdict or is_float_of(a, b) or is_float_of(b, a)

    def _ask(self, a: Node, b: Node) -> bool | None:
        if self._algebra is None:
            self.unsolved = True
            return None
        return self._algebra.equal(a, b)

    def _solutions(self, a: Value, b: Value) -> bool | None:
        if self._algebra is None:
            self.unsolved = True
            return None
        return self._algebra.same_solutions(a, b)

    def _sequences(self, a: Sequence, b: Sequence) -> bool | None:
        kinds = {a.kind, b.kind}
        if "point" in kinds:
            return kinds <= {"point", "bare"} and self._pairwise(a.items, b.items)
        if kinds == {"list", "set"}:
            return False  # an interval is not the set of its ends
        return _all(
            _any(self.values(item, other) for other in others)
            for items, others in ((a.items, b.items), (b.items, a.items))
            for item in items
        )

    def _pairwise(self, a: Iterable[Value], b: Iterable[Value]) -> bool | None:
        ours, theirs = list(a), list(b)
        if len(ours) != len(theirs):
            return False
        return _all(self.values(one, other) for one, other in zip(ours, theirs, strict=True))

    def _regions(self, a: Region, b: Region) -> bool | None:
        if a.variable and b.variable and a.variable != b.variable:
            return False
        if len(a.pieces) != len(b.pieces):
            return False
        return _all(self._pieces(one, other) for one, other in zip(a.pieces, b.pieces, strict=True))

    def _pieces(self, a: Piece, b: Piece) -> bool | None:
        if (a.closed_low, a.closed_high) != (b.closed_low, b.closed_high):
            return False
        verdicts: list[bool | None] = []
        for one, other in ((a.low, b.low), (a.high, b.high)):
            if one is None or other is None:
                verdicts.append(one is other)
            else:
                verdicts.append(self._expressions(one, other))
        return _all(verdicts)

    def _equations(self, a: Equation, b: Equation) -> bool | None:
        ours, theirs = a.difference, b.difference
        names = variables(ours) | variables(theirs)
        if variables(ours) != variables(theirs):
            return False
        if _proportional(ours, theirs):
            return True
        for name in sorted(names):
            one, other = roots(ours, name), roots(theirs, name)
            if one is not None and other is not None:
                zero = Number(Fraction(0))
                return _all(
                    same_value(substitute(node, name, root), zero)
                    for node, found in ((theirs, one), (ours, other))
                    for root in found
                )
        return self._solutions(a, b)

    def _inequalities(self, a: Inequality, b: Inequality) -> bool | None:
        if variables(a.difference) != variables(b.difference):
            return False
        if _proportional(a.difference, b.difference):
            ratio = Apply("div", (_at(a.difference), _at(b.difference)))
            value = real_value(ratio)
            if value is not None:
                return bool(value > 0) and a.strict == b.strict
        return self._solutions(a, b)


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    undecided = False
    for verdict in verdicts:
        if verdict:
            return True
        undecided = undecided or verdict is None
    return None if undecided else False


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    undecided = False
    for verdict in verdicts:
        if verdict is False:
            return False
        undecided = undecided or verdict is None
    return None if undecided else True


def _same_name(a: str, b: str) -> bool:
    if a == b or (a.lower() == b.lower() and len(a) > 1):
        return True
    graphs = [name == "y" or name.endswith(")") for name in (a, b)]
    return all(graphs) or any(len(name) > 3 and name.replace(" ", "").isalpha() for name in (a, b))


def _common_unit(a: Unit, b: Unit) -> tuple[Fraction, Fraction] | None:
    """Return factors to a common unit, None for units of different kinds."""
    if a.dimensions == b.dimensions:
        known = a.dimensions or not (a.nouns and b.nouns)
        if not known and not (a.nouns <= b.nouns or b.nouns <= a.nouns):
            return None
        return a.factor, b.factor
    generic = [tuple(("unit" if name == "length" else name, n) for name, n in unit.dimensions)
               for unit in (a, b)]  # fmt: skip
    if generic[0] == generic[1] and ("unit" in dict(a.dimensions) or "unit" in dict(b.dimensions)):
        return Fraction(1), Fraction(1)
    return None


def _congruent(a: Congruence, b: Congruence) -> bool | None:
    modulus = real_value(a.modulus)
    gap = real_value(difference(a.node, b.node))
    if same_value(a.modulus, b.modulus) is not True:
        return False
    if not isinstance(modulus, Fraction) or not isinstance(gap, Fraction) or not modulus:
        return same_value(a.node, b.node)
    return (gap / modulus).denominator == 1


def _at(node: Node) -> Node:
    """Return the value of an expression at a point, as an expression."""
    for index, name in enumerate(sorted(variables(node))):
        node = substitute(node, name, Number(Fraction(2 * index + 7, 5 + index * index)))
    return node


def _proportional(a: Node, b: Node) -> bool:
    """Tell if one expression is the other times a number other than zero."""
    at_a, at_b = _at(a), _at(b)
    zero = Number(Fraction(0))
    if same_value(at_a, zero) is not False or same_value(at_b, zero) is not False:
        return False
    return same_value(Apply("mul", (a, at_b)), Apply("mul", (b, at_a))) is True
