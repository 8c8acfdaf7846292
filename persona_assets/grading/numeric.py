"""Evaluation of expressions: exact for rational numbers, else in as many digits as needed.

Equality of two expressions is decided by their values. Without variables, the values are exact
fractions, or agree in 60 digits and more: the precision grows with the ratio of the terms of every
sum, so that no term is too small to be seen. With variables, values are compared at several points
with random coordinates of 40 bits. Two different polynomials of degree d agree at such a point with
a probability below d / 2^39 (Schwartz and Zippel), and elementary functions that differ agree on a
set without interior. Points where a function has no real value are left out: `ln x^2` is `2 ln x`.

The time is bounded: exact numbers have at most `MAX_BITS`, and larger powers are floats.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import reduce
from math import comb, factorial, gcd, isqrt, lcm
from typing import Any

from persona_assets.grading.syntax import (
    CONSTANTS,
    Apply,
    Matrix,
    Node,
    Number,
    Symbol,
    difference,
    substitute,
    variables,
    walk,
)

MAX_BITS = 1 << 16
"""Largest numerator or denominator of an exact number, in bits."""

PRECISION = 220
"""Bits of a float in the first evaluation."""

MAX_RANGE = 1 << 12
"""Largest ratio of the terms of a sum, in bits, at which the terms are added."""

MAX_WORK = 1 << 21
"""Largest total size of the exact numbers of an evaluation, in bits."""

MAX_STEPS = 10_000
"""Largest number of nodes that an evaluation visits."""

_THREAD = threading.local()

Value = Any
"""Fraction, or a real or complex float of mpmath."""


class Undefined(Exception):
    """The expression has no value at this point, or no real value."""


class OutOfReach(Exception):
    """The value cannot be found within bounds, or by this module."""


class Evaluator:
    """Evaluation of expressions at a precision, for real or for complex numbers."""

    def __init__(self, precision: int, real: bool) -> None:
        self.real = real
        self._precision = precision
        self.range = 0
        self.bits = 0
        self._work = 0
        self._steps = 0

    @property
    def context(self) -> Any:
        """Return this thread's context of mpmath."""
        context = getattr(_THREAD, "context", None)
        if context is None:
            from mpmath import MPContext

            context = _THREAD.context = MPContext()
        if context.prec != self._precision:
            context.prec = self._precision
        return context

    def evaluate(self, node: Node, point: Mapping[str, Fraction]) -> Value:
        """Return the value of an expression at a point.

        Raises:
            Undefined: Division by zero, or a value that is not real.
            OutOfReach: A value beyond all bounds, or a node without a value.
        """
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise OutOfReach
        match node:
            case Number():
                return node.value
            case Symbol():
                return self._symbol(node.name, point)
            case Apply(function="sum" | "prod"):
                return self._series(node, point)
            case Apply(function="determinant", arguments=(Matrix() as matrix,)):
                return self._determinant(matrix, point)
            case Apply():
                arguments = [self.evaluate(argument, point) for argument in node.arguments]
                return self._checked(self._apply(node.function, arguments))
        raise OutOfReach

    def float(self, value: Value) -> Any:
        """Return a value as a float."""
        if isinstance(value, Fraction):
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            if bits > MAX_RANGE:
                raise OutOfReach
            self.bits = max(self.bits, bits)
            return self.context.mpf(value.numerator) / value.denominator
        return value

    def _symbol(self, name: str, point: Mapping[str, Fraction]) -> Value:
        if name in point:
            return point[name]
        if name == "pi":
            return +self.context.pi
        if name == "e":
            return +self.context.e
        if name == "i":
            if self.real:
                raise Undefined
            return self.context.mpc(0, 1)
        raise OutOfReach

    def _checked(self, value: Value) -> Value:
        if isinstance(value, Fraction):
            bits = value.numerator.bit_length() + value.denominator.bit_length()
            self._work += bits
            if bits > 4 * MAX_BITS or self._work > MAX_WORK:
                raise OutOfReach
            return value
        if not self.context.isfinite(value):
            raise Undefined
        if isinstance(value, self.context.mpc):
            if self.real:
                raise Undefined
            return value
        return value

    def _apply(self, name: str, arguments: list[Value]) -> Value:
        if name == "add":
            return self._add(arguments)
        function = getattr(self, f"_{name}", None) if name in _OWN else None
        if function is not None:
            return function(*arguments)
        if name in _ELEMENTARY and len(arguments) == 1:
            return self._elementary(name, arguments[0])
        raise OutOfReach

    def _add(self, terms: list[Value]) -> Value:
        if all(isinstance(term, Fraction) for term in terms):
            return sum(terms, Fraction(0))
        floats = [self.float(term) for term in terms]
        sizes = [int(self.context.mag(term)) for term in floats if term]
        if sizes:
            self.range = max(self.range, max(sizes) - min(sizes))
            if self.range > MAX_RANGE:
                raise OutOfReach
        return sum(floats[1:], floats[0])

    def _neg(self, a: Value) -> Value:
        return -a

    def _mul(self, *factors: Value) -> Value:
        product: Value = Fraction(1)
        for factor in factors:
            if isinstance(factor, Fraction) and not factor:
                return factor
            if isinstance(product, Fraction) == isinstance(factor, Fraction):
                product = self._checked(product * factor)
            else:
                product = self.float(product) * self.float(factor)
        return product

    def _div(self, a: Value, b: Value) -> Value:
        if not b:
            raise Undefined
        return (
            a / b
            if isinstance(a, Fraction) == isinstance(b, Fraction)
            else (self.float(a) / self.float(b))
        )

    def _pow(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction):
            if not base:
                if exponent <= 0:
                    raise Undefined
                return base
            if exponent.denominator == 1:
                return self._integer_power(base, int(exponent))
            if exponent.denominator < 1000:
                root = self._root(base, Fraction(exponent.denominator))
                return self._checked(self._pow(self._checked(root), Fraction(exponent.numerator)))
        if not base:
            raise Undefined
        base, exponent = self.float(base), self.float(exponent)
        if self.real and base < 0:
            raise Undefined
        if self.context.mag(exponent) + abs(int(self.context.mag(base))).bit_length() > 40:
            raise OutOfReach
        return self.context.power(base, exponent)

    def _integer_power(self, base: Value, exponent: int) -> Value:
        if isinstance(base, Fraction):
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits * abs(exponent) <= MAX_BITS or abs(base) == 1:
                return base ** (exponent if abs(base) != 1 else exponent % 2)
            if bits > 128:
                raise OutOfReach  # a float would lose digits
        if exponent.bit_length() > 256:
            raise OutOfReach
        self.range = max(self.range, exponent.bit_length())
        return self.float(base) ** exponent

    def _root(self, radicand: Value, index: Value) -> Value:
        if not isinstance(index, Fraction) or index.denominator != 1 or not 0 < index < 1000:
            return self._pow(radicand, self._div(Fraction(1), index))
        n = int(index)
        if isinstance(radicand, Fraction):
            sign = -1 if radicand < 0 else 1
            if sign == 1 or (n % 2 and self.real):
                top, bottom = _exact_root(abs(radicand.numerator), n), None
                if top is not None:
                    bottom = _exact_root(radicand.denominator, n)
                if top is not None and bottom is not None:
                    return Fraction(sign * top, bottom)
        value = self.float(radicand)
        if self.real and value < 0:
            if n % 2 == 0:
                raise Undefined
            return -self.context.root(-value, n)
        return self.context.sqrt(value) if n == 2 else self.context.root(value, n)

    def _factorial(self, a: Value) -> Value:
        if isinstance(a, Fraction) and a.denominator == 1:
            if a < 0:
                raise Undefined
            if a <= 5000:
                return Fraction(factorial(int(a)))
            if a <= 1 << 64:
                return self.context.gamma(self.float(a) + 1)
        raise Undefined  # sums over integers decide

    def _binom(self, n: Value, k: Value) -> Value:
        if not (isinstance(n, Fraction) and isinstance(k, Fraction) and k.denominator == 1):
            raise Undefined
        if k < 0 or (n.denominator == 1 and k > n >= 0):
            return Fraction(0)
        if n.denominator != 1 or not 0 <= n <= 3000:
            raise Undefined
        return Fraction(comb(int(n), int(k)))

    def _abs(self, a: Value) -> Value:
        return abs(a)

    def _percent(self, a: Value) -> Value:
        return self._div(a, Fraction(100))

    def _degree(self, a: Value) -> Value:
        return self.float(a) * self.context.pi / 180

    def _log(self, a: Value, base: Value = Fraction(10)) -> Value:
        exact = _exact_logarithm(a, base)
        return exact if exact is not None else self._div(self._ln(a), self._ln(base))

    def _ln(self, a: Value) -> Value:
        value = self.float(a)
        if not value or (self.real and value < 0):
            raise Undefined
        return Fraction(0) if a == 1 else self.context.ln(value)

    def _floor(self, a: Value) -> Value:
        return self._rounded(a, 0)

    def _ceil(self, a: Value) -> Value:
        return self._rounded(a, 1)

    def _rounded(self, a: Value, up: int) -> Value:
        if isinstance(a, Fraction):
            return Fraction(
                -(-a.numerator // a.denominator) if up else a.numerator // a.denominator
            )
        if isinstance(a, self.context.mpc) or self.context.mag(a) > MAX_BITS:
            raise OutOfReach
        nearest = int(self.context.nint(a))
        if abs(a - nearest) < self.context.mpf(2) ** (-self.context.prec // 2):
            return Fraction(nearest)
        return Fraction(int(self.context.ceil(a) if up else self.context.floor(a)))

    def _mod(self, a: Value, b: Value) -> Value:
        if not isinstance(a, Fraction) or not isinstance(b, Fraction) or not b:
            raise OutOfReach
        return a % b

    def _gcd(self, *values: Value) -> Value:
        return Fraction(reduce(gcd, _integers(values)))

    def _lcm(self, *values: Value) -> Value:
        return Fraction(reduce(lcm, _integers(values)))

    def _max(self, *values: Value) -> Value:
        return max(values, key=self.float)

    def _min(self, *values: Value) -> Value:
        return min(values, key=self.float)

    def _sign(self, a: Value) -> Value:
        return Fraction((a > 0) - (a < 0)) if self.real else Fraction(0)

    def _re(self, a: Value) -> Value:
        return a if isinstance(a, Fraction) else self.context.re(a)

    def _im(self, a: Value) -> Value:
        return Fraction(0) if isinstance(a, Fraction) else self.context.im(a)

    def _conjugate(self, a: Value) -> Value:
        return a if isinstance(a, Fraction) else self.context.conj(a)

    def _elementary(self, name: str, argument: Value) -> Value:
        if isinstance(argument, Fraction) and not argument and name in _ODD:
            return Fraction(0)
        value = self.float(argument)
        limit = 24 if name in ("sinh", "cosh", "tanh") else 400
        size = int(self.context.mag(value)) if value else 0
        if size > limit:
            raise OutOfReach
        self.range = max(self.range, size)
        try:
            return getattr(self.context, name)(value)
        except (ValueError, ZeroDivisionError):
            raise Undefined from None

    def _series(self, node: Apply, point: Mapping[str, Fraction]) -> Value:
        body, index, start, end = node.arguments
        first, last = self.evaluate(start, point), self.evaluate(end, point)
        if not isinstance(index, Symbol) or not all(
            isinstance(bound, Fraction) and bound.denominator == 1 for bound in (first, last)
        ):
            raise Undefined
        if last - first > 200:
            raise OutOfReach
        total: Value = Fraction(0 if node.function == "sum" else 1)
        for n in range(int(first), int(last) + 1):
            term = self.evaluate(body, {**point, index.name: Fraction(n)})
            both = [total, term]
            total = self._checked(self._add(both) if node.function == "sum" else self._mul(*both))
        return total

    def _determinant(self, matrix: Matrix, point: Mapping[str, Fraction]) -> Value:
        rows = [[self.evaluate(item, point) for item in row] for row in matrix.rows]
        if len(rows) != len(rows[0]) or len(rows) > 4:
            raise OutOfReach
        return self._checked(self._minor(rows))

    def _minor(self, rows: list[list[Value]]) -> Value:
        if len(rows) == 1:
            return rows[0][0]
        terms = []
        for column, entry in enumerate(rows[0]):
            rest = self._minor([row[:column] + row[column + 1 :] for row in rows[1:]])
            term = self._mul(entry, rest)
            terms.append(-term if column % 2 else term)
        return self._add(terms)


_ELEMENTARY = frozenset(
    "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh asinh acosh atanh".split()
)
_ODD = frozenset("sin tan asin atan sinh tanh asinh atanh".split())
_OWN = frozenset(
    "neg mul div pow root factorial binom abs percent degree log ln floor ceil mod gcd lcm max min"
    " sign re im conjugate".split()
)


def _exact_root(n: int, index: int) -> int | None:
    if index == 2:
        root = isqrt(n)
        return root if root * root == n else None
    if n < 2:
        return n
    root = 1 << -(-n.bit_length() // index)
    while True:  # Newton's iteration from above
        smaller = ((index - 1) * root + n // root ** (index - 1)) // index
        if smaller >= root:
            return root if root**index == n else None
        root = smaller


def _exact_logarithm(a: Value, base: Value) -> Fraction | None:
    """Return an integer logarithm, None if the logarithm is no integer."""
    if not isinstance(a, Fraction) or not isinstance(base, Fraction) or a <= 0 or base <= 1:
        return None
    if a == 1 or a.numerator.bit_length() + a.denominator.bit_length() > 4096:
        return Fraction(0) if a == 1 else None
    value, power, step = a if a > 1 else 1 / a, 0, base
    while value >= step and value % step == 0 and power < 4096:
        value, power = value / step, power + 1
    return Fraction(power if a > 1 else -power) if value == 1 else None


def _integers(values: tuple[Value, ...]) -> list[int]:
    if not all(isinstance(value, Fraction) and value.denominator == 1 for value in values):
        raise Undefined
    return [int(value) for value in values]


def same_value(a: Node, b: Node) -> bool | None:
    """Tell if two expressions are equal wherever both are defined; None if undecided."""
    names = sorted(variables(a) | variables(b))
    imaginary = any(
        isinstance(part, Symbol) and part.name == "i" for node in (a, b) for part in walk(node)
    )
    for real in (False,) if imaginary else (True, False):
        for integers in (False, True) if names else (False,):
            agreeing = 0
            for point in _points(names, integers):
                try:
                    same = _same_at(point, real, a, b)
                except Undefined:
                    continue
                except OutOfReach:
                    return None
                except (ValueError, ZeroDivisionError, OverflowError, TypeError):
                    continue  # mpmath outside a function's domain
                if not same:
                    return False
                agreeing += 1
                if agreeing == 3 or not names:
                    return True
            if agreeing:
                return None if integers else True
    return None


def _same_at(point: Mapping[str, Fraction], real: bool, left: Node, right: Node) -> bool:
    first = Evaluator(PRECISION, real)
    a, b = first.evaluate(left, point), first.evaluate(right, point)
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    a, b = first.float(a), first.float(b)
    mag = first.context.mag
    gap, size = abs(a - b), max(abs(a), abs(b))
    if gap > size / 1024 and mag(gap) > -PRECISION // 4 and first.range < PRECISION // 2:
        return False
    extra = first.range + first.bits
    precise = Evaluator(2 * (PRECISION + extra), real)
    a, b = (precise.float(precise.evaluate(node, point)) for node in (left, right))
    finer, size = abs(a - b), max(abs(a), abs(b))
    if not finer or mag(finer) < mag(size) - PRECISION - extra:
        return True
    # A difference that shrinks with the precision is rounding around zero.
    return bool(gap and mag(finer) < mag(gap) - PRECISION // 2)


def _points(names: list[str], integers: bool) -> Iterator[dict[str, Fraction]]:
    """Yield points whose coordinates depend on the name and the draw only."""
    for draw in range(8 if names else 1):
        yield {name: _coordinate(name, draw, integers) for name in names}


def _coordinate(name: str, draw: int, integers: bool) -> Fraction:
    digest = hashlib.blake2b(f"{draw} {name}".encode(errors="replace"), digest_size=9).digest()
    number = int.from_bytes(digest[:5], "big")
    if integers:
        return Fraction(number % 40 + 1)
    sign = -1 if digest[8] % 2 and draw else 1
    return sign * (Fraction(number, 1 << 39) + Fraction(1, 7))


def real_value(node: Node) -> Value | None:
    """Return the value of a constant real expression, None if there is none."""
    if any(isinstance(part, Symbol) and part.name not in CONSTANTS for part in walk(node)):
        return None
    try:
        return Evaluator(PRECISION, real=True).evaluate(node, {})
    except (Undefined, OutOfReach, ValueError, ZeroDivisionError, OverflowError, TypeError):
        return None


def roots(node: Node, name: str) -> tuple[Node, ...] | None:
    """Return the zeros of a polynomial of degree 1 or 2 in a variable, None for others.

    The zeros are expressions in the other variables; those of degree 2 may be complex.
    """
    zero, one, minus, far = (
        substitute(node, name, Number(value))
        for value in (Fraction(0), Fraction(1), Fraction(-1), Fraction(37, 5))
    )
    half, step, none = (Number(value) for value in (Fraction(1, 2), Fraction(37, 5), Fraction(0)))
    square = difference(Apply("mul", (half, Apply("add", (one, minus)))), zero)
    slope = Apply("mul", (half, difference(one, minus)))
    parabola = Apply("add", (Apply("mul", (square, step)), slope))
    if same_value(Apply("mul", (parabola, step)), difference(far, zero)) is not True:
        return None
    if same_value(square, none):
        if same_value(slope, none) is not False:
            return None
        return (Apply("neg", (Apply("div", (zero, slope)),)),)
    double = Apply("mul", (Number(Fraction(2)), square))
    product = Apply("mul", (Apply("mul", (Number(Fraction(2)), double)), zero))
    root = Apply("root", (difference(Apply("mul", (slope, slope)), product), Number(Fraction(2))))
    return tuple(
        Apply("div", (Apply("add", (Apply("neg", (slope,)), signed)), double))
        for signed in (root, Apply("neg", (root,)))
    )


def order(a: Value, b: Value) -> int:
    """Return -1, 0 or 1 if a real value is below, equal to or above another."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return (a > b) - (a < b)
    evaluator = Evaluator(PRECISION, real=True)
    a, b = evaluator.float(a), evaluator.float(b)
    gap, size = a - b, max(abs(a), abs(b))
    if not gap or evaluator.context.mag(gap) < evaluator.context.mag(size) - PRECISION // 2:
        return 0
    return 1 if gap > 0 else -1


FLOAT_DIGITS = 12
"""Significant digits from which a decimal is taken for a float that a program printed."""


def is_float_of(decimal: Node, exact: Node) -> bool:
    """Tell if a decimal is the float of an exact value, as programs print it.

    The decimal agrees with the value in 12 significant digits, which tell it from all other
    fractions with a denominator up to 10^6, and the value has no finite decimal expansion.
    """
    negative = isinstance(decimal, Apply) and decimal.function == "neg"
    literal = decimal.arguments[0] if isinstance(decimal, Apply) and negative else decimal
    if not isinstance(literal, Number) or literal.digits < FLOAT_DIGITS:
        return False
    if isinstance(exact, Number) and exact.digits >= FLOAT_DIGITS:
        return False
    value = real_value(exact)
    if value is None or not value:
        return False
    evaluator = Evaluator(PRECISION, real=True)
    shown, target = (
        evaluator.float(-literal.value if negative else literal.value),
        evaluator.float(value),
    )
    gap = abs(shown - target) / abs(target)
    if isinstance(value, Fraction) and (_terminates(value) or value.denominator > 10**6):
        return False
    return bool(gap <= 5 * evaluator.context.mpf(10) ** -FLOAT_DIGITS)


def _terminates(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1
