"""Rewritings of complex numbers, powers, factorials, and of two numbers with a plus-minus sign."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, latex


def _complex_parts(gold: Gold) -> tuple[str, str, str]:
    """Return the real part, the sign of i, and its factor without sign."""
    real, imaginary = gold.value.as_real_imag()
    size = abs(imaginary)
    return latex(real), ("-" if imaginary < 0 else "+"), ("" if size == 1 else latex(size))


for _name, _form in {
    "python j": "({r}{s}{m}j)",
    "python j without brackets": "{r}{s}{m}j",
    "sympy I": "{r} {s} {m}*I",
    "star i": "{r} {s} {m}*i",
    "mathrm": "{r} {s} {m}\\mathrm{{i}}",
    "cdot": "{r} {s} {m} \\cdot i",
    "no spaces": "{r}{s}{m}i",
    "imath": "{r}{s}{m}\\imath",
    "spaces": "{r} {s} {m} i",
    "in brackets": "({r}{s}{m}i)",
}.items():

    @rewriting("complex", name=f"complex: {_name}")
    def _with_i(gold: Gold, rng: Random, form: str = _form) -> str | None:
        real, sign, size = _complex_parts(gold)
        if real == "0" or "frac" in real + size or (size == "" and ("j" in form or "*" in form)):
            return None
        if size == "" and ("cdot" in form):
            return None
        return form.format(r=real, s=sign, m=size)


@rewriting("complex")
def complex_imaginary_first(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    if real == 0:
        return None
    sign = "-" if real < 0 else "+"
    return f"{latex(imaginary * sympy.I)} {sign} {latex(abs(real))}"


@rewriting("complex", name="complex: python call")
def complex_call(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    return f"complex({real}, {imaginary})" if real.is_Integer and imaginary.is_Integer else None


@rewriting("complex")
def complex_numpy_float(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    if not (real.is_Integer and imaginary.is_Integer):
        return None
    return f"({float(real)}{float(imaginary):+}j)"


for _name, _form in {
    "star star": "{a}**{b}",
    "caret": "{a}^{b}",
    "caret brackets": "{a}^({b})",
    "pow": "pow({a}, {b})",
    "in brackets": "({a})^{{{b}}}",
    "product of powers": "{a} \\cdot {a}^{{{c}}}",
}.items():

    @rewriting("power", name=f"power: {_name}")
    def _powers(gold: Gold, rng: Random, form: str = _form) -> str | None:
        base, exponent = gold.value
        return form.format(a=base, b=exponent, c=exponent - 1)


for _name, _form in {
    "negative exponent": "{a}^{{-{b}}}",
    "slash": "1/{a}^{{{b}}}",
    "python": "1/{a}**{b}",
    "python power": "{a}**(-{b})",
    "power of a fraction": "\\left(\\frac{{1}}{{{a}}}\\right)^{{{b}}}",
    "caret": "1/{a}^{b}",
    "dfrac": "\\dfrac{{1}}{{{a}^{{{b}}}}}",
}.items():

    @rewriting("reciprocal", name=f"reciprocal power: {_name}")
    def _reciprocal(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(a=gold.value[0], b=gold.value[1])


for _name, _form in {
    "slash": "1/{n}!",
    "negative power": "({n}!)^{{-1}}",
    "bracketed slash": "1/({n}!)",
    "dfrac": "\\dfrac{{1}}{{{n}!}}",
    "function": "1/factorial({n})",
}.items():

    @rewriting("factorial", name=f"factorial: {_name}")
    def _factorial(gold: Gold, rng: Random, form: str = _form) -> str | None:
        inverted, n = gold.value
        return form.format(n=n) if inverted else None


for _name, _form in {
    "both": "{a}, {b}",
    "both reversed": "{b}, {a}",
    "set": "\\{{{a}, {b}\\}}",
    "and": "{a} \\text{{ and }} {b}",
    "ascii": "{pa}, {pb}",
    "named": "x = {a}, x = {b}",
    "or": "{a} or {b}",
}.items():

    @rewriting("plusminus", name=f"plus minus: {_name}")
    def _plus_minus(gold: Gold, rng: Random, form: str = _form) -> str | None:
        one, other = gold.value
        return form.format(a=latex(one), b=latex(other), pa=ascii_math(one), pb=ascii_math(other))


@rewriting("plusminus")
def plus_minus_glyph(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace(r"\pm", "±")
