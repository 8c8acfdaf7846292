"""Reading of an answer into values.

An answer can have several readings: `(2, 4)` is a point and an interval, `C` a choice and a
variable. Two answers are equal if one reading of the first equals one of the second.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

from persona_assets.grading import units
from persona_assets.grading.construction import Unreadable
from persona_assets.grading.lexer import tokenize
from persona_assets.grading.parser import Parser
from persona_assets.grading.phrases import clock, constant, date, number_word, words_of
from persona_assets.grading.regions import interval, region
from persona_assets.grading.syntax import (
    Apply,
    Builder,
    Group,
    Listing,
    Matrix,
    Node,
    Number,
    Numeral,
    Quantity,
    Ratio,
    Relation,
    Symbol,
    Words,
    difference,
    substitute,
    variables,
    walk,
)
from persona_assets.grading.typography import plain
from persona_assets.grading.values import (
    Choice,
    Congruence,
    Digits,
    Equation,
    Inequality,
    Infinite,
    Named,
    Proportion,
    Scalar,
    Sequence,
    Table,
    Text,
    Value,
)
from persona_assets.grading.vocabulary import FUNCTIONS

_CHOICE = re.compile(
    r"(?:\\text[a-z]*\s*|\\mathrm\s*|\\mbox\s*)?[{(\[]*\s*(?:\\text[a-z]*\s*|\\mathrm\s*)?[{(]*"
    r"(?:(?:option|choice|answer)\s*:?\s*)?\(?([A-Za-z])\s*[)\]}.:]*",
    re.IGNORECASE,
)
_NUMERAL = re.compile(
    r"\(?(-?[0-9A-Z]{1,200})\)?_\{?\(?(?:\\text\s*\{)?([0-9]{1,2})\}?\)?\}?"
    r"|([0-9]+) ?_ ?\{?([0-9]{1,2})\}?"
)
_PREFIX = re.compile(
    r"(?:(?:so|thus|hence|therefore|and|the|my|our|final|correct|answers?|result|solutions?|value)"
    r",?\s+){1,6}(?:is|are|equals)\s*:?\s*|(?:it|this|that)\s+(?:is|was)\s+",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"(\\(?:text|mbox)\s*\{\s*)?(?:the|an?)\s+(?=([A-Za-z]{3,}))", re.IGNORECASE)
_SPELLED = re.compile(r"[A-Za-z]+|[^\sA-Za-z-]")
_LONGEST_CHOICE = 60
_MAX_SIGNS = 4


def read(text: str) -> tuple[Value, ...]:
    r"""Return the readings of an answer, none for an answer without content.

    Example:
        >>> read("1,234")
        (Scalar(node=Number(value=Fraction(1234, 1), digits=0), unit=None),)
    """
    text = plain(text)
    if not text:
        return ()
    prefix = _PREFIX.match(text)
    if prefix and prefix.end() < len(text):
        text = text[prefix.end() :]
    article = _ARTICLE.match(text)
    if article and article[2] not in FUNCTIONS:
        text = (article[1] or "") + text[article.end() :]
    values = list(dict.fromkeys(_readings(text)))
    if not any(not isinstance(value, Choice) for value in values):
        values.append(Text(words_of(text)))
    return tuple(values)


def _readings(text: str) -> Iterator[Value]:
    choice = _CHOICE.fullmatch(text) if len(text) <= _LONGEST_CHOICE else None
    if choice and choice[1].upper() <= "J" and (choice[1].isupper() or choice[0] != choice[1]):
        yield Choice(choice[1].upper())
    time = clock(text)
    if time is not None:
        yield time
    number = number_word(tuple(_SPELLED.findall(text))) if _SPELLED.match(text) else None
    if number is not None:
        yield Scalar(Number(Fraction(number)))
        return
    phrase = constant(text) or date(text)
    if phrase is not None:
        yield phrase
        return
    numeral = _NUMERAL.fullmatch(text)
    if numeral:
        digits, base = numeral[1] or numeral[3], int(numeral[2] or numeral[4])
        if 2 <= base <= 36 and any(character.isdigit() for character in digits):
            yield Digits(digits.lstrip("0") or "0", base)
            return
    for node in _trees(text):
        try:
            values = list(values_of(node))
        except Unreadable:  # a part has no reading
            continue
        yield from values


def _trees(text: str) -> Iterator[Node]:
    """Yield the syntax trees of a text: with and without ambiguous commas, units, letters."""
    thousands = re.search(r"[0-9],[0-9]{3}(?![0-9])", text) is not None
    brackets = re.search(r"[(\[{]", text) is not None or len(re.findall(r",", text)) > 2
    letters = re.search(r"[0-9}) ] \s*[A-Za-z]\b", text) is not None
    for grouped in (True, False) if thousands and brackets else (True,):
        for as_units in (False, True) if letters else (False,):
            try:
                yield Parser(tokenize(text, grouped), as_units).parse()
            except Unreadable:
                continue


def values_of(node: Node) -> Iterator[Value]:
    """Yield the readings of a syntax tree."""
    signs = [
        part for part in walk(node) if isinstance(part, Apply) and part.function in ("pm", "mp")
    ]
    if signs and not isinstance(node, Listing | Group | Relation):
        if len(signs) <= _MAX_SIGNS:
            variants = [value for branch in _branches(node, signs) for value in _first(branch)]
            yield Sequence("set", tuple(variants))
        return
    match node:
        case Words(words):
            yield from _words(words)
        case Numeral(digits, base):
            yield Digits(digits, base)
        case Ratio(parts):
            if isinstance(parts[0], Words):
                rest = parts[1] if len(parts) == 2 else Ratio(parts[1:])
                name = " ".join(parts[0].words)
                yield from (Named(name, value) for value in values_of(rest))
                return
            if not all(isinstance(part, Number | Symbol | Apply | Group) for part in parts):
                return
            match parts:
                case (Symbol(name), other) if not isinstance(other, Symbol):
                    yield from (Named(name, value) for value in values_of(other))
            yield Proportion(parts)
            if len(parts) == 2:
                yield Scalar(Apply("div", parts))
        case Matrix(rows):
            yield Table(tuple(tuple(_one(item) for item in row) for row in rows))
        case Quantity(value, unit):
            yield from _quantity(value, unit)
        case Relation():
            yield from _relation(node)
        case Builder():
            yield from _builder(node)
        case Listing():
            yield from _listing(node)
        case Group():
            yield from _group(node)
        case Apply(function="union" | "intersection" | "setdifference"):
            found = region(node)
            if found is not None:
                yield found
            elif node.function == "union":
                items = [item for part in node.arguments for item in _members(part)]
                if items:
                    yield Sequence("set", tuple(items))
        case _:
            yield from _expression(node)


def _one(node: Node) -> Value:
    """Return the first reading of a part.

    Raises:
        Unreadable: The part has no reading.
    """
    for value in values_of(node):
        return value
    raise Unreadable


def _first(node: Node) -> list[Value]:
    for value in values_of(node):
        return [value]
    return []


def _expression(node: Node) -> Iterator[Value]:
    if isinstance(node, Symbol):
        if node.name == "oo":
            yield Infinite(1)
            return
        if node.name == "reals":
            found = region(node)
            if found is not None:
                yield found
            return
    match node:
        case Apply(function="neg", arguments=(Symbol(name="oo"),)):
            yield Infinite(-1)
            return
        case Apply(function="percent", arguments=(value,)):
            yield Scalar(value, units.PERCENT)
            return
        case Apply(function="neg", arguments=(Apply(function="percent", arguments=(value,)),)):
            yield Scalar(Apply("neg", (value,)), units.PERCENT)
            return
        case Apply(function="pow", arguments=(Group() as vector, Symbol(name="T"))):
            yield Sequence("point", tuple(map(_one, vector.items)))
            return
        case Apply(function="pow", arguments=(Matrix(rows), Symbol(name="T"))):
            flipped = Matrix(tuple(zip(*rows, strict=True)))
            yield from values_of(flipped)
            return
        case Apply(function="mod", arguments=(value, modulus)):
            yield Congruence(value, modulus)
            return
        case Apply(function="add", arguments=(Symbol(name="reals"), Apply(
            function="neg", arguments=(Group() as removed,)
        ))):  # fmt: skip
            found = region(Apply("setdifference", (Symbol("reals"), removed)))
            if found is not None:
                yield found
            return
    bare, unit = _without_degrees(node)
    if unit is not None:
        yield Scalar(bare, unit)
        return
    structure = _structure(node)
    if structure is not None:
        yield structure
        return
    for part in walk(node):
        if isinstance(part, Quantity):
            yield from _sum_of_quantities(node)
            return
        if not isinstance(part, Number | Symbol | Apply | Matrix):
            return
    names = variables(node)
    if any(name.startswith("versor_") for name in names):
        yield _vector(node, names)
        return
    yield Scalar(node)
    for imaginary in ("j", "I"):
        if names == {imaginary} and node != Symbol(imaginary):
            yield Scalar(_renamed(node, imaginary, "i"))


def _vector(node: Node, names: frozenset[str]) -> Sequence:
    """Return the components of a sum of multiples of unit vectors."""
    axes = ["versor_i", "versor_j", "versor_k"][: 3 if "versor_k" in names else 2]
    components = []
    for axis in axes:
        component = node
        for name in axes:
            component = substitute(component, name, Number(Fraction(int(name == axis))))
        components.append(Scalar(component))
    return Sequence("point", tuple(components))


def _structure(node: Node) -> Value | None:
    """Return a matrix or a vector with a factor or a sign; None for other structures."""
    match node:
        case Apply(function="neg", arguments=(inner,)):
            factors: tuple[Node, ...] = (Number(Fraction(-1)),)
        case Apply(function="mul", arguments=(*scalars, inner)):
            factors = tuple(scalars)
        case Apply(function="div", arguments=(inner, divisor)):
            factors = (Apply("div", (Number(Fraction(1)), divisor)),)
        case _:
            return None
    if isinstance(inner, Matrix):
        rows = tuple(tuple(Apply("mul", (*factors, item)) for item in row) for row in inner.rows)
        return _one(Matrix(rows))
    if isinstance(inner, Group) and inner.opening in ("(", r"\langle"):
        items = tuple(Apply("mul", (*factors, item)) for item in inner.items)
        return Sequence("point", tuple(map(_one, items)))
    return None


def _renamed(node: Node, old: str, new: str) -> Node:
    if isinstance(node, Symbol) and node.name == old:
        return Symbol(new)
    if isinstance(node, Apply):
        return replace(node, arguments=tuple(_renamed(part, old, new) for part in node.arguments))
    return node


def _without_degrees(node: Node) -> tuple[Node, units.Unit | None]:
    """Take the degree signs off a sum or product; inside functions they are factors."""
    if not isinstance(node, Apply):
        return node, None
    if node.function == "degree":
        return node.arguments[0], units.DEGREE
    if node.function in ("add", "neg", "mul", "div"):
        parts = [_without_degrees(part) for part in node.arguments]
        if any(unit is not None for _, unit in parts):
            return Apply(node.function, tuple(part for part, _ in parts)), units.DEGREE
    return node, None


def _sum_of_quantities(node: Node) -> Iterator[Value]:
    """Read `3 dollars + 5`, `\\$3 \\times 5` and the like: one unit in a sum or product."""
    found = {part.unit for part in walk(node) if isinstance(part, Quantity)}
    if len(found) == 1:
        yield Scalar(_unitless(node), found.pop())


def _unitless(node: Node) -> Node:
    if isinstance(node, Quantity):
        return node.value
    if isinstance(node, Apply):
        return replace(node, arguments=tuple(map(_unitless, node.arguments)))
    return node


def _quantity(value: Node, unit: units.Unit) -> Iterator[Value]:
    for inner in values_of(value):
        match inner:
            case Scalar(node, None):
                yield Scalar(node, unit)
            case Proportion() | Sequence() | Infinite():
                yield inner


def _words(words: tuple[str, ...]) -> Iterator[Value]:
    number = number_word(words)
    if number is not None:
        yield Scalar(Number(Fraction(number)))
    phrase = constant(" ".join(words))
    yield phrase if phrase is not None else Text(words_of(" ".join(words)))


def _listing(node: Listing) -> Iterator[Value]:
    items = node.items
    if all(isinstance(item, Relation) for item in items):
        found = region(node)
        if found is not None:
            yield found
            return
        named = _assignments(items)
        if named:
            yield from named
            return
    if node.connective == "and" and len(items) == 2:
        match items:
            case (Number(value=whole), Apply(
                function="div", arguments=(Number(value=top), Number(value=bottom))
            )) if whole.denominator == 1 and 0 < top < bottom:  # fmt: skip
                yield Scalar(Apply("add", items))
    if isinstance(items[0], Relation) and not any(isinstance(item, Relation) for item in items[1:]):
        first = _one(items[0])
        if isinstance(first, Named):
            values = (first.value, *map(_one, items[1:]))
            yield Named(first.name, Sequence("bare", values))
            return
        if isinstance(first, Sequence):
            yield Sequence("set", (*first.items, *map(_one, items[1:])))
            return
    if node.connective == "or" and all(isinstance(item, Group) for item in items):
        found = region(Listing(items, "or"))
        if found is not None:
            yield found
    units_named = [item.unit for item in items if isinstance(item, Quantity)]
    if isinstance(items[-1], Quantity) and len(units_named) == 1:  # `3, 4 and 5 cm`
        items = tuple(
            item if isinstance(item, Quantity) else Quantity(item, units_named[0]) for item in items
        )
    yield Sequence("bare", tuple(member for item in items for member in _members_of_item(item)))


def _members_of_item(node: Node) -> tuple[Value, ...]:
    """Return the values of an item of a list or set: two for a sum with a double sign."""
    value = _one(node)
    signs = any(isinstance(part, Apply) and part.function in ("pm", "mp") for part in walk(node))
    if signs and isinstance(value, Sequence) and value.kind == "set":
        return value.items
    return (value,)


def _members(node: Node) -> tuple[Value, ...]:
    if isinstance(node, Group) and node.opening == "{":
        return tuple(member for item in node.items for member in _members_of_item(item))
    return ()


def _assignments(items: tuple[Node, ...]) -> list[Value]:
    """Read `x = 1, y = 2` as a point in the order of the names, `x = 1 or x = 2` as values."""
    named = [value for item in items for value in _first(item)[:1]]
    if len(named) != len(items) or not all(isinstance(value, Named) for value in named):
        return [Sequence("set", tuple(named))] if len(named) == len(items) else []
    pairs = [(value.name, value.value) for value in named if isinstance(value, Named)]
    stems = {name.partition("_")[0] for name, _ in pairs}
    values = tuple(
        part
        for _, value in pairs
        for part in (
            value.items if isinstance(value, Sequence) and value.kind == "set" else (value,)
        )
    )
    if len(stems) == 1:
        return [Named(stems.pop(), Sequence("bare", values))]
    if len({name for name, _ in pairs}) == len(pairs):
        ordered = sorted(pairs, key=lambda pair: pair[0])
        return [
            Sequence("point", tuple(value for _, value in ordered)),
            Sequence("point", tuple(value for _, value in pairs)),
        ]
    return [Sequence("set", tuple(named))]


def _group(node: Group) -> Iterator[Value]:
    signs = [
        part for part in walk(node) if isinstance(part, Apply) and part.function in ("pm", "mp")
    ]
    if signs and node.opening != "{":
        if len(signs) <= _MAX_SIGNS:
            points = [value for branch in _branches(node, signs) for value in _first(branch)]
            yield Sequence("set", tuple(points))
        return
    if node.opening == "{":
        entries = [_equation_of(item) for item in node.items]
        if entries and None not in entries:
            yield from _assignments(tuple(entry for entry in entries if entry is not None))
            return
        yield Sequence("set", _members(node))
        return
    if len(node.items) == 2:
        found = interval(node)
        if found is not None:
            round_brackets = node.opening == "(" and node.closing == ")"
            infinite = any(isinstance(part, Symbol) and part.name == "oo" for part in walk(node))
            if infinite or not (round_brackets or node.opening == "["):
                yield found
                return
            if round_brackets:
                yield Sequence("point", tuple(map(_one, node.items)))
            yield found
            if node.loose and all(_is_plain_number(item) for item in node.items):
                yield Sequence("point", tuple(map(_one, node.items)))
            if not round_brackets and node.closing == "]":
                yield Sequence("list", tuple(map(_one, node.items)))
            return
    if (
        node.opening == "["
        and node.items
        and all(isinstance(item, Group) and item.opening == "[" for item in node.items)
    ):
        rows = [item.items for item in node.items if isinstance(item, Group)]
        if len({len(row) for row in rows}) == 1:
            yield Table(tuple(tuple(_one(item) for item in row) for row in rows))
    members = tuple(_one(item) for item in node.items)
    if len(members) == 1:
        yield members[0]
        return
    yield Sequence("point", members)
    if node.opening == "[":
        yield Sequence("bare", members)


def _equation_of(node: Node) -> Relation | None:
    """Return the entry `x: 4` of a dictionary as an equation."""
    match node:
        case Ratio(parts=(Symbol() as name, value)):
            return Relation((name, value), ("=",))
    return None


def _is_plain_number(node: Node) -> bool:
    if isinstance(node, Apply) and node.function == "neg":
        node = node.arguments[0]
    return isinstance(node, Number)


def _builder(node: Builder) -> Iterator[Value]:
    found = region(node.condition)
    if found is not None:
        yield found
        return
    for value in values_of(node.condition):
        if isinstance(value, Named):
            yield value.value


def _branches(node: Node, signs: list[Apply]) -> list[Node]:
    """Return an expression with each choice of its double signs."""
    free = sum(1 for part in signs if part.function == "pm")
    coupled = free < len(signs)
    choices = [(1,), (-1,)] if coupled else product((1, -1), repeat=free)
    return [_signed(node, list(choice)) for choice in choices]


def _signed(node: Node, choice: list[int]) -> Node:
    """Replace double signs from left to right; a single choice decides all."""
    match node:
        case Apply(function="pm" | "mp", arguments=(inner,)):
            sign = choice[0] if len(choice) == 1 else choice.pop(0)
            inner = _signed(inner, choice)
            return inner if (sign == 1) == (node.function == "pm") else Apply("neg", (inner,))
        case Apply():
            return replace(node, arguments=tuple(_signed(part, choice) for part in node.arguments))
        case Group():
            return replace(node, items=tuple(_signed(part, choice) for part in node.items))
        case Quantity():
            return replace(node, value=_signed(node.value, choice))
        case Matrix(rows):
            return Matrix(tuple(tuple(_signed(part, choice) for part in row) for row in rows))
        case Ratio(parts):
            return Ratio(tuple(_signed(part, choice) for part in parts))
    return node


def _relation(node: Relation) -> Iterator[Value]:
    sides, operators = node.sides, node.operators
    if "~" in operators:  # the exact value stands before its approximation
        cut = operators.index("~")
        kept = sides[: cut + 1]
        if len(kept) == 1:
            yield from values_of(kept[0])
        else:
            yield from _relation(Relation(kept, operators[:cut]))
        return
    if set(operators) == {"≡"}:
        match sides:
            case (left, Apply(function="mod", arguments=(value, modulus))):
                yield Named(_name(left) or "", Congruence(node=value, modulus=modulus))
        return
    if operators == ("in",):
        left, right = sides
        if isinstance(left, Symbol):
            members = isinstance(right, Group) and right.opening == "{"
            found = None if members else region(right)
            if found is not None:
                yield replace(found, variable=left.name)
            else:
                yield from (Named(left.name, member) for member in values_of(right))
        return
    if set(operators) == {"="}:
        yield from _equation(sides)
        return
    found = region(node)
    if found is not None:
        yield found
        return
    if len(sides) == 2:
        left, right = sides
        match operators[0]:
            case "!=":
                yield Equation(difference(left, right), negated=True)
            case "<" | "<=":
                yield Inequality(difference(left, right), operators[0] == "<")
            case ">" | ">=":
                yield Inequality(difference(right, left), operators[0] == ">")


def _equation(sides: tuple[Node, ...]) -> Iterator[Value]:
    first, last = sides[0], sides[-1]
    name = _name(first)
    if name is None and len(sides) == 2 and (other := _name(last)) is not None:
        first, last, name = last, first, other
    if name is not None and (name not in variables(last) or len(sides) > 2):
        for value in values_of(last):
            yield Named(name, value)
    elif len(sides) > 2 or (not variables(first) and not variables(last)):
        yield from values_of(last)  # a computation: `3 + 4 = 7`
        return
    else:
        left, right = (variables(side) for side in (first, last))
        if not left & right and not any(isinstance(part, Number) for part in walk(first)):
            yield from values_of(last)  # the value of an expression: `a + b = 7`
    expressions = all(
        isinstance(part, Number | Symbol | Apply)
        and getattr(part, "function", "") not in ("pm", "mp")
        for side in sides
        for part in walk(side)
    )
    if len(sides) == 2 and expressions:
        yield Equation(difference(sides[0], sides[1]))


def _name(node: Node) -> str | None:
    """Return the name on the left of an equation: a variable, `f(x)`, a point, words."""
    match node:
        case Symbol(name):
            return None if name in ("oo", "pi", "i") else name
        case Apply(function="mul", arguments=(Symbol(name), Symbol(argument))) if (
            name in "fghpqPQFG"
        ):
            return f"{name}({argument})"
        case Apply(function="mul", arguments=(Symbol(name), Number())) if name in "fghpqPQFG":
            return f"{name}()"
        case Group(items=items) if all(isinstance(item, Symbol) for item in items):
            return "(" + ",".join(item.name for item in items if isinstance(item, Symbol)) + ")"
        case Words(words):
            return " ".join(words)
    return None
