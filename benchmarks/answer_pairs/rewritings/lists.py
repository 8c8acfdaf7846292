"""Rewritings of lists, whose values have no order."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, latex

for _name, _form in {
    "no spaces": "{j}",
    "spaces": "{cs}",
    "braces": "\\{{{cs}\\}}",
    "left right braces": "\\left\\{{{cs}\\right\\}}",
    "python set": "{{{pcs}}}",
    "python list": "[{pcs}]",
    "and": "{and_}",
    "text and": "{tand}",
    "or": "{or_}",
    "text or": "{tor}",
    "semicolons": "{sc}",
    "lbrace": "\\lbrace {cs} \\rbrace",
    "quads": "{q}",
    "FiniteSet": "FiniteSet({pcs})",
    "backslash spaces": "{bs}",
    "final comma and": "{cand}",
}.items():

    @rewriting("list", name=f"list: {_name}")
    def _listed(gold: Gold, rng: Random, form: str = _form) -> str | None:
        if (
            form.startswith("[")
            and len(gold.value) == 2
            and all(value.is_real for value in gold.value)
            and gold.value[0] < gold.value[1]
        ):
            return None  # reads as a closed interval
        parts = [latex(value) for value in gold.value]
        first = ", ".join(parts[:-1])
        return form.format(
            j=",".join(parts),
            cs=", ".join(parts),
            pcs=", ".join(map(ascii_math, gold.value)),
            and_=f"{first} and {parts[-1]}",
            tand=f"{first} \\text{{ and }} {parts[-1]}",
            or_=f"{first} or {parts[-1]}",
            tor=f"{first} \\text{{ or }} {parts[-1]}",
            sc="; ".join(parts),
            q=",\\quad ".join(parts),
            bs=",\\ ".join(parts),
            cand=f"{first}, and {parts[-1]}",
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


for _name, _form in {
    "fullwidth commas": "，",
    "lines": "\n",
    "ampersand": " \\& ",
    "logical or": r" \lor ",
    "semicolon and thin space": r";\, ",
    "row breaks": r" \\ ",
}.items():

    @rewriting("list", name=f"list joined by {_name}")
    def _joined(gold: Gold, rng: Random, form: str = _form) -> str | None:
        name = "x = " if "lor" in form or "\\\\" in form else ""
        return form.join(name + latex(value) for value in gold.value)


@rewriting("list")
def list_sympy_solutions(gold: Gold, rng: Random) -> str | None:
    return "[" + ", ".join(f"{{x: {ascii_math(value)}}}" for value in gold.value) + "]"


@rewriting("list")
def list_in_text(gold: Gold, rng: Random) -> str | None:
    if not all(value.is_Integer for value in gold.value):
        return None
    texts = list(map(str, gold.value))
    return rf"\text{{{', '.join(texts[:-1])} and {texts[-1]}}}"


@rewriting("list")
def list_each_in_dollars(gold: Gold, rng: Random) -> str | None:
    return ", ".join(f"${latex(value)}$" for value in gold.value)
