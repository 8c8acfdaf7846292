"""Rewritings of numbers with a unit, a percent sign, a currency, a base, and of ratios."""

import re
from random import Random

from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import decimal_text, latex
from answer_pairs.rewritings.integers import WORDS

UNITS = (
    r" \text{ cm}",
    r" \text{ square units}",
    " inches",
    r"\text{ units}",
    " dollars",
    r"\,\mathrm{cm}^2",
    r" \text{ ways}",
    r" \text{miles per hour}",
    " meters",
    r"\ \text{hours}",
)


@rewriting("integer fraction decimal surd pi")
def unit_added(gold: Gold, rng: Random) -> str | None:
    return gold.text.strip() + rng.choice(UNITS)


@rewriting("integer decimal", name="dollar sign added")
def dollar_added(gold: Gold, rng: Random) -> str | None:
    return rf"\${gold.text.strip()}" if gold.value > 0 else None


for _name, _form in {
    "bare sign": "{n}%",
    "space": "{n} \\%",
    "thin space": "{n}\\,\\%",
    "word": "{n} percent",
    "text word": "{n}\\text{{ percent}}",
    "no sign": "{n}",
    "point zero": "{n}.0\\%",
    "text sign": "{n}\\text{{\\%}}",
    "per cent": "{n} per cent",
}.items():

    @rewriting("percent", name=f"percent: {_name}")
    def _percent(gold: Gold, rng: Random, form: str = _form) -> str | None:
        number = decimal_text(gold.value)
        return None if "." in (number or ".") and ".0" in form else form.format(n=number)


@rewriting("percent")
def percent_as_decimal(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value / 100)


@rewriting("percent")
def percent_as_fraction(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value / 100)


def _dollars(gold: Gold) -> str:
    return re.sub(r"[^0-9.]", "", gold.text)


for _name, _form in {
    "bare sign": "${n}",
    "no sign": "{n}",
    "word": "{n} dollars",
    "text word": "{n}\\text{{ dollars}}",
    "currency code": "{n} USD",
    "text sign": "\\text{{\\$}}{n}",
    "space": "\\$ {n}",
    "sign behind": "{n}\\$",
}.items():

    @rewriting("money", name=f"money: {_name}")
    def _money(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(n=_dollars(gold))


@rewriting("money")
def money_grouped(gold: Gold, rng: Random) -> str | None:
    return rf"\${float(gold.value):,.2f}" if gold.value >= 1000 else None


@rewriting("money")
def money_with_cents(gold: Gold, rng: Random) -> str | None:
    return rf"\${float(gold.value):.2f}" if gold.value.is_Integer else None


for _name, _form in {
    "braces": "{n}^{{\\circ}}",
    "no sign": "{n}",
    "glyph": "{n}°",
    "word": "{n} degrees",
    "text word": "{n}\\text{{ degrees}}",
    "degree command": "{n}\\degree",
    "o": "{n}^o",
    "space": "{n} ^\\circ",
    "text circ": "{n}^\\text{{o}}",
    "deg": "{n} deg",
    "ascii circ": "{n}^circ",
    "mathrm": "{n}^{{\\mathrm{{o}}}}",
    "textdegree": "{n}\\textdegree",
}.items():

    @rewriting("degrees", name=f"degrees: {_name}")
    def _degrees(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(n=decimal_text(gold.value))


for _name, _form in {
    "no unit": "{n}",
    "plain word": "{n} {u}",
    "mathrm": "{n} \\mathrm{{{u}}}",
    "mbox": "{n}\\mbox{{ {u}}}",
    "tilde": "{n}~\\text{{{u}}}",
    "backslash space": "{n}\\ \\text{{{u}}}",
    "thin space": "{n}\\,\\text{{{u}}}",
    "no space": "{n}\\text{{{u}}}",
    "text over all": "\\text{{{n} {u}}}",
    "textrm": "{n}\\textrm{{ {u}}}",
    "full stop": "{n} {u}.",
    "brackets": "{n} \\text{{ ({u})}}",
}.items():

    @rewriting("measure", name=f"unit: {_name}")
    def _measure(gold: Gold, rng: Random, form: str = _form) -> str | None:
        number, unit = gold.value
        if re.search(r"\^", unit) and "{u}" in form:
            return None
        number_text = str(number) if "text{{{n}" in form else latex(number)
        return form.format(n=number_text, u=unit)


SYNONYMS = {
    "cm": "centimeters",
    "centimeters": "cm",
    "cm^2": "square centimeters",
    "feet": "ft",
    "ft": "feet",
    "inches": "in",
    "dollars": "USD",
    "degrees": "^\\circ",
    "square units": "units^2",
    "hours": "hr",
    "meters": "m",
    "miles per hour": "mph",
    "mph": "miles per hour",
    "square feet": "ft^2",
    "square inches": "in^2",
    "sq cm": "cm^2",
    "square cm": "cm^2",
    "gm": "grams",
    "pounds": "lbs",
    "seconds": "s",
    "minutes": "min",
    "kilometers": "km",
    "km": "kilometers",
    "square meters": "m^2",
    "cubic inches": "in^3",
    "cubic centimeters": "cm^3",
    "cents": "\\text{¢}",
}


@rewriting("measure")
def unit_synonym(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    synonym = SYNONYMS.get(unit)
    if synonym is None:
        return None
    if synonym.startswith("^"):
        return f"{latex(number)}{synonym}"
    return (
        rf"{latex(number)} \text{{ {synonym}}}"
        if "^" not in synonym
        else f"{latex(number)} {synonym}"
    )


@rewriting("measure")
def unit_singular(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    if not unit.endswith("s") or " " in unit or "^" in unit or len(unit) < 4:
        return None
    singular = {"inches": "inch", "feet": "foot"}.get(unit, unit.removesuffix("s"))
    return rf"{latex(number)}\text{{ {singular}}}"


for _name, _form in {
    "braces": "{d}_{{{b}}}",
    "brackets": "({d})_{{{b}}}",
    "no base": "{d}",
    "word": "{d} base {b}",
    "text word": "{d}\\text{{ (base {b})}}",
    "bracketed base": "{d}_{{({b})}}",
    "text base": "{d}_{{\\text{{{b}}}}}",
    "plain": "{d}_{b}",
    "in base": "{d} in base {b}",
}.items():

    @rewriting("base", name=f"base: {_name}")
    def _based(gold: Gold, rng: Random, form: str = _form) -> str | None:
        digits, base = gold.value
        return None if form.endswith("_{b}") and len(base) > 1 else form.format(d=digits, b=base)


@rewriting("base")
def base_glyphs(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return digits + "".join(chr(0x2080 + int(digit)) for digit in base)


@rewriting("base")
def base_in_words(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return rf"{digits}_{{\text{{{WORDS[int(base)]}}}}}"


for _name, _form in {
    "spaces": "{a} : {b}",
    "to": "{a} to {b}",
    "slash": "{a}/{b}",
    "frac": "\\frac{{{a}}}{{{b}}}",
    "colon command": "{a} \\colon {b}",
    "text to": "{a}\\text{{ to }}{b}",
    "braced colon": "{a}{{:}}{b}",
}.items():

    @rewriting("ratio", name=f"ratio: {_name}")
    def _ratio(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(a=gold.value[0], b=gold.value[1])


for _name, _form in {
    "ordinal glyph": "{n}º",
    "ring glyph": "{n}˚",
    "ang": "\\ang{{{n}}}",
    "angle named": "\\angle ABC = {n}^\\circ",
    "deg command": "{n}\\deg",
    "spaced braces": "{n} ^ {{ \\circ }}",
    "hyphen and word": "{n}-degree",
    "glyph in text": "{n}^{{\\text{{°}}}}",
}.items():

    @rewriting("degrees", name=f"degrees: {_name}")
    def _more_degrees(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(n=decimal_text(gold.value))


for _name, _form in {
    "two zeros": "{n}.00\\%",
    "glyph": "{n}％",
    "named": "p = {n}\\%",
    "in words": "\\text{{{n} percent}}",
}.items():

    @rewriting("percent", name=f"percent: {_name}")
    def _more_percent(gold: Gold, rng: Random, form: str = _form) -> str | None:
        number = decimal_text(gold.value)
        return None if "." in (number or ".") and ".00" in form else form.format(n=number)


for _name, _form in {
    "US sign": "US\\${n}",
    "USD before": "USD {n}",
    "mathdollar": "\\mathdollar {n}",
    "textdollar": "\\textdollar{n}",
    "in dollars": "$\\${n}$",
    "word in text": "\\text{{{n} dollars}}",
}.items():

    @rewriting("money", name=f"money: {_name}")
    def _more_money(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(n=_dollars(gold))


for _name, _form in {
    "text base word": "{d}_{{\\text{{base }} {b}}}",
    "spaced words": "{d} \\text{{ base }} {b}",
    "words": "{d} (in base {w})",
    "left brackets": "\\left({d}\\right)_{{{b}}}",
    "hyphen": "{d}, base {b}",
}.items():

    @rewriting("base", name=f"base: {_name}")
    def _more_bases(gold: Gold, rng: Random, form: str = _form) -> str | None:
        digits, base = gold.value
        return form.format(d=digits, b=base, w=WORDS[int(base)])


@rewriting("measure")
def unit_named_value(gold: Gold, rng: Random) -> str | None:
    return rf"d = {gold.text.strip()}"


@rewriting("measure")
def unit_in_dollars(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    return None if "^" in unit else f"${latex(number)}$ {unit}"


@rewriting("measure")
def unit_power_glyph(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    return f"{latex(number)} {unit.replace('^2', '²')}" if unit.endswith("^2") else None
