"""Rewritings of multiples of pi."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import latex


def _times_pi(gold: Gold) -> sympy.Expr | None:
    factor = gold.value / sympy.pi
    return factor if factor.is_Rational and factor not in (1, -1) else None


for _name, _form in {
    "star": "{c}*pi",
    "implicit": "{c}pi",
    "glyph": "{c}π",
    "cdot": "{c} \\cdot \\pi",
    "times": "{c} \\times \\pi",
    "spaced glyph": "{c} π",
    "pi first": "\\pi \\cdot {c}",
    "math.pi": "{c}*math.pi",
    "np.pi": "{c}*np.pi",
    "cdot glyph": "{c}·π",
    "star and command": "{c}*\\pi",
    "capital": "{c}*Pi",
    "brackets": "({c})π",
    "braced": "{c}{{\\pi}}",
}.items():

    @rewriting("pi", name=f"pi: {_name}")
    def _with_pi(gold: Gold, rng: Random, form: str = _form) -> str | None:
        factor = _times_pi(gold)
        if factor is None or (factor.q != 1 and form in ("{c}pi", "{c} π", "{c}π")):
            return None
        return form.format(c=factor if factor.q == 1 else f"({factor})")


@rewriting("pi")
def pi_outside_fraction(gold: Gold, rng: Random) -> str | None:
    factor = _times_pi(gold)
    return None if factor is None or factor.q == 1 else rf"{latex(factor)}\pi"


@rewriting("pi")
def pi_inside_fraction(gold: Gold, rng: Random) -> str | None:
    factor = _times_pi(gold)
    if factor is None or factor.q == 1:
        return None
    return rf"\frac{{{latex(factor.p * sympy.pi)}}}{{{factor.q}}}"


@rewriting("pi")
def pi_over_slash(gold: Gold, rng: Random) -> str | None:
    factor = _times_pi(gold)
    if factor is None or factor.q == 1:
        return None
    return f"{latex(factor.p * sympy.pi)}/{factor.q}"


@rewriting("pi")
def pi_radians(gold: Gold, rng: Random) -> str | None:
    return rf"{latex(gold.value)} \text{{ radians}}"


@rewriting("pi")
def pi_square_units(gold: Gold, rng: Random) -> str | None:
    return rf"{latex(gold.value)}\text{{ square units}}"


@rewriting("pi", name="pi: braces in fraction of glyphs")
def pi_glyph_over_slash(gold: Gold, rng: Random) -> str | None:
    factor = _times_pi(gold)
    if factor is None or factor.q == 1:
        return None
    return f"{'' if factor.p == 1 else factor.p}π/{factor.q}"
