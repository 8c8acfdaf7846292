"""Computer algebra with sympy, for what numbers do not decide.

The time is not bounded: this module runs in a process that can be killed.
"""

from typing import Any

import sympy

from persona_assets.grading.syntax import Apply, Matrix, Node, Number, Symbol, variables
from persona_assets.grading.values import Equation, Inequality, Region, Value


class Unsupported(Exception):
    """sympy has no counterpart of a node."""


class Sympy:
    """Algebra by sympy."""

    def equal(self, a: Node, b: Node) -> bool | None:
        """Tell if two expressions are equal; None if undecided."""
        try:
            gap = expression(a).doit() - expression(b).doit()
        except Unsupported:
            return None
        if gap.has(sympy.nan, sympy.zoo, sympy.oo):
            return None
        simple = sympy.simplify(gap)
        if simple == 0:
            return True
        verdict = simple.equals(0)
        return None if verdict is None else bool(verdict)

    def same_solutions(self, a: Value, b: Value) -> bool | None:
        """Tell if two equations, inequalities or regions have the same solutions."""
        try:
            if isinstance(a, Equation) and isinstance(b, Equation):
                return _same_curve(expression(a.difference), expression(b.difference))
            names = _names(a) | _names(b)
            if len(names) != 1:
                return None
            symbol = sympy.Symbol(next(iter(names)), real=True)
            ours, theirs = (_solutions(value, symbol) for value in (a, b))
        except (Unsupported, NotImplementedError):
            return None
        if ours == theirs:
            return True
        rest = ours.symmetric_difference(theirs)
        return bool(rest.is_empty) if rest.is_empty is not None else None


def expression(node: Node, real: bool = False) -> Any:
    """Return the sympy expression of a node.

    Raises:
        Unsupported: sympy has no counterpart.
    """
    match node:
        case Number(value=value):
            return sympy.Rational(value.numerator, value.denominator)
        case Symbol(name=name):
            constants = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}
            return constants.get(name) or sympy.Symbol(name, real=True if real else None)
        case Apply(function="sum" | "prod" as kind, arguments=(body, index, start, end)):
            limits = tuple(expression(part, real) for part in (index, start, end))
            big = sympy.Sum if kind == "sum" else sympy.Product
            return big(expression(body, real), limits)
        case Apply(function="determinant", arguments=(Matrix(rows),)):
            return sympy.Matrix([[expression(item, real) for item in row] for row in rows]).det()
        case Apply(function=name, arguments=arguments) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(expression(argument, real) for argument in arguments))
    raise Unsupported


def _bounded_power(base: Any, exponent: Any) -> Any:
    if exponent.is_number and base.is_number and not abs(exponent) <= 10_000:
        raise Unsupported
    return base**exponent


def _bounded_factorial(n: Any) -> Any:
    if n.is_number and not n <= 10_000:
        raise Unsupported
    return sympy.factorial(n)


_FUNCTIONS: dict[str, Any] = {
    "add": lambda *terms: sympy.Add(*terms),
    "mul": lambda *factors: sympy.Mul(*factors),
    "neg": lambda a: -a,
    "div": lambda a, b: a / b,
    "pow": _bounded_power,
    "root": lambda a, n: sympy.root(a, n),
    "factorial": _bounded_factorial,
    "percent": lambda a: a / 100,
    "degree": lambda a: a * sympy.pi / 180,
    "log": lambda a, base=None: sympy.log(a, 10 if base is None else base),
    "ln": sympy.log,
    "abs": sympy.Abs,
    "ceil": sympy.ceiling,
    "max": sympy.Max,
    "min": sympy.Min,
    "binom": sympy.binomial,
} | {
    name: getattr(sympy, name)
    for name in (
        "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh asinh acosh atanh"
        " floor sign re im conjugate gcd lcm"
    ).split()
}


def _names(value: Value) -> frozenset[str]:
    match value:
        case Equation() | Inequality():
            return variables(value.difference)
        case Region(variable=str() as name):
            return frozenset({name})
    return frozenset()


def _solutions(value: Value, symbol: Any) -> Any:
    """Return the real solutions as a set."""
    match value:
        case Inequality(gap, strict):
            relation = expression(gap, real=True) < 0 if strict else expression(gap, real=True) <= 0
            return sympy.solveset(relation, symbol, sympy.Reals)
        case Equation(gap, negated):
            found = sympy.solveset(expression(gap, real=True), symbol, sympy.Reals)
            return sympy.Reals - found if negated else found
        case Region(pieces):
            return sympy.Union(
                *(
                    sympy.Interval(
                        -sympy.oo if piece.low is None else expression(piece.low, real=True),
                        sympy.oo if piece.high is None else expression(piece.high, real=True),
                        not piece.closed_low,
                        not piece.closed_high,
                    )
                    for piece in pieces
                )
            )
    raise Unsupported


def _same_curve(a: Any, b: Any) -> bool | None:
    """Tell if two equations in several variables have the same solutions, by their factors."""
    ours, theirs = (sympy.fraction(sympy.together(gap))[0] for gap in (a, b))
    symbols = sorted(ours.free_symbols | theirs.free_symbols, key=str)
    if not all(gap.is_polynomial(*symbols) for gap in (ours, theirs)):
        return None
    factors = [
        {factor for factor, _ in sympy.factor_list(gap, *symbols)[1]} for gap in (ours, theirs)
    ]
    return bool(factors[0] == factors[1] or factors[0] == {-factor for factor in factors[1]})
