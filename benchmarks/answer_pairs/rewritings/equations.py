"""Rewritings of equations and assignments."""

import re
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, latex


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
    left, right = (
        re.sub(r"(?<=[0-9])\*(?=[a-z])", "", ascii_math(side).replace("**", "^"))
        for side in gold.value
    )
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
