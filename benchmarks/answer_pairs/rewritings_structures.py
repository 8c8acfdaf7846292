"""Rewritings of expressions, equations, tuples, lists, intervals and matrices."""

import re
from collections.abc import Iterable
from random import Random

import sympy

from answer_pairs.golds import Gold, Interval
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, glyphs, latex, superscript
from answer_pairs.rewritings_numbers import decimal_text

# Expressions

@rewriting("expression")
def expression_python(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value)


@rewriting("expression")
def expression_caret_and_star(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value).replace("**", "^")


@rewriting("expression")
def expression_caret(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"(?<=[0-9a-z])\*(?=[a-z(])(?!\*)", "", ascii_math(gold.value).replace("**", "^"))
    return None if "sqrt" in text else text


@rewriting("expression")
def expression_caret_without_spaces(gold: Gold, rng: Random) -> str | None:
    text = expression_caret(gold, rng)
    return text and text.replace(" ", "")


@rewriting("expression")
def expression_glyphs(gold: Gold, rng: Random) -> str | None:
    text = glyphs(gold.value)
    return None if text is None or "*" in text and "/" in text else text


@rewriting("expression")
def expression_expanded(gold: Gold, rng: Random) -> str | None:
    return latex(sympy.expand(gold.value))


@rewriting("expression")
def expression_factored(gold: Gold, rng: Random) -> str | None:
    factored = sympy.factor(gold.value)
    return latex(factored) if factored.is_Mul else None


@rewriting("expression")
def expression_factored_python(gold: Gold, rng: Random) -> str | None:
    factored = sympy.factor(gold.value)
    return ascii_math(factored) if factored.is_Mul else None


def _signed_sum(terms: Iterable[sympy.Expr]) -> str:
    text = ""
    for term in terms:
        part = latex(term)
        text += part if not text else (f" - {part[1:].strip()}" if part.startswith("-") else f" + {part}")
    return text


@rewriting("expression")
def expression_terms_shuffled(gold: Gold, rng: Random) -> str | None:
    terms = list(sympy.Add.make_args(sympy.expand(gold.value)))
    if len(terms) < 2 or any(term.is_Pow or not term.is_polynomial() for term in terms if term.is_Add):
        return None
    rng.shuffle(terms)
    return _signed_sum(terms)


@rewriting("expression")
def expression_terms_ascending(gold: Gold, rng: Random) -> str | None:
    value = gold.value
    if len(value.free_symbols) != 1 or not value.is_polynomial():
        return None
    terms = sympy.Poly(value).terms()[::-1]
    symbol = next(iter(value.free_symbols))
    return _signed_sum(factor * symbol ** power[0] for power, factor in terms)


@rewriting("expression")
def expression_horner(gold: Gold, rng: Random) -> str | None:
    if len(gold.value.free_symbols) != 1 or not gold.value.is_polynomial() or sympy.degree(gold.value) < 2:
        return None
    return latex(sympy.horner(sympy.expand(gold.value)))


@rewriting("expression")
def expression_negated_twice(gold: Gold, rng: Random) -> str | None:
    return f"-({latex(sympy.expand(-gold.value))})"


@rewriting("expression")
def expression_cdot(gold: Gold, rng: Random) -> str | None:
    text = ascii_math(gold.value)
    if "/" in text or "sqrt" in text:
        return None
    return re.sub(r"\*\*([0-9]+)", r"^{\1}", text).replace("*", r" \cdot ")


@rewriting("expression")
def expression_times(gold: Gold, rng: Random) -> str | None:
    text = expression_cdot(gold, rng)
    return text and text.replace(r"\cdot", r"\times")


@rewriting("expression")
def expression_braced_powers(gold: Gold, rng: Random) -> str | None:
    return re.sub(r"\^([0-9])", r"^{\1}", gold.text) if "^" in gold.text else None


@rewriting("expression")
def expression_powers_as_products(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"([a-z])\^\{?([23])\}?(?![0-9])", lambda m: r" \cdot ".join([m[1]] * int(m[2])), gold.text)
    return text if "^" not in text and "/" not in text else None


@rewriting("expression")
def expression_in_brackets(gold: Gold, rng: Random) -> str | None:
    return f"({gold.text.strip()})"


@rewriting("expression")
def expression_as_function(gold: Gold, rng: Random) -> str | None:
    symbols = [str(symbol) for symbol in gold.value.free_symbols]
    return f"f({symbols[0]}) = {gold.text.strip()}" if len(symbols) == 1 and "f" not in symbols else None


@rewriting("expression")
def expression_as_y(gold: Gold, rng: Random) -> str | None:
    return None if sympy.Symbol("y") in gold.value.free_symbols else f"y = {gold.text.strip()}"


@rewriting("expression")
def expression_python_lambda_body(gold: Gold, rng: Random) -> str | None:
    text = ascii_math(gold.value)
    return text.replace("**", " ** ").replace("*", "*") if "**" in text else None


@rewriting("expression")
def expression_split_fraction(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    terms = sympy.Add.make_args(sympy.expand(top))
    if bottom == 1 or len(terms) < 2:
        return None
    parts = [rf"\frac{{{latex(term)}}}{{{latex(bottom)}}}" for term in terms]
    return " + ".join(parts)


@rewriting("expression")
def expression_slash(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    return None if bottom == 1 else f"({latex(top)})/({latex(bottom)})"


# Equations and assignments

@rewriting("assignment equation")
def equation_sides_swapped(gold: Gold, rng: Random) -> str | None:
    left, right = gold.text.split("=")
    return f"{right.strip()} = {left.strip()}"


@rewriting("assignment")
def assignment_value_only(gold: Gold, rng: Random) -> str | None:
    return gold.text.split("=")[1].strip()


@rewriting("assignment")
def assignment_ascii(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[0]}={ascii_math(gold.value[1])}"


@rewriting("assignment")
def assignment_double_equals(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[0]} == {ascii_math(gold.value[1])}"


@rewriting("assignment")
def assignment_colon(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[0]}: {latex(gold.value[1])}"


@rewriting("assignment")
def assignment_in_text(gold: Gold, rng: Random) -> str | None:
    return rf"\text{{{gold.value[0]}}} = {latex(gold.value[1])}"


@rewriting("equation")
def equation_python(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return f"{ascii_math(left)} = {ascii_math(right)}"


@rewriting("equation")
def equation_caret(gold: Gold, rng: Random) -> str | None:
    left, right = (re.sub(r"(?<=[0-9])\*(?=[a-z])", "", ascii_math(side).replace("**", "^")) for side in gold.value)
    return f"{left} = {right}"


@rewriting("equation", name="equation: sympy Eq")
def equation_eq(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return f"Eq({left}, {right})"


@rewriting("equation")
def equation_all_on_one_side(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return None if right == 0 else f"{latex(sympy.expand(left - right))} = 0"


@rewriting("equation")
def equation_negated(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return f"{latex(sympy.expand(-left))} = {latex(sympy.expand(-right))}"


@rewriting("equation")
def equation_scaled(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return f"{latex(sympy.expand(3 * left))} = {latex(sympy.expand(3 * right))}"


@rewriting("equation")
def equation_term_moved(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    terms = sympy.Add.make_args(sympy.expand(left))
    if len(terms) < 2:
        return None
    return f"{latex(sympy.expand(left - terms[0]))} = {latex(sympy.expand(right - terms[0]))}"


@rewriting("equation")
def equation_right_side_only(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return latex(right) if left == sympy.Symbol("y") else None


# Tuples

def _decreasing_or_long(gold: Gold) -> bool:
    """Tell whether square brackets cannot mean an interval."""
    values = gold.value
    return len(values) > 2 or not values[0] < values[1]


for _name, _form in {
    "no spaces": "({j})", "spaces": "( {s} )", "commas and spaces": "({cs})", "angle brackets": "\\langle {cs} \\rangle",
    "angle glyphs": "⟨{cs}⟩", "semicolons": "({sc})", "backslash spaces": "({bs})", "left right": "\\left({j}\\right)",
    "round math inside": "$({cs})$", "thin spaces": "(\\,{ts}\\,)",
}.items():
    @rewriting("tuple", name=f"tuple: {_name}")
    def _tupled(gold: Gold, rng: Random, form: str = _form) -> str | None:
        parts = [latex(value) for value in gold.value]
        return form.format(
            j=",".join(parts), s=" , ".join(parts), cs=", ".join(parts), sc="; ".join(parts),
            bs=",\\ ".join(parts), ts=",\\,".join(parts),
        )


@rewriting("tuple")
def tuple_python(gold: Gold, rng: Random) -> str | None:
    return f"({', '.join(map(ascii_math, gold.value))})"


@rewriting("tuple")
def tuple_python_list(gold: Gold, rng: Random) -> str | None:
    return f"[{', '.join(map(ascii_math, gold.value))}]" if _decreasing_or_long(gold) else None


@rewriting("tuple")
def tuple_square_brackets(gold: Gold, rng: Random) -> str | None:
    return rf"\left[{', '.join(map(latex, gold.value))}\right]" if _decreasing_or_long(gold) else None


@rewriting("tuple")
def tuple_decimals(gold: Gold, rng: Random) -> str | None:
    texts = [decimal_text(value) if value.is_Rational else None for value in gold.value]
    if None in texts:
        return None
    return f"({', '.join(t if '.' in str(t) else f'{t}.0' for t in map(str, texts))})"


@rewriting("tuple")
def tuple_without_brackets(gold: Gold, rng: Random) -> str | None:
    return ", ".join(map(latex, gold.value))


@rewriting("tuple")
def tuple_named(gold: Gold, rng: Random) -> str | None:
    names = {2: "(x, y)", 3: rng.choice(("(a, b, c)", "(x,y,z)"))}.get(len(gold.value))
    return names and f"{names} = {gold.text.strip()}"


@rewriting("tuple")
def tuple_point_name(gold: Gold, rng: Random) -> str | None:
    return rng.choice(("P = ", r"\mathbf{v} = ", r"\text{Center: }")) + gold.text.strip()


@rewriting("tuple")
def tuple_coordinates_named(gold: Gold, rng: Random) -> str | None:
    names = "xyz" if len(gold.value) < 4 else "abcdefgh"
    return ", ".join(f"{name} = {latex(value)}" for name, value in zip(names, gold.value, strict=False))


@rewriting("tuple")
def tuple_slash_fractions(gold: Gold, rng: Random) -> str | None:
    if all(value.is_Integer for value in gold.value) or not all(value.is_Rational for value in gold.value):
        return None
    return f"({', '.join(str(value) for value in gold.value)})"


@rewriting("tuple")
def tuple_lparen(gold: Gold, rng: Random) -> str | None:
    return rf"\lparen {', '.join(map(latex, gold.value))} \rparen"


# Lists: values in any order

for _name, _form in {
    "no spaces": "{j}", "spaces": "{cs}", "braces": "\\{{{cs}\\}}", "left right braces": "\\left\\{{{cs}\\right\\}}",
    "python set": "{{{pcs}}}", "python list": "[{pcs}]", "and": "{and_}", "text and": "{tand}", "or": "{or_}",
    "text or": "{tor}", "semicolons": "{sc}", "lbrace": "\\lbrace {cs} \\rbrace", "quads": "{q}",
    "FiniteSet": "FiniteSet({pcs})", "backslash spaces": "{bs}", "final comma and": "{cand}",
}.items():
    @rewriting("list", name=f"list: {_name}")
    def _listed(gold: Gold, rng: Random, form: str = _form) -> str | None:
        if form.startswith("[") and len(gold.value) == 2 and all(value.is_real for value in gold.value) and gold.value[0] < gold.value[1]:
            return None  # reads as a closed interval
        parts = [latex(value) for value in gold.value]
        first = ", ".join(parts[:-1])
        return form.format(
            j=",".join(parts), cs=", ".join(parts), pcs=", ".join(map(ascii_math, gold.value)),
            and_=f"{first} and {parts[-1]}", tand=f"{first} \\text{{ and }} {parts[-1]}", or_=f"{first} or {parts[-1]}",
            tor=f"{first} \\text{{ or }} {parts[-1]}", sc="; ".join(parts), q=",\\quad ".join(parts),
            bs=",\\ ".join(parts), cand=f"{first}, and {parts[-1]}",
        )


@rewriting("list")
def list_shuffled(gold: Gold, rng: Random) -> str | None:
    values = list(gold.value)
    rng.shuffle(values)
    return ", ".join(map(latex, values))


@rewriting("list")
def list_reversed_in_braces(gold: Gold, rng: Random) -> str | None:
    return rf"\{{{', '.join(map(latex, reversed(gold.value)))}\}}"


@rewriting("list")
def list_reversed_python(gold: Gold, rng: Random) -> str | None:
    return ", ".join(map(ascii_math, reversed(gold.value)))


@rewriting("list")
def list_named(gold: Gold, rng: Random) -> str | None:
    return "x = " + ", ".join(map(latex, gold.value))


@rewriting("list")
def list_each_named(gold: Gold, rng: Random) -> str | None:
    return ", ".join(f"x = {latex(value)}" for value in gold.value)


@rewriting("list")
def list_each_named_or(gold: Gold, rng: Random) -> str | None:
    return r" \text{ or } ".join(f"x = {latex(value)}" for value in gold.value)


@rewriting("list")
def list_subscripts(gold: Gold, rng: Random) -> str | None:
    return ", ".join(f"x_{index} = {latex(value)}" for index, value in enumerate(gold.value, 1))


@rewriting("list")
def list_element_of(gold: Gold, rng: Random) -> str | None:
    return rf"x \in \{{{', '.join(map(latex, gold.value))}\}}"


@rewriting("list")
def list_plus_minus(gold: Gold, rng: Random) -> str | None:
    if len(gold.value) != 2:
        return None
    middle = sympy.expand((gold.value[0] + gold.value[1]) / 2)
    half = sympy.expand(gold.value[0] - middle)
    half = -half if half.could_extract_minus_sign() else half
    if half.is_Add:
        return None
    return rf"\pm {latex(half)}" if middle == 0 else rf"{latex(middle)} \pm {latex(half)}"


@rewriting("list")
def list_points_zero(gold: Gold, rng: Random) -> str | None:
    if not all(value.is_Integer for value in gold.value):
        return None
    return ", ".join(f"{value}.0" for value in gold.value)


# Intervals

def _end(value: sympy.Expr, style: str) -> str:
    if value.is_infinite:
        sign = "-" if value < 0 else ("+" if style == "plus" else "")
        return sign + {"glyph": "∞", "oo": "oo", "inf": "inf"}.get(style, "\\infty")
    return ascii_math(value) if style in ("oo", "inf", "glyph") else latex(value)


def _written(interval: Interval, style: str = "") -> str:
    left = "[" if interval.low_closed else "("
    right = "]" if interval.high_closed else ")"
    return f"{left}{_end(interval.low, style)}, {_end(interval.high, style)}{right}"


def _inequality(interval: Interval, signs: tuple[str, str], name: str = "x") -> str:
    """Write an interval as an inequality; `signs` are less, less or equal."""
    low_sign, high_sign = signs[interval.low_closed], signs[interval.high_closed]
    if interval.low.is_infinite and interval.high.is_infinite:
        raise ValueError("all numbers")
    if interval.low.is_infinite:
        return f"{name} {high_sign} {latex(interval.high)}"
    if interval.high.is_infinite:
        return f"{name} {GREATER[low_sign]} {latex(interval.low)}"
    return f"{latex(interval.low)} {low_sign} {name} {high_sign} {latex(interval.high)}"


GREATER = {"<": ">", r"\le": r"\ge", r"\leq": r"\geq", "≤": "≥", "<=": ">=", r"\leqslant": r"\geqslant", r"\lt": r"\gt"}


def _all(gold: Gold) -> list[Interval]:
    return [gold.value] if gold.kind == "interval" else list(gold.value)


for _name, _signs in {
    "le": ("<", r"\le"), "leq": ("<", r"\leq"), "glyphs": ("<", "≤"), "ascii": ("<", "<="),
    "leqslant": ("<", r"\leqslant"), "lt": (r"\lt", r"\leq"),
}.items():
    @rewriting("interval", name=f"interval as inequality: {_name}")
    def _as_inequality(gold: Gold, rng: Random, signs: tuple[str, str] = _signs) -> str | None:
        return _inequality(gold.value, signs)

    @rewriting("union", name=f"union as inequalities: {_name}")
    def _as_inequalities(gold: Gold, rng: Random, signs: tuple[str, str] = _signs) -> str | None:
        word = rng.choice((" or ", r" \text{ or } ", r" \lor "))
        return word.join(_inequality(interval, signs) for interval in gold.value)


@rewriting("interval union")
def interval_membership(gold: Gold, rng: Random) -> str | None:
    return r"x \in " + gold.text.strip()


@rewriting("interval")
def interval_reversed_inequality(gold: Gold, rng: Random) -> str | None:
    low, high = gold.value.low, gold.value.high
    if low.is_infinite or high.is_infinite:
        return None
    upper, lower = (r"\ge" if closed else ">" for closed in (gold.value.high_closed, gold.value.low_closed))
    return f"{latex(high)} {upper} x {lower} {latex(low)}"


@rewriting("interval")
def interval_set_builder(gold: Gold, rng: Random) -> str | None:
    bar = rng.choice((r"\mid", "|", ":"))
    condition = _inequality(gold.value, ("<", r"\le"))
    return rf"\{{x {bar} {condition}\}}"


for _name, _style in {"glyphs": "glyph", "ascii oo": "oo", "ascii inf": "inf", "plus infinity": "plus"}.items():
    @rewriting("interval union", name=f"interval: {_name}")
    def _styled(gold: Gold, rng: Random, style: str = _style) -> str | None:
        union = {"glyph": " ∪ ", "oo": " U ", "inf": " U "}.get(style, r" \cup ")
        if not any(end.is_infinite for part in _all(gold) for end in (part.low, part.high)):
            return None
        return union.join(_written(interval, style) for interval in _all(gold))


@rewriting("interval union", name="interval: sympy")
def interval_sympy(gold: Gold, rng: Random) -> str | None:
    parts = [
        str(sympy.Interval(part.low, part.high, not part.low_closed, not part.high_closed)) for part in _all(gold)
    ]
    return parts[0] if len(parts) == 1 else f"Union({', '.join(parts)})"


@rewriting("interval", name="interval: outward brackets")
def interval_outward(gold: Gold, rng: Random) -> str | None:
    if gold.value.low_closed and gold.value.high_closed:
        return None
    left = "[" if gold.value.low_closed else "]"
    right = "]" if gold.value.high_closed else "["
    return rf"{left}{latex(gold.value.low)}, {latex(gold.value.high)}{right}"


@rewriting("interval")
def interval_semicolon(gold: Gold, rng: Random) -> str | None:
    return _written(gold.value).replace(", ", "; ")


@rewriting("interval union")
def interval_lbrack(gold: Gold, rng: Random) -> str | None:
    text = r" \cup ".join(map(_written, _all(gold)))
    return text.replace("[", r"\lbrack ").replace("]", r"\rbrack ") if "[" in text or "]" in text else None


@rewriting("union")
def union_order(gold: Gold, rng: Random) -> str | None:
    return r" \cup ".join(_written(interval) for interval in reversed(gold.value))


@rewriting("union")
def union_glyph(gold: Gold, rng: Random) -> str | None:
    return " ∪ ".join(map(_written, gold.value))


@rewriting("union")
def union_letter(gold: Gold, rng: Random) -> str | None:
    return " U ".join(map(_written, gold.value))


@rewriting("union")
def union_word(gold: Gold, rng: Random) -> str | None:
    return rng.choice((r" \text{ or } ", " or ", r" \bigcup ")).join(map(_written, gold.value))


@rewriting("union")
def reals_without_points(gold: Gold, rng: Random) -> str | None:
    parts = gold.value
    if not (parts[0].low == -sympy.oo and parts[-1].high == sympy.oo):
        return None
    holes = [one.high for one, other in zip(parts, parts[1:], strict=False) if one.high == other.low]
    if len(holes) != len(parts) - 1 or any(part.high_closed or part.low_closed for part in parts):
        return None
    points = ", ".join(map(latex, holes))
    return rng.choice((rf"\mathbb{{R}} \setminus \{{{points}\}}", rf"x \ne {points}" if len(holes) == 1 else
                       rf"\mathbb{{R}} - \{{{points}\}}"))


# Matrices

def _rows(gold: Gold, cell: str = " & ", row: str = r" \\ ") -> str:
    return row.join(cell.join(map(latex, line)) for line in gold.value)


for _name, _form in {
    "bmatrix": "\\begin{{bmatrix}} {m} \\end{{bmatrix}}", "pmatrix without spaces": "\\begin{{pmatrix}}{t}\\end{{pmatrix}}",
    "left right matrix": "\\left(\\begin{{matrix}} {m} \\end{{matrix}}\\right)",
    "square matrix": "\\left[\\begin{{matrix}} {m} \\end{{matrix}}\\right]",
    "array": "\\left(\\begin{{array}}{{{c}}} {m} \\end{{array}}\\right)",
    "square array": "\\left[\\begin{{array}}{{{c}}} {m} \\end{{array}}\\right]",
    "smallmatrix": "\\left(\\begin{{smallmatrix}} {m} \\end{{smallmatrix}}\\right)",
    "row breaks with space": "\\begin{{pmatrix}} {s} \\end{{pmatrix}}", "last row break": "\\begin{{pmatrix}} {m} \\\\ \\end{{pmatrix}}",
    "line breaks": "\\begin{{pmatrix}}\n{n}\n\\end{{pmatrix}}", "bare matrix": "\\begin{{matrix}} {m} \\end{{matrix}}",
    "left round pmatrix in dollars": "$\\begin{{pmatrix}} {m} \\end{{pmatrix}}$", "named": "\\mathbf{{M}} = \\begin{{pmatrix}} {m} \\end{{pmatrix}}",
    "bmatrix named": "A = \\begin{{bmatrix}} {m} \\end{{bmatrix}}", "cr": "\\pmatrix{{{cr}}}",
}.items():
    @rewriting("matrix", name=f"matrix: {_name}")
    def _matrices(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(
            m=_rows(gold), t=_rows(gold, "&", r"\\"), c="c" * len(gold.value[0]), s=_rows(gold, row=r" \\[4pt] "),
            n=_rows(gold, row=" \\\\\n"), cr=_rows(gold, row=r" \cr "),
        )


def _nested(gold: Gold) -> str:
    return "[" + ", ".join(f"[{', '.join(map(ascii_math, row))}]" for row in gold.value) + "]"


for _name, _form in {
    "nested lists": "{n}", "sympy": "Matrix({n})", "numpy array": "np.array({n})", "numpy repr": "array({n})",
    "sympy on lines": "Matrix([\n{lines}])",
}.items():
    @rewriting("matrix", name=f"matrix: {_name}")
    def _coded(gold: Gold, rng: Random, form: str = _form) -> str | None:
        lines = ",\n".join(f"[{', '.join(map(ascii_math, row))}]" for row in gold.value)
        return form.format(n=_nested(gold), lines=lines)


@rewriting("matrix")
def matrix_numpy_print(gold: Gold, rng: Random) -> str | None:
    if not all(cell.is_Integer for row in gold.value for cell in row):
        return None
    return "[" + "\n ".join(f"[{' '.join(map(str, row))}]" for row in gold.value) + "]"


@rewriting("matrix")
def matrix_dfrac_cells(gold: Gold, rng: Random) -> str | None:
    text = _rows(gold).replace(r"\frac", r"\dfrac")
    return rf"\begin{{pmatrix}} {text} \end{{pmatrix}}" if "frac" in text else None


@rewriting("matrix")
def matrix_slash_cells(gold: Gold, rng: Random) -> str | None:
    rows = r" \\ ".join(" & ".join(map(ascii_math, row)) for row in gold.value)
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}" if "/" in rows else None


@rewriting("matrix")
def matrix_decimal_cells(gold: Gold, rng: Random) -> str | None:
    if not all(cell.is_Rational and decimal_text(cell) for row in gold.value for cell in row):
        return None
    rows = r" \\ ".join(" & ".join(str(decimal_text(cell)) for cell in row) for row in gold.value)
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"


def _column(gold: Gold) -> list[sympy.Expr] | None:
    return [row[0] for row in gold.value] if all(len(row) == 1 for row in gold.value) else None


@rewriting("matrix")
def vector_angle_brackets(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and rf"\langle {', '.join(map(latex, cells))} \rangle"


@rewriting("matrix")
def vector_transposed_row(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and rf"\begin{{pmatrix}} {' & '.join(map(latex, cells))} \end{{pmatrix}}^T"


@rewriting("matrix")
def vector_as_tuple(gold: Gold, rng: Random) -> str | None:
    cells = _column(gold)
    return cells and f"({', '.join(map(latex, cells))})"
