"""Rewritings of fractions and mixed numbers."""

import re
from random import Random

from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import decimal_text, repeating, sign_and_parts, superscript

VULGAR = {
    (1, 2): "½",
    (1, 3): "⅓",
    (2, 3): "⅔",
    (1, 4): "¼",
    (3, 4): "¾",
    (1, 5): "⅕",
    (2, 5): "⅖",
    (3, 5): "⅗",
    (4, 5): "⅘",
    (1, 6): "⅙",
    (5, 6): "⅚",
    (1, 8): "⅛",
    (3, 8): "⅜",
    (5, 8): "⅝",
    (7, 8): "⅞",
}


for _name, _form in {
    "slash": "{s}{a}/{b}",
    "slash with spaces": "{s}{a} / {b}",
    "bracketed slash": "{s}({a})/({b})",
    "one bracket": "({s}{a}/{b})",
    "fraction slash glyph": "{s}{a}⁄{b}",
    "division slash glyph": "{s}{a}∕{b}",
    "over": "{s}{{{a} \\over {b}}}",
    "div": "{s}{a} \\div {b}",
    "div glyph": "{s}{a} ÷ {b}",
    "dfrac": "{s}\\dfrac{{{a}}}{{{b}}}",
    "tfrac": "{s}\\tfrac{{{a}}}{{{b}}}",
    "cfrac": "{s}\\cfrac{{{a}}}{{{b}}}",
    "spaced frac": "{s}\\frac {{ {a} }} {{ {b} }}",
    "backslashes doubled": "{s}\\\\frac{{{a}}}{{{b}}}",
    "left right": "{s}\\left(\\frac{{{a}}}{{{b}}}\\right)",
    "negative power": "{s}{a} \\cdot {b}^{{-1}}",
    "sympy Rational": "Rational({s}{a}, {b})",
    "python Fraction": "Fraction({s}{a}, {b})",
    "text in parts": "{s}\\frac{{\\text{{{a}}}}}{{\\text{{{b}}}}}",
    "big brackets": "\\Big({s}\\frac{{{a}}}{{{b}}}\\Big)",
    "nicefrac": "{s}\\nicefrac{{{a}}}{{{b}}}",
    "reciprocal": "{s}{a} \\times \\frac{{1}}{{{b}}}",
    "braced slash": "{s}{{{a}}}/{{{b}}}",
}.items():

    @rewriting("fraction", name=f"fraction: {_name}")
    def _fraction(gold: Gold, rng: Random, form: str = _form) -> str | None:
        sign, top, bottom = sign_and_parts(gold)
        return form.format(s=sign, a=top, b=bottom)


@rewriting("fraction")
def fraction_without_braces(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    if top > 9:
        return None
    return rf"{sign}\frac{top}{bottom}" if bottom < 10 else rf"{sign}\frac{top}{{{bottom}}}"


@rewriting("fraction")
def fraction_sign_in_numerator(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    return rf"\frac{{-{top}}}{{{bottom}}}" if sign else None


@rewriting("fraction")
def fraction_sign_in_denominator(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    return rf"\frac{{{top}}}{{-{bottom}}}" if sign else None


@rewriting("fraction")
def fraction_two_signs(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    return None if sign else rf"\frac{{-{top}}}{{-{bottom}}}"


@rewriting("fraction")
def fraction_unreduced(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    times = rng.randint(2, 9)
    return rf"{sign}\frac{{{times * top}}}{{{times * bottom}}}"


@rewriting("fraction")
def fraction_as_decimal(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value)


@rewriting("fraction")
def fraction_as_short_decimal(gold: Gold, rng: Random) -> str | None:
    text = decimal_text(gold.value)
    return text.replace("0.", ".", 1) if text and re.match("-?0", text) else None


for _name, _form in {
    "latex": "{w}\\frac{{{a}}}{{{b}}}",
    "latex and space": "{w} \\frac{{{a}}}{{{b}}}",
    "thin space": "{w}\\,\\frac{{{a}}}{{{b}}}",
    "ascii": "{w} {a}/{b}",
    "plus": "{w} + {a}/{b}",
    "and": "{w} and {a}/{b}",
    "tfrac": "{w}\\tfrac{a}{b}",
    "backslash space": "{w}\\ \\frac{{{a}}}{{{b}}}",
}.items():

    @rewriting("fraction decimal", name=f"mixed number: {_name}")
    def _mixed(gold: Gold, rng: Random, form: str = _form) -> str | None:
        whole, rest = divmod(int(gold.value.p), int(gold.value.q))
        bottom = int(gold.value.q)
        if whole < 1 or (gold.kind == "decimal" and bottom > 8):
            return None
        if form.endswith("{a}{b}") and (rest > 9 or bottom > 9):
            return None
        return form.format(w=whole, a=rest, b=bottom)


@rewriting("fraction decimal")
def mixed_number_glyph(gold: Gold, rng: Random) -> str | None:
    whole, rest = divmod(int(gold.value.p), int(gold.value.q))
    glyph = VULGAR.get((rest, int(gold.value.q)))
    return f"{whole}{glyph}" if whole > 0 and glyph else None


@rewriting("fraction decimal")
def fraction_glyph(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    glyph = VULGAR.get((top, bottom))
    return sign + glyph if glyph else None


@rewriting("fraction decimal")
def fraction_superscripts(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
    below = "".join(chr(0x2080 + int(digit)) for digit in str(bottom))
    return f"{sign}{superscript(top)}⁄{below}"


for _name, _form in {
    "overline": "{d}\\overline{{{p}}}",
    "bar": "{d}\\bar{{{p}}}",
    "brackets": "{d}({p})",
    "overline with space": "{d} \\overline{{{p}}}",
    "dots": "{d}{p}{p}{p}\\ldots",
    "ascii dots": "{d}{p}{p}{p}...",
}.items():

    @rewriting("fraction", name=f"repeating decimal: {_name}")
    def _repeating(gold: Gold, rng: Random, form: str = _form) -> str | None:
        parts = repeating(gold.value)
        return form.format(d=parts[0], p=parts[1]) if parts else None


@rewriting("fraction decimal")
def as_percentage(gold: Gold, rng: Random) -> str | None:
    text = decimal_text(gold.value * 100)
    return rf"{text}\%" if text and 0 < gold.value <= 1 else None
