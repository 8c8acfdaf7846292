"""Stand-in for the module `fractions` in the light sandbox, which has no modules but its own.

The sandbox runs this file before a program that imports `fractions`. Its interpreter has neither
inheritance nor decorators of methods, and compares no objects by `<`: such a program fails there,
and runs in the isolated sandbox.
"""

import math
from decimal import Decimal
from typing import Any


class Fraction:
    """Rational number in lowest terms, as `fractions.Fraction`."""

    def __init__(self, numerator: Any = 0, denominator: Any = 1) -> None:
        top, under = _ratio(numerator)
        other_top, other_under = _ratio(denominator)
        top, under = top * other_under, under * other_top
        if under == 0:
            raise ZeroDivisionError(f"Fraction({top}, 0)")
        shared = math.gcd(top, under) * (-1 if under < 0 else 1)
        self.numerator = top // shared
        self.denominator = under // shared

    def __str__(self) -> str:
        if self.denominator == 1:
            return str(self.numerator)
        return f"{self.numerator}/{self.denominator}"

    def __repr__(self) -> str:
        return f"Fraction({self.numerator}, {self.denominator})"

    def __hash__(self) -> int:
        if self.denominator == 1:
            return hash(self.numerator)
        return hash((self.numerator, self.denominator))

    def __bool__(self) -> bool:
        return self.numerator != 0

    def __int__(self) -> int:
        return self.__trunc__()

    def __float__(self) -> float:
        return self.numerator / self.denominator

    def __trunc__(self) -> int:
        size = abs(self.numerator) // self.denominator
        return -size if self.numerator < 0 else size

    def __floor__(self) -> int:
        return self.numerator // self.denominator

    def __ceil__(self) -> int:
        return -(-self.numerator // self.denominator)

    def __round__(self, ndigits: int | None = None) -> Any:
        if ndigits is not None:
            shift = Fraction(10) ** ndigits
            return Fraction(round(self * shift)) / shift
        whole = self.numerator // self.denominator
        double = 2 * (self.numerator - whole * self.denominator)
        up = double > self.denominator or (double == self.denominator and whole % 2 == 1)
        return whole + 1 if up else whole

    def __pos__(self) -> "Fraction":
        return self

    def __neg__(self) -> "Fraction":
        return Fraction(-self.numerator, self.denominator)

    def __abs__(self) -> "Fraction":
        return Fraction(abs(self.numerator), self.denominator)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, float):
            return float(self) == other and Fraction(other) == self
        if not isinstance(other, (int, Fraction)):
            return False
        top, under = _ratio(other)
        return self.numerator == top and self.denominator == under

    def __add__(self, other: Any) -> Any:
        if isinstance(other, float):
            return float(self) + other
        top, under = _ratio(other)
        return Fraction(self.numerator * under + top * self.denominator, self.denominator * under)

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, float):
            return float(self) * other
        top, under = _ratio(other)
        return Fraction(self.numerator * top, self.denominator * under)

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, float):
            return float(self) / other
        top, under = _ratio(other)
        return Fraction(self.numerator * under, self.denominator * top)

    def __rtruediv__(self, other: Any) -> Any:
        if isinstance(other, float):
            return other / float(self)
        return Fraction(other) / self

    def __floordiv__(self, other: Any) -> Any:
        return math.floor(self / other)

    def __rfloordiv__(self, other: Any) -> Any:
        return math.floor(other / self)

    def __mod__(self, other: Any) -> Any:
        return self - other * (self // other)

    def __rmod__(self, other: Any) -> Any:
        return other - self * (other // self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, power: Any) -> Any:
        if isinstance(power, Fraction) and power.denominator == 1:
            power = power.numerator
        if not isinstance(power, int):
            return float(self) ** float(power)
        if power >= 0:
            return Fraction(self.numerator**power, self.denominator**power)
        return Fraction(self.denominator**-power, self.numerator**-power)

    def __rpow__(self, base: Any) -> Any:
        if self.denominator == 1:
            return Fraction(base) ** self.numerator if self.numerator < 0 else base**self.numerator
        return float(base) ** float(self)

    def as_integer_ratio(self) -> tuple[int, int]:
        """Return numerator and denominator."""
        return self.numerator, self.denominator

    def limit_denominator(self, max_denominator: int = 1_000_000) -> "Fraction":
        """Return the nearest fraction with a denominator of at most `max_denominator`."""
        if max_denominator < 1:
            raise ValueError("max_denominator should be at least 1")
        if self.denominator <= max_denominator:
            return self
        # Convergents of the continued fraction, and the last semiconvergent.
        p0, q0, p1, q1 = 0, 1, 1, 0
        n, d = self.numerator, self.denominator
        while True:
            a = n // d
            q2 = q0 + a * q1
            if q2 > max_denominator:
                break
            p0, q0, p1, q1 = p1, q1, p0 + a * p1, q2
            n, d = d, n - a * d
        k = (max_denominator - q0) // q1
        if 2 * d * (q0 + k * q1) <= self.denominator:
            return Fraction(p1, q1)
        return Fraction(p0 + k * p1, q0 + k * q1)


FractionClass = Fraction
"""Value of the name that an import binds, which in a function may be `Fraction` itself."""


class FractionsModule:
    """The module `fractions`."""

    def __init__(self) -> None:
        self.Fraction = FractionClass


def _ratio(number: Any) -> tuple[int, int]:
    """Return numerator and denominator of a number, or of a text such as "3/7" or "0.25"."""
    if isinstance(number, int):
        return int(number), 1
    if isinstance(number, Fraction):
        return number.numerator, number.denominator
    if isinstance(number, float):
        return _ratio(Decimal(number))
    if isinstance(number, Decimal):
        return _decimal_ratio(str(number))
    if isinstance(number, str):
        top, slash, under = number.strip().partition("/")
        return (int(top), int(under)) if slash else _decimal_ratio(top)
    raise TypeError(f"no rational number: {number!r}")


def _decimal_ratio(text: str) -> tuple[int, int]:
    """Return numerator and denominator of a decimal number such as "-1.5E+3"."""
    digits, _, exponent = text.lower().partition("e")
    whole, _, part = digits.partition(".")
    power = int(exponent or 0) - len(part)
    number = int(whole + part)
    return (number * 10**power, 1) if power >= 0 else (number, 10**-power)
