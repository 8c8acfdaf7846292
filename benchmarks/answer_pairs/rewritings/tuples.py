"""Rewritings of tuples."""

from random import Random

from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, decimal_text, latex


def _decreasing_or_long(gold: Gold) -> bool:
    """Tell whether square brackets cannot mean an interval."""
    values = gold.value
    return len(values) > 2 or not values[0] < values[1]


for _name, _form in {
    "no spaces": "({j})",
    "spaces": "( {s} )",
    "commas and spaces": "({cs})",
    "angle brackets": "\\langle {cs} \\rangle",
    "angle glyphs": "⟨{cs}⟩",
    "semicolons": "({sc})",
    "backslash spaces": "({bs})",
    "left right": "\\left({j}\\right)",
    "round math inside": "$({cs})$",
    "thin spaces": "(\\,{ts}\\,)",
}.items():

    @rewriting("tuple", name=f"tuple: {_name}")
    def _tupled(gold: Gold, rng: Random, form: str = _form) -> str | None:
        parts = [latex(value) for value in gold.value]
        return form.format(
            j=",".join(parts),
            s=" , ".join(parts),
            cs=", ".join(parts),
            sc="; ".join(parts),
            bs=",\\ ".join(parts),
            ts=",\\,".join(parts),
        )


@rewriting("tuple")
def tuple_python(gold: Gold, rng: Random) -> str | None:
    return f"({', '.join(map(ascii_math, gold.value))})"


@rewriting("tuple")
def tuple_python_list(gold: Gold, rng: Random) -> str | None:
    return f"[{', '.join(map(ascii_math, gold.value))}]" if _decreasing_or_long(gold) else None


@rewriting("tuple")
def tuple_square_brackets(gold: Gold, rng: Random) -> str | None:
    return (
        rf"\left[{', '.join(map(latex, gold.value))}\right]" if _decreasing_or_long(gold) else None
    )


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
    return ", ".join(
        f"{name} = {latex(value)}" for name, value in zip(names, gold.value, strict=False)
    )


@rewriting("tuple")
def tuple_slash_fractions(gold: Gold, rng: Random) -> str | None:
    if all(value.is_Integer for value in gold.value) or not all(
        value.is_Rational for value in gold.value
    ):
        return None
    return f"({', '.join(str(value) for value in gold.value)})"


@rewriting("tuple")
def tuple_lparen(gold: Gold, rng: Random) -> str | None:
    return rf"\lparen {', '.join(map(latex, gold.value))} \rparen"


@rewriting("tuple")
def tuple_fullwidth(gold: Gold, rng: Random) -> str | None:
    return f"（{'，'.join(map(latex, gold.value))}）"


@rewriting("tuple")
def tuple_coordinates_and(gold: Gold, rng: Random) -> str | None:
    if len(gold.value) != 2:
        return None
    return rf"x = {latex(gold.value[0])} \text{{ and }} y = {latex(gold.value[1])}"


@rewriting("tuple")
def tuple_sympy_solution(gold: Gold, rng: Random) -> str | None:
    names = "xyz" if len(gold.value) < 4 else "abcdefgh"
    pairs = zip(names, map(ascii_math, gold.value), strict=False)
    return "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"


@rewriting("tuple")
def tuple_text_wrapped_elements(gold: Gold, rng: Random) -> str | None:
    if not all(value.is_Integer for value in gold.value):
        return None
    return "(" + ", ".join(rf"\text{{{value}}}" for value in gold.value) + ")"


@rewriting("tuple")
def tuple_dollars_inside(gold: Gold, rng: Random) -> str | None:
    return "(" + ", ".join(f"${latex(value)}$" for value in gold.value) + ")"


@rewriting("tuple")
def tuple_column_vector(gold: Gold, rng: Random) -> str | None:
    return r"\begin{pmatrix} " + r" \\ ".join(map(latex, gold.value)) + r" \end{pmatrix}"
