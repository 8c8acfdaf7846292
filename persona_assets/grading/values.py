"""Values of answers: what is compared, by type."""

from dataclasses import dataclass
from typing import Literal

from persona_assets.grading.syntax import Node
from persona_assets.grading.units import Unit


@dataclass(frozen=True, slots=True)
class Scalar:
    """Number or expression, with its unit if the answer names a unit."""

    node: Node
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Infinite:
    """Infinity with its sign."""

    sign: int


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits in a named base; answers in different bases are different answers."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """Several values: a point or vector, a set, or a list with square or without brackets."""

    kind: Literal["point", "set", "bare", "list"]
    items: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Named:
    """Value of a named thing: `x = 5`."""

    name: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class Equation:
    """Equation `difference = 0`, or its negation."""

    difference: Node
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Inequality:
    """Inequality `difference < 0`, or `<= 0`, that is not solved."""

    difference: Node
    strict: bool


@dataclass(frozen=True, slots=True)
class Congruence:
    """Residue class."""

    node: Node
    modulus: Node


@dataclass(frozen=True, slots=True)
class Piece:
    """Interval; an end is None where the interval has no bound."""

    low: Node | None
    high: Node | None
    closed_low: bool
    closed_high: bool


@dataclass(frozen=True, slots=True)
class Region:
    """Union of disjoint intervals in ascending order, of a variable if the answer names one."""

    pieces: tuple[Piece, ...]
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Matrix."""

    rows: tuple[tuple["Value", ...], ...]


@dataclass(frozen=True, slots=True)
class Proportion:
    """Ratio of two or more numbers."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """Time of day: minutes after midnight, or after 12 o'clock if the half is not named."""

    minutes: int
    half: str | None


@dataclass(frozen=True, slots=True)
class Day:
    """Date; the year may be missing."""

    month: int
    day: int
    year: int | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Letter of a multiple choice."""

    letter: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words, or notation that is read as nothing else."""

    words: tuple[str, ...]


Value = (
    Scalar
    | Infinite
    | Digits
    | Sequence
    | Named
    | Equation
    | Inequality
    | Congruence
    | Region
    | Table
    | Proportion
    | Clock
    | Day
    | Choice
    | Text
)
