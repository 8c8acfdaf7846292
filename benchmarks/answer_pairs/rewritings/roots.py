"""Rewritings of real numbers with roots, and of sums."""

import re
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, glyphs, latex, summands

REAL = "surd pi"


@rewriting("surd pi complex fraction")
def ascii_value(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value) if gold.kind != "fraction" else None


@rewriting("surd pi complex")
def ascii_value_spaced_products(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value).replace("*", " * ")


@rewriting("surd pi")
def ascii_value_implicit(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"(?<=[0-9])\*(?=[a-z(])", "", ascii_math(gold.value))
    return None if "**" in text else text


@rewriting("surd pi")
def glyph_value(gold: Gold, rng: Random) -> str | None:
    return glyphs(gold.value)


@rewriting("surd pi")
def sympy_latex_value(gold: Gold, rng: Random) -> str | None:
    return sympy.latex(gold.value)


@rewriting("surd")
def root_without_braces(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"\\sqrt\{([0-9])\}", r"\\sqrt\1", latex(gold.value))
    return text if text != latex(gold.value) else None


def _root_powers(gold: Gold, power: str) -> str:
    text = re.sub(r"\\sqrt\{([0-9]+)\}", lambda match: f"{match[1]}^{power}", latex(gold.value))
    return re.sub(r"(?<=[0-9]) (?=[0-9]+\^)", r" \\cdot ", text)


@rewriting("surd")
def root_as_half_power(gold: Gold, rng: Random) -> str | None:
    return _root_powers(gold, "{1/2}")


@rewriting("surd")
def root_as_frac_power(gold: Gold, rng: Random) -> str | None:
    return _root_powers(gold, r"{\frac{1}{2}}")


@rewriting("surd")
def root_as_ascii_power(gold: Gold, rng: Random) -> str | None:
    return re.sub(r"sqrt\(([0-9]+)\)", r"\1**(1/2)", ascii_math(gold.value))


@rewriting("surd")
def root_index_two(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value).replace(r"\sqrt{", r"\sqrt[2]{")


@rewriting("surd", name="math.sqrt")
def math_sqrt(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value).replace("sqrt", rng.choice(("math.sqrt", "np.sqrt")))


@rewriting("surd")
def root_merged(gold: Gold, rng: Random) -> str | None:
    """Write 2*sqrt(3) as sqrt(12)."""
    square = gold.value**2
    if not square.is_Rational or gold.value < 0 or not gold.value.is_Mul:
        return None
    return rf"\sqrt{{{latex(square)}}}"


@rewriting("surd")
def root_of_fraction_split(gold: Gold, rng: Random) -> str | None:
    square = gold.value**2
    if not square.is_Rational or gold.value < 0 or square.is_Integer:
        return None
    return rf"\frac{{\sqrt{{{square.p}}}}}{{\sqrt{{{square.q}}}}}"


@rewriting("surd")
def root_irrational_denominator(gold: Gold, rng: Random) -> str | None:
    coefficient, root = gold.value.as_coeff_Mul()
    square = root**2
    if not square.is_Integer or not root.is_Pow:
        return None
    top = coefficient * square
    return rf"\frac{{{top.p}}}{{{latex(top.q * root)}}}"


@rewriting("surd")
def root_factor_in_front(gold: Gold, rng: Random) -> str | None:
    coefficient, root = gold.value.as_coeff_Mul()
    if coefficient.q == 1 or root.is_Add:
        return None
    return latex(coefficient) + latex(root)


@rewriting("surd")
def root_factor_behind(gold: Gold, rng: Random) -> str | None:
    coefficient, root = gold.value.as_coeff_Mul()
    if coefficient in (1, -1) or coefficient.q != 1 or not root.is_Pow:
        return None
    return (
        rf"{latex(root)} \cdot {coefficient}"
        if coefficient > 0
        else rf"-{latex(root)} \cdot {-coefficient}"
    )


@rewriting("surd pi")
def sum_reordered(gold: Gold, rng: Random) -> str | None:
    terms = summands(gold.value)
    if len(terms) < 2:
        return None
    first, *rest = reversed(terms) if rng.random() < 0.5 else terms
    text = latex(first)
    for term in rest:
        part = latex(term)
        text += part if part.startswith("-") else f"+{part}"
    return text


@rewriting("surd pi")
def sum_factored(gold: Gold, rng: Random) -> str | None:
    terms = summands(gold.value)
    content = sympy.gcd_list([term.as_coeff_Mul()[0] for term in terms])
    if len(terms) < 2 or content == 1:
        return None
    return f"{latex(content)}({latex(sympy.expand(gold.value / content))})"


@rewriting("surd pi")
def sum_over_common_denominator(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    if bottom == 1 or len(summands(gold.value)) < 2:
        return None
    return rf"\frac{{{latex(sympy.expand(top))}}}{{{latex(bottom)}}}"


@rewriting("surd pi")
def sum_as_separate_fractions(gold: Gold, rng: Random) -> str | None:
    terms = summands(gold.value)
    if len(terms) < 2 or all(term.as_coeff_Mul()[0].q == 1 for term in terms):
        return None
    return " + ".join(map(latex, terms)).replace("+ -", "- ")


@rewriting("surd")
def root_of_a_fraction(gold: Gold, rng: Random) -> str | None:
    square = gold.value**2
    if not square.is_Rational or square.is_Integer or gold.value < 0:
        return None
    return rf"\sqrt{{{latex(square)}}}"


@rewriting("surd")
def root_of_a_fraction_ascii(gold: Gold, rng: Random) -> str | None:
    square = gold.value**2
    if not square.is_Rational or square.is_Integer or gold.value < 0:
        return None
    return f"sqrt({square})"


@rewriting("surd")
def root_spaced_command(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"\\sqrt\{([0-9])\}", r"\\sqrt \1", latex(gold.value))
    return text if text != latex(gold.value) else None


@rewriting("surd")
def root_times_root(gold: Gold, rng: Random) -> str | None:
    coefficient, root = gold.value.as_coeff_Mul()
    if not root.is_Pow or not root.base.is_Integer or sympy.isprime(root.base) or coefficient != 1:
        return None
    prime = min(sympy.primefactors(root.base))
    return rf"\sqrt{{{prime}}} \cdot \sqrt{{{root.base // prime}}}"


@rewriting("surd pi")
def minus_in_front_of_brackets(gold: Gold, rng: Random) -> str | None:
    return f"-({latex(sympy.expand(-gold.value))})" if len(summands(gold.value)) > 1 else None


@rewriting("surd pi")
def half_in_front(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    if bottom == 1 or len(summands(top)) < 2:
        return None
    return rf"\frac{{1}}{{{bottom}}}({latex(sympy.expand(top))})"


@rewriting("surd pi")
def ascii_bracketed_quotient(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    return None if bottom == 1 else f"({ascii_math(sympy.expand(top))})/{bottom}"
