"""Perturbations of real numbers with roots or pi."""

import re
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import ascii_math, decimal_text, latex, summands


@perturbation("surd pi")
def tiny_change_of_irrational(gold: Gold, rng: Random) -> str | None:
    return f"{latex(gold.value)} + 10^{{-{rng.randint(8, 12)}}}"


@perturbation("surd pi")
def tiny_factor_of_irrational(gold: Gold, rng: Random) -> str | None:
    return rf"\frac{{{10**9 + 1}}}{{{10**9}}} \cdot ({latex(gold.value)})"


@perturbation("surd pi")
def irrational_to_two_digits(gold: Gold, rng: Random) -> str | None:
    return f"{float(gold.value):.2f}"


@perturbation("surd pi")
def irrational_to_four_digits(gold: Gold, rng: Random) -> str | None:
    return f"{float(gold.value):.4f}"


@perturbation("surd pi")
def irrational_to_an_integer(gold: Gold, rng: Random) -> str | None:
    return f"{float(gold.value):.0f}"


@perturbation("surd")
def root_dropped(gold: Gold, rng: Random) -> str | None:
    half = sympy.Rational(1, 2)
    return latex(
        gold.value.replace(lambda part: part.is_Pow and part.exp == half, lambda part: part.base)
    )


@perturbation("surd")
def radicand_off_by_one(gold: Gold, rng: Random) -> str | None:
    step = rng.choice((1, 2))
    return re.sub(
        r"\\sqrt\{([0-9]+)\}", lambda m: rf"\sqrt{{{int(m[1]) + step}}}", latex(gold.value), count=1
    )


@perturbation("surd")
def root_index_changed(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value).replace(r"\sqrt{", r"\sqrt[3]{")


@perturbation("surd pi")
def coefficient_changed(gold: Gold, rng: Random) -> str | None:
    coefficient, rest = gold.value.as_coeff_Mul()
    return latex((coefficient + 1) * rest) if rest != 1 and coefficient != -1 else None


@perturbation("surd pi")
def term_changed(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value + 1)


@perturbation("surd")
def conjugate_root(gold: Gold, rng: Random) -> str | None:
    terms = sympy.Add.make_args(sympy.expand(gold.value))
    roots = [term for term in terms if not term.is_Rational]
    return latex(gold.value - 2 * roots[-1]) if len(terms) > 1 else None


@perturbation("surd")
def conjugate_root_ascii(gold: Gold, rng: Random) -> str | None:
    terms = sympy.Add.make_args(sympy.expand(gold.value))
    roots = [term for term in terms if not term.is_Rational]
    return ascii_math(gold.value - 2 * roots[-1]) if len(terms) > 1 else None


@perturbation("surd")
def root_squared_denominator(gold: Gold, rng: Random) -> str | None:
    return latex(1 / gold.value) if gold.value.is_Mul else None


@perturbation("pi")
def pi_dropped(gold: Gold, rng: Random) -> str | None:
    factor = gold.value / sympy.pi
    return latex(factor) if factor.is_Rational else None


@perturbation("pi", name="pi as 3.14")
def pi_rounded(gold: Gold, rng: Random) -> str | None:
    factor = gold.value / sympy.pi
    return decimal_text(factor * sympy.Rational("3.14")) if factor.is_Rational else None


@perturbation("pi", name="pi as 22/7")
def pi_as_fraction(gold: Gold, rng: Random) -> str | None:
    factor = gold.value / sympy.pi
    return latex(factor * sympy.Rational(22, 7)) if factor.is_Rational else None


@perturbation("pi")
def pi_squared(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value * sympy.pi)


@perturbation("surd")
def factor_moved_under_the_root(gold: Gold, rng: Random) -> str | None:
    coefficient, root = gold.value.as_coeff_Mul()
    if not (coefficient.is_Integer and coefficient > 1 and root.is_Pow):
        return None
    return rf"\sqrt{{{coefficient} \cdot {root.base}}}"


@perturbation("surd pi")
def denominator_of_the_last_term_only(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    if bottom == 1 or len(summands(top)) < 2:
        return None
    return f"{ascii_math(sympy.expand(top))}/{bottom}"
