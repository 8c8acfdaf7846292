"""Recursive descent from tokens to a syntax tree, without backtracking.

Precedence from loose to tight: list, relation, ratio, union, sum, product, sign, power, postfix.
"""

from fractions import Fraction

from persona_assets.grading import units
from persona_assets.grading.construction import (
    Unreadable,
    base_of,
    compound,
    function_of,
    integer,
    is_bare_integer,
    is_deep,
    is_proper,
    is_word,
    matrix_of,
    negative,
    numeral,
    product,
    quotient,
    scaled,
    split_function,
)
from persona_assets.grading.lexer import END, Token
from persona_assets.grading.syntax import (
    Apply,
    Builder,
    Group,
    Listing,
    Matrix,
    Node,
    Number,
    Quantity,
    Ratio,
    Relation,
    Symbol,
    Words,
)
from persona_assets.grading.vocabulary import (
    BARS,
    CLOSING,
    CURRENCIES,
    FILLERS,
    FUNCTIONS,
    INVERSES,
    NAMES,
    NO_FACTORS,
    OPENING,
    PROSE,
    RELATIONS,
    SET_OPERATORS,
    UNIT_SIGNS,
)

MAX_DEPTH = 60
"""Deepest nesting of brackets, commands and powers."""


class Parser:
    """Parser of a list of tokens.

    Args:
        tokens: Tokens of a whole answer.
        letters_are_units: Read a single letter after a number and a space as a unit: `5 m`.
    """

    def __init__(self, tokens: list[Token], letters_are_units: bool = False) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._letters_are_units = letters_are_units
        self._bars = 0
        self._builder = False

    def parse(self) -> Node:
        """Return the tree of the whole answer.

        Raises:
            Unreadable: The tokens are no value.
        """
        node = self._list()
        if self._next is not END or is_deep(node):
            raise Unreadable
        return node

    # Tokens

    @property
    def _next(self) -> Token:
        return self._peek(0)

    def _peek(self, ahead: int) -> Token:
        place = self._position + ahead
        return self._tokens[place] if place < len(self._tokens) else END

    def _take(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _accept(self, *texts: str) -> Token | None:
        if self._next is not END and self._next.text in texts:
            return self._take()
        return None

    def _expect(self, *texts: str) -> None:
        if not self._accept(*texts):
            raise Unreadable

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable

    # Lists and relations

    def _list(self) -> Node:
        items = [self._item()]
        connective = ","
        while True:
            if self._connective("or"):
                connective = "or"
            elif self._connective("and"):
                connective = "and" if connective == "," else connective
            elif self._accept(",", ";"):
                if self._connective("or"):
                    connective = "or"
                elif self._connective("and"):
                    connective = "and" if connective == "," else connective
                elif self._ends():
                    break  # a trailing comma
            else:
                break
            items.append(self._item())
        if len(items) == 1:
            return items[0]
        return compound(items) or Listing(tuple(items), connective)

    def _connective(self, word: str) -> bool:
        token = self._next
        if token.kind in ("letters", "word", "command") and (
            token.text.removeprefix("\\").lower() == word
        ):
            self._take()
            return True
        return False

    def _ends(self) -> bool:
        return self._next is END or self._next.text in CLOSING

    def _item(self) -> Node:
        self._enter()
        sides, operators = [self._ratio()], []
        while operator := RELATIONS.get(self._next.text):
            self._take()
            if operator == "<" and self._accept("="):
                operator = "<="
            if operator == ">" and self._accept("="):
                operator = ">="
            operators.append(operator)
            sides.append(self._ratio())
        if self._next.text == "(" and is_word(self._peek(1), "mod"):
            self._take()
            modulus = self._modulus()
            self._expect(")")
        elif self._next.text == r"\pmod" or is_word(self._next, "mod", "bmod"):
            modulus = self._modulus()
        else:
            modulus = None
        if modulus is not None:
            sides[-1] = Apply("mod", (sides[-1], modulus))
        if is_word(self._next, "for", "where", "with", "if", "when") and operators:
            raise Unreadable
        self._depth -= 1
        return Relation(tuple(sides), tuple(operators)) if operators else sides[0]

    def _modulus(self) -> Node:
        self._take()
        return self._unary()

    def _ratio(self) -> Node:
        parts = [self._union()]
        while (self._next.text == ":" and not self._builder) or (
            is_word(self._next, "to") and self._peek(1).kind == "number"
        ):
            self._take()
            parts.append(self._union())
        return Ratio(tuple(parts)) if len(parts) > 1 else parts[0]

    def _union(self) -> Node:
        node = self._measured()
        while True:
            operator = SET_OPERATORS.get(self._next.text)
            if operator is None and is_word(self._next, "U") and isinstance(node, Group | Apply):
                operator = "union"
            if operator is None:
                return node
            self._take()
            node = Apply(operator, (node, self._measured()))

    # Quantities

    def _measured(self) -> Node:
        """Parse a sum, with a currency before it or a unit after it."""
        if self._next.kind == "word" and not self._starts_formula(self._next):
            return self._words()
        if self._next.kind == "letters" and self._is_prose(self._next):
            return self._words()
        node = self._sum()
        if self._accept(r"\over"):
            node = quotient(node, self._sum())
        while (word := self._next).kind in ("word", "letters") and word.text.lower() in (
            units.SCALES
        ):
            self._take()
            node = scaled(node, units.SCALES[word.text.lower()])
        base = self._base()
        if base:
            return numeral(node, base)
        unit = self._unit()
        if unit is None:
            return node
        if isinstance(node, Quantity):
            return Quantity(node.value, node.unit.times(unit)) if not unit.dimensions else node
        node = Quantity(node, unit)
        if self._next.kind == "number" and unit.dimensions:
            smaller = self._measured()
            total = compound([node, smaller])
            if total is None:
                raise Unreadable
            return total
        return node

    def _starts_formula(self, token: Token) -> bool:
        return len(token.text) == 1 or token.text in FUNCTIONS or token.text in NAMES

    def _is_prose(self, token: Token) -> bool:
        """Tell a word from a product of letters: at least four letters, or known as a word."""
        text = token.text
        if text in FUNCTIONS or text in NAMES or len(text) == 1:
            return False
        if len(text) >= 4:
            return split_function(text) is None
        return text.lower() in PROSE

    def _words(self) -> Node:
        words: list[str] = []
        while (
            self._next.kind in ("word", "letters", "number")
            and not is_word(self._next, "and", "or")
        ) or self._next.text in ("-", "'", ".", '"'):
            words.append(self._take().text)
        if not words:
            raise Unreadable
        return Words(tuple(words))

    def _base(self) -> int | None:
        """Parse `base 6`, `in base six`, `(base 6)`."""
        ahead = 0
        if self._peek(ahead).text == "(":
            ahead += 1
        if is_word(self._peek(ahead), "in"):
            ahead += 1
        if not is_word(self._peek(ahead), "base"):
            return None
        bracket = self._next.text == "("
        self._position += ahead + 1
        base = base_of(self._take().text)
        if base is None or (bracket and not self._accept(")")):
            raise Unreadable
        return base

    def _unit(self) -> units.Unit | None:
        """Parse the unit that follows an expression, None without one."""
        unit, found, sign, pending = units.NONE, False, 1, 1
        if (
            self._next.text == "("
            and self._peek(1).kind == "word"
            and (self._peek(2).kind != "symbol" or self._peek(2).text == ")")
        ):
            self._take()
            unit = self._unit() or units.NONE
            self._expect(")")
            return unit
        while True:
            token = self._next
            if token.kind not in ("word", "letters") and token.text not in UNIT_SIGNS:
                if found and token.text == "/" and self._peek(1).kind in ("word", "letters"):
                    self._take()
                    sign = -1
                    continue
                if found and token.text == "-" and self._peek(1).kind in ("word", "letters"):
                    self._take()
                    continue
                if found and token.text in (r"\cdot", "*") and self._peek(1).kind in (
                    "word", "letters",
                ):  # fmt: skip
                    self._take()
                    continue
                if found and token.text == ".":
                    self._take()
                    continue
                return unit if found else None
            word = token.text
            lower = word.lower()
            if lower in ("and", "or", "mod", "to") and not (
                lower == "to" and found and not unit.dimensions
            ):
                return unit if found else None
            if word == "U" or (found and lower in ("where", "for", "if", "when", "with")):
                return unit if found else None
            self._take()
            if lower in ("per", "p", "a", "each") and found and lower != "p":
                sign = -1
                continue
            if lower in ("square", "sq", "squared", "cubic", "cu", "cubed"):
                exponent = 2 if lower.startswith("s") else 3
                if lower.endswith("ed") and found:
                    unit = unit.power(exponent)
                else:
                    pending, found = exponent, True
                self._accept(".")
                continue
            if lower in FILLERS and (found or lower != "in"):
                if not found and self._next is END:
                    raise Unreadable
                continue
            if not found and token.kind == "letters" and not self._unit_letters(token):
                raise Unreadable
            known = units.measure("percent" if word == "%" else word.removeprefix("\\"))
            part = known if known is not None else units.noun(word)
            exponent = sign * pending
            if self._accept("^", "**"):
                raised = self._argument()
                if not isinstance(raised, Number | Apply) or (value := integer(raised)) is None:
                    raise Unreadable
                if abs(value) > 9:
                    raise Unreadable
                exponent *= value
            unit = unit.times(part.power(exponent))
            found, pending = True, 1

    def _unit_letters(self, token: Token) -> bool:
        return (
            len(token.text) > 1
            or (self._letters_are_units and token.spaced)
            or token.text.lower() in units.SCALES
        )

    # Arithmetic

    def _sum(self) -> Node:
        terms = [self._signed()]
        while self._next.text in ("+", "-", r"\pm", r"\mp"):
            if self._peek(1).text == "/" and self._next.text == "+":  # `+/-` for plus or minus
                self._position += 2
                self._expect("-")
                terms.append(Apply("pm", (self._product(),)))
                continue
            terms.append(self._signed())
        return terms[0] if len(terms) == 1 else Apply("add", tuple(terms))

    def _signed(self) -> Node:
        sign = self._accept("+", "-", r"\pm", r"\mp")
        if not sign:
            return self._product()
        if sign.text in ("+", "-") and self._next.text in ("+", "-"):
            self._enter()
            node = self._signed()
            self._depth -= 1
        else:
            if sign.text.startswith("\\") and self._next.text == "*":
                self._take()  # a product sign that a program printed
            node = self._product()
        if sign.text == "+":
            return node
        if sign.text == "-":
            return negative(node)
        return Apply("pm" if sign.text == r"\pm" else "mp", (node,))

    def _product(self) -> Node:
        node = self._unary()
        while True:
            token = self._next
            if token.text in ("*", r"\times", r"\cdot"):
                self._take()
                if token.text == "*" and self._next.text == "*":
                    raise Unreadable
                node = product(node, self._unary())
            elif token.text == "/":
                if self._peek(1).kind in ("word",) and not self._starts_formula(self._peek(1)):
                    return node
                self._take()
                node = quotient(node, self._unary())
            elif token.kind == "number":
                node = self._mixed(node)
            elif self._starts_factor(node):
                factor = self._power()
                if is_bare_integer(node) and is_proper(factor):
                    node = Apply("add", (node, factor))  # a mixed number: 1\frac{4}{5}
                else:
                    node = product(node, factor)
            else:
                return node

    def _mixed(self, whole: Node) -> Node:
        """Parse the fraction of a mixed number: `5 1/2`."""
        numerator = self._next
        slash, denominator = self._peek(1), self._peek(2)
        fits = is_bare_integer(whole) and numerator.spaced and slash.text == "/"
        if fits and denominator.kind == "number" and numerator.number and denominator.number:
            self._position += 3
            top, bottom = numerator.number.value, denominator.number.value
            if bottom and top < bottom and top.denominator == bottom.denominator == 1:
                return Apply("add", (whole, Number(top / bottom)))
        raise Unreadable

    def _starts_factor(self, before: Node) -> bool:
        token = self._next
        if token is END or token.text in RELATIONS or token.text in SET_OPERATORS:
            return False
        if token.kind == "letters":
            text = token.text
            if text in ("and", "or", "mod", "to", "in", "U", "base") or self._is_prose(token):
                return False
            after_number = self._position and self._tokens[self._position - 1].kind == "number"
            if after_number and text.lower() in ("sq", "cu"):
                return False
            if text not in NAMES and after_number and len(text) > 1 and units.measure(text):
                function = FUNCTIONS.get(text)
                return function is not None and self._peek(1).kind != "end"
            return not (self._letters_are_units and len(text) == 1 and token.spaced and (
                after_number or isinstance(before, Number | Apply)
            ) and units.measure(text))  # fmt: skip
        if token.kind == "word":
            after_number = self._position and self._tokens[self._position - 1].kind == "number"
            return self._starts_formula(token) and not (
                after_number
                and (
                    (len(token.text) == 1 and token.text not in "ie")
                    or token.text in ("min", "sec")
                )
            )
        if token.kind == "command":
            if token.text in NO_FACTORS:
                return False
            return not token.text.startswith((r"\end", "\\\\"))
        if token.text == "(":
            ahead = self._peek(1)
            prose = ahead.kind == "word" and (
                not self._starts_formula(ahead)
                or (
                    len(ahead.text) == 1 and units.measure(ahead.text) and self._peek(2).text == ")"
                )
            )
            return not prose and not is_word(ahead, "mod", "base", "in")
        if token.text == "|":
            return not self._bars
        return token.text == "{"

    def _unary(self) -> Node:
        if self._accept("-"):
            self._enter()
            node = negative(self._unary())
            self._depth -= 1
            return node
        if self._accept("+"):
            self._enter()
            node = self._unary()
            self._depth -= 1
            return node
        return self._power()

    def _power(self) -> Node:
        return self._raised(self._postfix(self._primary()))

    def _raised(self, base: Node) -> Node:
        while self._accept("^", "**"):
            if self._accept(r"\circ", "o", "circ"):
                if self._next.text in ("C", "F") and self._next.kind in ("letters", "word"):
                    unit = units.measure(self._take().text)
                    assert unit is not None
                    return Quantity(base, unit)
                base = Apply("degree", (base,))
            elif self._braced_degree():
                base = Apply("degree", (base,))
            else:
                base = Apply("pow", (base, self._argument(power=True)))
            base = self._postfix(base)
        return base

    def _braced_degree(self) -> bool:
        if [self._peek(n).text for n in range(3)] in (["{", r"\circ", "}"], ["{", "o", "}"]):
            self._position += 3
            return True
        return False

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._next.text == "!" and self._peek(1).text != "=":
                self._take()
                node = Apply("factorial", (node,))
            elif self._next.text in ("%", r"\%"):
                self._take()
                node = Apply("percent", (node,))
            elif self._next.text == "'" and isinstance(node, Symbol):
                self._take()
                node = Symbol(node.name + "'")
            elif self._next.text == "_" and not isinstance(node, Symbol):
                self._take()
                base = base_of(self._subscript())
                if base is None:
                    raise Unreadable
                node = numeral(node, base)
            else:
                return node

    def _argument(self, power: bool = False) -> Node:
        """Parse the argument of a command: a group, or a single digit, letter or command."""
        token = self._next
        if token.text == "{":
            return self._group()
        if token.text in ("-", "+") and power:
            self._take()
            self._enter()
            node = self._argument(power)
            self._depth -= 1
            return negative(node) if token.text == "-" else node
        if token.kind == "number" and not power and len(token.text) > 1 and token.number:
            return self._digit(token)
        if token.kind == "number" and power and len(token.text) > 1 and token.number:
            self._take()
            self._enter()
            node = self._raised(token.number)
            self._depth -= 1
            return node
        if token.kind == "letters" and len(token.text) > 1 and token.text not in NAMES:
            return self._letter(token)
        self._enter()
        node = self._primary()
        if power and self._next.text in ("^", "**"):
            node = self._raised(node)
        self._depth -= 1
        return node

    def _digit(self, token: Token) -> Node:
        """Take the first digit of a number, as LaTeX does: `\\frac12`."""
        rest = token.text[1:]
        if not rest.isdecimal() or not token.text[0].isdecimal():
            self._take()
            assert token.number
            return token.number
        number = Number(Fraction(int(rest)))
        self._tokens[self._position] = Token("number", rest, False, number)
        return Number(Fraction(int(token.text[0])))

    def _letter(self, token: Token) -> Node:
        self._tokens[self._position] = Token("letters", token.text[1:])
        return Symbol(token.text[0])

    # Primaries

    def _primary(self) -> Node:
        self._enter()
        node = self._atom()
        self._depth -= 1
        return node

    def _atom(self) -> Node:
        token = self._next
        if token.kind == "number":
            self._take()
            assert token.number is not None
            return token.number
        if token.kind in ("letters", "word"):
            self._take()
            return self._name(token.text, spelled=True)
        if token.text in OPENING:
            return self._group()
        if token.text in BARS:
            return self._absolute()
        if token.text == "]":
            return self._outward()
        if token.kind == "command":
            return self._command()
        raise Unreadable

    def _name(self, text: str, spelled: bool) -> Node:
        if text in FUNCTIONS and (spelled or text not in ("re", "im")):
            return self._call(FUNCTIONS[text])
        if text in NAMES:
            return self._subscripted(Symbol(NAMES[text]))
        if len(text) == 1:
            return self._subscripted(Symbol(text))
        split = split_function(text)
        if split:
            self._position -= 1
            self._tokens[self._position] = Token("letters", split[1])
            return self._call(FUNCTIONS[split[0]]) if split[0] in FUNCTIONS else Symbol(split[0])
        if len(text) > 3:
            raise Unreadable
        letters: Node = Symbol(text[0])
        for letter in text[1:-1]:
            letters = product(letters, Symbol(letter))
        last = self._raised(self._subscripted(Symbol(text[-1])))
        return product(letters, last)

    def _subscripted(self, symbol: Symbol) -> Node:
        if self._accept("_"):
            name = self._subscript()
            return Symbol(f"{symbol.name}_{name}")
        return symbol

    def _subscript(self) -> str:
        if self._accept("{"):
            parts = []
            while not self._accept("}"):
                if self._next is END:
                    raise Unreadable
                parts.append(self._take().text)
            return "".join(parts)
        if self._next.text == "(":
            self._take()
            name = self._take().text
            self._expect(")")
            return name
        if self._next.kind not in ("number", "letters", "word", "command"):
            raise Unreadable
        return self._take().text

    def _group(self) -> Node:
        self._enter()
        opening = self._take().text
        closing = OPENING[opening]
        shown = "{" if opening == r"\{" else opening
        if self._accept(closing):
            self._depth -= 1
            if opening == "{":
                raise Unreadable
            return Group(shown, "}" if shown == "{" else closing, ())
        state = self._bars, self._builder
        self._bars, self._builder = int(shown == "{"), opening == r"\{"
        start = self._position
        content = self._list()
        if shown == "{" and self._accept("|", r"\mid", ":"):
            self._bars, self._builder = 0, False
            content = Builder(content, self._list())
        self._bars, self._builder = state
        end = self._take().text
        if end == "[" and opening == "[" and isinstance(content, Listing):
            end = ")"  # `[0, 1[`
        if end not in CLOSING or (end != closing and {opening, end} - {"(", "[", ")", "]"}):
            raise Unreadable
        self._depth -= 1
        if isinstance(content, Builder):
            return content
        if isinstance(content, Listing):
            commas = [token for token in self._tokens[start : self._position] if token.text == ","]
            loose = (opening, end) == ("[", "]") and all(comma.loose for comma in commas)
            return Group(shown, "}" if shown == "{" else end, content.items, loose)
        if opening in (r"\{", "["):
            return Group(shown, "}" if shown == "{" else end, (content,))
        return content

    def _outward(self) -> Node:
        """Parse an interval with brackets that point outward: `]0, 1]`."""
        self._enter()
        self._take()
        content = self._list()
        end = self._take().text
        self._depth -= 1
        if not isinstance(content, Listing) or end not in ("[", "]"):
            raise Unreadable
        return Group("(", ")" if end == "[" else "]", content.items)

    def _absolute(self) -> Node:
        self._enter()
        bar = self._take().text
        bars, self._bars = self._bars, 1
        node = self._sum()
        self._bars = bars
        self._expect(bar)
        self._depth -= 1
        return Apply("abs", (node,))

    def _command(self) -> Node:
        token = self._take()
        text = token.text
        name = text[1:]
        match name:
            case "frac":
                numerator = self._argument()
                if self._next.kind == "number" and not self._next.spaced:
                    return quotient(numerator, self._take().number or numerator)  # `\\frac919`
                return quotient(numerator, self._argument())
            case "binom":
                top = self._argument()
                return Apply("binom", (top, self._argument()))
            case "sqrt":
                index: Node = Number(Fraction(2))
                if self._accept("["):
                    index = self._sum()
                    self._expect("]")
                if self._next.kind == "number" and len(self._next.text) > 1 and self._next.spaced:
                    radicand: Node = self._take().number or index
                else:
                    radicand = self._argument()
                return Apply("root", (radicand, index))
            case "cbrt":
                return Apply("root", (self._primary(), Number(Fraction(3))))
            case "lfloor" | "lceil":
                self._enter()
                node = self._sum()
                self._expect(r"\rfloor" if name == "lfloor" else r"\rceil")
                self._depth -= 1
                return Apply("floor" if name == "lfloor" else "ceil", (node,))
            case "overline":
                inner = self._argument()
                return Apply("conjugate", (inner,))
            case "sum" | "prod":
                return self._series(name)
            case "usd" | "eur" | "gbp":
                unit = units.measure(CURRENCIES[text].removeprefix("\\"))
                assert unit is not None
                amount = self._product_of_money()
                return Quantity(amount, unit)
            case "circ":
                raise Unreadable
            case "angle" if self._next.kind in ("letters", "word"):
                return Symbol("angle " + self._take().text)
        if name.startswith("begin"):
            return self._matrix(text)
        if name in ("pmatrix", "bmatrix", "matrix") and self._accept("{"):
            return self._matrix(rf"\begin{{{name}}}")
        if name == "emptyset":
            return Group("{", "}", ())
        if name in FUNCTIONS or name in NAMES:
            return self._name(name, spelled=False)
        split = split_function(name)
        if split and split[0] in FUNCTIONS:  # `\\cotx`
            self._position -= 1
            self._tokens[self._position] = Token("letters", split[1])
            return self._call(FUNCTIONS[split[0]])
        if len(name) < 2 or name in ("to", "angle", "end"):
            raise Unreadable
        return self._subscripted(Symbol(name))

    def _product_of_money(self) -> Node:
        self._enter()
        node = self._unary()
        if self._next.kind == "number":
            node = self._mixed(node)
        elif self._next.kind == "letters" and len(self._next.text) == 1:
            node = Apply("mul", (node, self._power()))
        self._depth -= 1
        return node

    def _series(self, name: str) -> Node:
        """Parse `\\sum_{k=1}^{n} f(k)`."""
        self._expect("_")
        start = self._argument()
        self._expect("^")
        end = self._argument()
        match start:
            case Relation(sides=(Symbol() as index, first), operators=("=",)):
                return Apply(name, (self._product(), index, first, end))
        raise Unreadable

    def _call(self, function: str) -> Node:
        """Parse the argument of a function that is written by name."""
        self._enter()
        exponent: Node | None = None
        base: Node | None = None
        while self._next.text in ("^", "**", "_"):
            if self._take().text == "_":
                base = self._argument()
            else:
                exponent = self._argument(power=True)
        if self._next.text in ("(", "[", "{"):
            group = self._group()
            arguments = group.items if isinstance(group, Group) else None
            if arguments is None:
                arguments = group.items if isinstance(group, Listing) else (group,)
            if function == "matrix":
                self._depth -= 1
                return matrix_of(group)
        elif self._next.text in BARS:
            arguments = (self._absolute(),)
        else:
            arguments = (self._tight(),)
        self._depth -= 1
        if exponent == Number(Fraction(-1)) or exponent == Apply("neg", (Number(Fraction(1)),)):
            function, exponent = INVERSES.get(function, function), None
        node = function_of(function, arguments, base)
        return Apply("pow", (node, exponent)) if exponent is not None else node

    def _tight(self) -> Node:
        """Parse an argument without brackets: a product up to the next function, as `2x`."""
        minus = bool(self._accept("-"))
        node = self._power()
        while True:
            token = self._next
            name = token.text.removeprefix("\\")
            if name in FUNCTIONS or name in ("sum", "prod") or not self._starts_factor(node):
                break
            if token.text in ("(", "|"):
                break
            node = product(node, self._power())
        return negative(node) if minus else node

    def _matrix(self, begin: str) -> Node:
        environment = begin[len(r"\begin{") :].partition("}")[0].rstrip("*")
        if "matrix" not in environment and environment not in ("array", "cases", "aligned"):
            raise Unreadable
        self._enter()
        rows: list[list[Node]] = [[]]
        while not self._next.text.startswith((r"\end{", "}")):
            if self._next is END:
                raise Unreadable
            if self._next.text.startswith(("\\\\", r"\cr")):
                self._take()
                rows.append([])
            elif not self._accept("&"):
                rows[-1].append(self._item())
        self._take()
        self._depth -= 1
        if rows and not rows[-1]:
            rows.pop()
        if environment in ("cases", "aligned"):
            items = [item for row in rows for item in row]
            if not items:
                raise Unreadable
            return Listing(tuple(items), "and") if len(items) > 1 else items[0]
        if not rows or len({len(row) for row in rows}) != 1:
            raise Unreadable
        matrix = Matrix(tuple(map(tuple, rows)))
        return Apply("determinant", (matrix,)) if environment == "vmatrix" else matrix
