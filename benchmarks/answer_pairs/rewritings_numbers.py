"""Rewritings of numbers that keep the value."""

import re
from random import Random

import sympy

from answer_pairs.golds import Gold
from answer_pairs.rendering import ascii_math, glyphs, latex, superscript
from answer_pairs.registry import rewriting

RATIONAL = "integer fraction decimal"
VULGAR = {(1, 2): "½", (1, 3): "⅓", (2, 3): "⅔", (1, 4): "¼", (3, 4): "¾", (1, 5): "⅕", (2, 5): "⅖",
          (3, 5): "⅗", (4, 5): "⅘", (1, 6): "⅙", (5, 6): "⅚", (1, 8): "⅛", (3, 8): "⅜", (5, 8): "⅝",
          (7, 8): "⅞"}
WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
         "fifteen sixteen seventeen eighteen nineteen twenty").split()
UNITS = (r" \text{ cm}", r" \text{ square units}", " inches", r"\text{ units}", " dollars", r"\,\mathrm{cm}^2",
         r" \text{ ways}", r" \text{miles per hour}", " meters", r"\ \text{hours}")


def decimal_text(value: sympy.Rational) -> str | None:
    """Return the finite decimal expansion of a number, if it has one."""
    bottom = int(value.q)
    twos = fives = 0
    while bottom % 2 == 0:
        bottom, twos = bottom // 2, twos + 1
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    places = max(twos, fives)
    if bottom != 1 or places > 12:
        return None
    digits = str(abs(int(value * 10**places))).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def repeating(value: sympy.Rational) -> tuple[str, str] | None:
    """Return the digits of a number before and in its period, if this is short."""
    sign, value = ("-" if value < 0 else ""), abs(value)
    whole, rest = divmod(int(value.p), int(value.q))
    digits, seen = "", {}
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, int(value.q))
        digits += str(digit)
        if len(digits) > 9:
            return None
    if not rest:
        return None
    return f"{sign}{whole}.{digits[: seen[rest]]}", digits[seen[rest] :]


def grouped(number: int, separator: str) -> str:
    return f"{number:,}".replace(",", separator)


def scientific(value: sympy.Rational) -> tuple[str, int] | None:
    """Return the mantissa as a decimal and the exponent of ten."""
    if value == 0 or decimal_text(value) is None:
        return None
    exponent = 0
    mantissa = value
    while abs(mantissa) >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    while abs(mantissa) < 1:
        mantissa, exponent = mantissa * 10, exponent - 1
    text = decimal_text(mantissa)
    return (text, exponent) if text and (exponent > 2 or exponent < -1) and len(text) < 9 else None


# Integers

def _large(gold: Gold) -> int | None:
    return int(gold.value) if abs(gold.value) >= 1000 else None


for _name, _separator in {
    "comma": ",", "braced comma": "{,}", "comma with negative space": r",\!", "thin space": r"\,",
    "space": " ", "backslash space": r"\ ", "unicode thin space": "\u2009",
    "no-break space": "\u00a0", "narrow no-break space": "\u202f", "comma and space": r",\,",
    "tilde": "~",
}.items():
    @rewriting("integer", name=f"thousands: {_name}")
    def _thousands(gold: Gold, rng: Random, separator: str = _separator) -> str | None:
        number = _large(gold)
        return None if number is None else grouped(number, separator)


@rewriting("integer")
def thousands_none(gold: Gold, rng: Random) -> str | None:
    return None if _large(gold) is None else str(gold.value)


@rewriting("integer")
def integer_point_zero(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value}.{'0' * rng.randint(1, 3)}"


@rewriting("integer")
def integer_over_one(gold: Gold, rng: Random) -> str | None:
    return rf"\frac{{{gold.value}}}{{1}}"


@rewriting("integer")
def integer_as_unreduced_fraction(gold: Gold, rng: Random) -> str | None:
    times = rng.randint(2, 6)
    return rf"\frac{{{gold.value * times}}}{{{times}}}"


@rewriting("integer")
def prime_factors(gold: Gold, rng: Random) -> str | None:
    if gold.value < 4 or sympy.isprime(gold.value):
        return None
    factors = sympy.factorint(gold.value)
    return r" \cdot ".join(f"{p}^{{{e}}}" if e > 1 else str(p) for p, e in factors.items())


@rewriting("integer")
def sum_of_terms(gold: Gold, rng: Random) -> str | None:
    part = rng.randint(1, 50)
    return f"{gold.value - part} + {part}"


@rewriting("integer")
def number_word(gold: Gold, rng: Random) -> str | None:
    if not 0 <= gold.value <= 20:
        return None
    word = WORDS[int(gold.value)]
    return rng.choice((word, rf"\text{{{word}}}", word.capitalize()))


@rewriting("integer")
def factorial(gold: Gold, rng: Random) -> str | None:
    for n in range(3, 15):
        if sympy.factorial(n) == gold.value:
            return f"{n}!"
    return None


@rewriting("integer")
def equals_chain(gold: Gold, rng: Random) -> str | None:
    part = rng.randint(1, 30)
    return f"{gold.value - part} + {part} = {gold.value}"


@rewriting("integer", name="numpy integer")
def numpy_integer(gold: Gold, rng: Random) -> str | None:
    return f"np.int64({gold.value})"


@rewriting("integer")
def text_command(gold: Gold, rng: Random) -> str | None:
    command = rng.choice(("text", "mathrm", "textbf", "mathbf"))
    return rf"\{command}{{{gold.text}}}"


@rewriting("integer")
def fullwidth_digits(gold: Gold, rng: Random) -> str | None:
    if gold.value < 0:
        return None
    return "".join(chr(ord(digit) + 0xFEE0) for digit in str(gold.value))


@rewriting("integer decimal")
def e_notation(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and f"{parts[0]}e{parts[1]}"


@rewriting("integer decimal")
def e_notation_capital(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and f"{parts[0]}E{parts[1]:+03d}"


@rewriting("integer decimal")
def scientific_times(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and rf"{parts[0]} \times 10^{{{parts[1]}}}"


@rewriting("integer decimal")
def scientific_ascii(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and f"{parts[0]}*10^{parts[1]}"


@rewriting("integer decimal")
def scientific_glyphs(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and f"{parts[0]} × 10{superscript(parts[1])}"


# Signs

@rewriting("integer fraction decimal surd pi")
def plus_sign(gold: Gold, rng: Random) -> str | None:
    return f"+{gold.text.strip()}" if gold.value > 0 else None


def _negative(gold: Gold) -> str | None:
    text = gold.text.strip()
    return text[1:].strip() if text.startswith("-") and gold.value < 0 and gold.kind in RATIONAL else None


@rewriting(RATIONAL)
def minus_glyph(gold: Gold, rng: Random) -> str | None:
    return (rest := _negative(gold)) and f"−{rest}"


@rewriting(RATIONAL)
def minus_and_space(gold: Gold, rng: Random) -> str | None:
    return (rest := _negative(gold)) and f"- {rest}"


@rewriting(RATIONAL)
def minus_braced(gold: Gold, rng: Random) -> str | None:
    return (rest := _negative(gold)) and f"-{{{rest}}}"


@rewriting(RATIONAL)
def negative_in_brackets(gold: Gold, rng: Random) -> str | None:
    return (rest := _negative(gold)) and rng.choice((f"(-{rest})", f"-({rest})"))


# Units that the gold answer leaves out

@rewriting("integer fraction decimal surd pi")
def unit_added(gold: Gold, rng: Random) -> str | None:
    return gold.text.strip() + rng.choice(UNITS)


@rewriting("integer decimal", name="dollar sign added")
def dollar_added(gold: Gold, rng: Random) -> str | None:
    return rf"\${gold.text.strip()}" if gold.value > 0 else None


# Fractions

def _parts(gold: Gold) -> tuple[str, int, int]:
    value = gold.value
    return ("-" if value < 0 else ""), abs(int(value.p)), int(value.q)


for _name, _form in {
    "slash": "{s}{a}/{b}", "slash with spaces": "{s}{a} / {b}", "bracketed slash": "{s}({a})/({b})",
    "one bracket": "({s}{a}/{b})", "fraction slash glyph": "{s}{a}⁄{b}",
    "division slash glyph": "{s}{a}∕{b}", "over": "{s}{{{a} \\over {b}}}",
    "div": "{s}{a} \\div {b}", "div glyph": "{s}{a} ÷ {b}", "dfrac": "{s}\\dfrac{{{a}}}{{{b}}}",
    "tfrac": "{s}\\tfrac{{{a}}}{{{b}}}", "cfrac": "{s}\\cfrac{{{a}}}{{{b}}}",
    "spaced frac": "{s}\\frac {{ {a} }} {{ {b} }}", "backslashes doubled": "{s}\\\\frac{{{a}}}{{{b}}}",
    "left right": "{s}\\left(\\frac{{{a}}}{{{b}}}\\right)", "negative power": "{s}{a} \\cdot {b}^{{-1}}",
    "sympy Rational": "Rational({s}{a}, {b})", "python Fraction": "Fraction({s}{a}, {b})",
    "text in parts": "{s}\\frac{{\\text{{{a}}}}}{{\\text{{{b}}}}}", "big brackets": "\\Big({s}\\frac{{{a}}}{{{b}}}\\Big)",
    "nicefrac": "{s}\\nicefrac{{{a}}}{{{b}}}", "reciprocal": "{s}{a} \\times \\frac{{1}}{{{b}}}",
    "braced slash": "{s}{{{a}}}/{{{b}}}",
}.items():
    @rewriting("fraction", name=f"fraction: {_name}")
    def _fraction(gold: Gold, rng: Random, form: str = _form) -> str | None:
        sign, top, bottom = _parts(gold)
        return form.format(s=sign, a=top, b=bottom)


@rewriting("fraction")
def fraction_without_braces(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
    if top > 9:
        return None
    return rf"{sign}\frac{top}{bottom}" if bottom < 10 else rf"{sign}\frac{top}{{{bottom}}}"


@rewriting("fraction")
def fraction_sign_in_numerator(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
    return rf"\frac{{-{top}}}{{{bottom}}}" if sign else None


@rewriting("fraction")
def fraction_sign_in_denominator(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
    return rf"\frac{{{top}}}{{-{bottom}}}" if sign else None


@rewriting("fraction")
def fraction_two_signs(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
    return None if sign else rf"\frac{{-{top}}}{{-{bottom}}}"


@rewriting("fraction")
def fraction_unreduced(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
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
    "latex": "{w}\\frac{{{a}}}{{{b}}}", "latex and space": "{w} \\frac{{{a}}}{{{b}}}",
    "thin space": "{w}\\,\\frac{{{a}}}{{{b}}}", "ascii": "{w} {a}/{b}", "plus": "{w} + {a}/{b}",
    "and": "{w} and {a}/{b}", "tfrac": "{w}\\tfrac{a}{b}",
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
    sign, top, bottom = _parts(gold)
    glyph = VULGAR.get((top, bottom))
    return sign + glyph if glyph else None


@rewriting("fraction decimal")
def fraction_superscripts(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
    below = "".join(chr(0x2080 + int(digit)) for digit in str(bottom))
    return f"{sign}{superscript(top)}⁄{below}"


for _name, _form in {
    "overline": "{d}\\overline{{{p}}}", "bar": "{d}\\bar{{{p}}}", "brackets": "{d}({p})",
    "overline with space": "{d} \\overline{{{p}}}", "dots": "{d}{p}{p}{p}\\ldots",
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


# Decimals

@rewriting("decimal")
def decimal_trailing_zeros(gold: Gold, rng: Random) -> str | None:
    return gold.text.strip() + "0" * rng.randint(1, 3)


@rewriting("decimal")
def decimal_zero_before_point(gold: Gold, rng: Random) -> str | None:
    text = gold.text.strip()
    return f"0{text}" if text.startswith(".") else (text[1:] if text.startswith("0.") else None)


@rewriting("decimal")
def decimal_as_fraction(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = _parts(gold)
    return rf"{sign}\frac{{{top}}}{{{bottom}}}"


@rewriting("decimal")
def decimal_as_power_of_ten_fraction(gold: Gold, rng: Random) -> str | None:
    places = len(gold.text.strip().partition(".")[2])
    return f"{gold.value * 10**places}/{10**places}"


@rewriting("decimal", name="numpy float")
def numpy_float(gold: Gold, rng: Random) -> str | None:
    return f"np.float64({float(gold.value)!r})"


@rewriting("decimal", name="python Decimal")
def python_decimal(gold: Gold, rng: Random) -> str | None:
    return f"Decimal('{decimal_text(gold.value)}')"


# Percentages, money, degrees, measures

for _name, _form in {
    "bare sign": "{n}%", "space": "{n} \\%", "thin space": "{n}\\,\\%", "word": "{n} percent",
    "text word": "{n}\\text{{ percent}}", "no sign": "{n}", "point zero": "{n}.0\\%", "text sign": "{n}\\text{{\\%}}",
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
    "bare sign": "${n}", "no sign": "{n}", "word": "{n} dollars", "text word": "{n}\\text{{ dollars}}",
    "currency code": "{n} USD", "text sign": "\\text{{\\$}}{n}", "space": "\\$ {n}", "sign behind": "{n}\\$",
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
    "braces": "{n}^{{\\circ}}", "no sign": "{n}", "glyph": "{n}°", "word": "{n} degrees",
    "text word": "{n}\\text{{ degrees}}", "degree command": "{n}\\degree", "o": "{n}^o",
    "space": "{n} ^\\circ", "text circ": "{n}^\\text{{o}}", "deg": "{n} deg", "ascii circ": "{n}^circ",
    "mathrm": "{n}^{{\\mathrm{{o}}}}", "textdegree": "{n}\\textdegree",
}.items():
    @rewriting("degrees", name=f"degrees: {_name}")
    def _degrees(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(n=decimal_text(gold.value))


for _name, _form in {
    "no unit": "{n}", "plain word": "{n} {u}", "mathrm": "{n} \\mathrm{{{u}}}", "mbox": "{n}\\mbox{{ {u}}}",
    "tilde": "{n}~\\text{{{u}}}", "backslash space": "{n}\\ \\text{{{u}}}", "thin space": "{n}\\,\\text{{{u}}}",
    "no space": "{n}\\text{{{u}}}", "text over all": "\\text{{{n} {u}}}", "textrm": "{n}\\textrm{{ {u}}}",
    "full stop": "{n} {u}.", "brackets": "{n} \\text{{ ({u})}}",
}.items():
    @rewriting("measure", name=f"unit: {_name}")
    def _measure(gold: Gold, rng: Random, form: str = _form) -> str | None:
        number, unit = gold.value
        if re.search(r"\^", unit) and "{u}" in form:
            return None
        number_text = str(number) if "text{{{n}" in form else latex(number)
        return form.format(n=number_text, u=unit)


SYNONYMS = {
    "cm": "centimeters", "centimeters": "cm", "cm^2": "square centimeters", "feet": "ft", "ft": "feet",
    "inches": "in", "dollars": "USD", "degrees": "^\\circ", "square units": "units^2", "hours": "hr",
    "meters": "m", "miles per hour": "mph", "mph": "miles per hour", "square feet": "ft^2",
    "square inches": "in^2", "sq cm": "cm^2", "square cm": "cm^2", "gm": "grams", "pounds": "lbs",
    "seconds": "s", "minutes": "min", "kilometers": "km", "km": "kilometers", "square meters": "m^2",
    "cubic inches": "in^3", "cubic centimeters": "cm^3", "cents": "\\text{¢}",
}


@rewriting("measure")
def unit_synonym(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    synonym = SYNONYMS.get(unit)
    if synonym is None:
        return None
    if synonym.startswith("^"):
        return f"{latex(number)}{synonym}"
    return rf"{latex(number)} \text{{ {synonym}}}" if "^" not in synonym else f"{latex(number)} {synonym}"


@rewriting("measure")
def unit_singular(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    if not unit.endswith("s") or " " in unit or "^" in unit or len(unit) < 4:
        return None
    singular = {"inches": "inch", "feet": "foot"}.get(unit, unit.removesuffix("s"))
    return rf"{latex(number)}\text{{ {singular}}}"


# Bases and ratios

for _name, _form in {
    "braces": "{d}_{{{b}}}", "brackets": "({d})_{{{b}}}", "no base": "{d}", "word": "{d} base {b}",
    "text word": "{d}\\text{{ (base {b})}}", "bracketed base": "{d}_{{({b})}}", "text base": "{d}_{{\\text{{{b}}}}}",
    "plain": "{d}_{b}", "in base": "{d} in base {b}",
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
    "spaces": "{a} : {b}", "to": "{a} to {b}", "slash": "{a}/{b}", "frac": "\\frac{{{a}}}{{{b}}}",
    "colon command": "{a} \\colon {b}", "text to": "{a}\\text{{ to }}{b}", "braced colon": "{a}{{:}}{b}",
}.items():
    @rewriting("ratio", name=f"ratio: {_name}")
    def _ratio(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(a=gold.value[0], b=gold.value[1])


# Roots, pi, complex numbers

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
    return rf"{latex(root)} \cdot {coefficient}" if coefficient > 0 else rf"-{latex(root)} \cdot {-coefficient}"


def _terms(value: sympy.Expr) -> list[sympy.Expr]:
    return list(sympy.Add.make_args(sympy.expand(value)))


@rewriting("surd pi")
def sum_reordered(gold: Gold, rng: Random) -> str | None:
    terms = _terms(gold.value)
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
    terms = _terms(gold.value)
    content = sympy.gcd_list([term.as_coeff_Mul()[0] for term in terms])
    if len(terms) < 2 or content == 1:
        return None
    return f"{latex(content)}({latex(sympy.expand(gold.value / content))})"


@rewriting("surd pi")
def sum_over_common_denominator(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    if bottom == 1 or len(_terms(gold.value)) < 2:
        return None
    return rf"\frac{{{latex(sympy.expand(top))}}}{{{latex(bottom)}}}"


@rewriting("surd pi")
def sum_as_separate_fractions(gold: Gold, rng: Random) -> str | None:
    terms = _terms(gold.value)
    if len(terms) < 2 or all(term.as_coeff_Mul()[0].q == 1 for term in terms):
        return None
    return " + ".join(map(latex, terms)).replace("+ -", "- ")


def _times_pi(gold: Gold) -> sympy.Expr | None:
    factor = gold.value / sympy.pi
    return factor if factor.is_Rational and factor not in (1, -1) else None


for _name, _form in {
    "star": "{c}*pi", "implicit": "{c}pi", "glyph": "{c}π", "cdot": "{c} \\cdot \\pi", "times": "{c} \\times \\pi",
    "spaced glyph": "{c} π", "pi first": "\\pi \\cdot {c}", "math.pi": "{c}*math.pi", "np.pi": "{c}*np.pi",
    "cdot glyph": "{c}·π", "star and command": "{c}*\\pi", "capital": "{c}*Pi", "brackets": "({c})π",
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


def _complex_parts(gold: Gold) -> tuple[str, str, str]:
    """Return the real part, the sign of i, and its factor without sign."""
    real, imaginary = gold.value.as_real_imag()
    size = abs(imaginary)
    return latex(real), ("-" if imaginary < 0 else "+"), ("" if size == 1 else latex(size))


for _name, _form in {
    "python j": "({r}{s}{m}j)", "python j without brackets": "{r}{s}{m}j", "sympy I": "{r} {s} {m}*I",
    "star i": "{r} {s} {m}*i", "mathrm": "{r} {s} {m}\\mathrm{{i}}", "cdot": "{r} {s} {m} \\cdot i",
    "no spaces": "{r}{s}{m}i", "imath": "{r}{s}{m}\\imath", "spaces": "{r} {s} {m} i",
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
    "star star": "{a}**{b}", "caret": "{a}^{b}", "caret brackets": "{a}^({b})", "pow": "pow({a}, {b})",
    "in brackets": "({a})^{{{b}}}", "product of powers": "{a} \\cdot {a}^{{{c}}}",
}.items():
    @rewriting("power", name=f"power: {_name}")
    def _powers(gold: Gold, rng: Random, form: str = _form) -> str | None:
        base, exponent = gold.value
        return form.format(a=base, b=exponent, c=exponent - 1)


for _name, _form in {
    "negative exponent": "{a}^{{-{b}}}", "slash": "1/{a}^{{{b}}}", "python": "1/{a}**{b}", "python power": "{a}**(-{b})",
    "power of a fraction": "\\left(\\frac{{1}}{{{a}}}\\right)^{{{b}}}", "caret": "1/{a}^{b}", "dfrac": "\\dfrac{{1}}{{{a}^{{{b}}}}}",
}.items():
    @rewriting("reciprocal", name=f"reciprocal power: {_name}")
    def _reciprocal(gold: Gold, rng: Random, form: str = _form) -> str | None:
        return form.format(a=gold.value[0], b=gold.value[1])


for _name, _form in {
    "slash": "1/{n}!", "negative power": "({n}!)^{{-1}}", "bracketed slash": "1/({n}!)", "dfrac": "\\dfrac{{1}}{{{n}!}}",
    "function": "1/factorial({n})",
}.items():
    @rewriting("factorial", name=f"factorial: {_name}")
    def _factorial(gold: Gold, rng: Random, form: str = _form) -> str | None:
        inverted, n = gold.value
        return form.format(n=n) if inverted else None


for _name, _form in {
    "both": "{a}, {b}", "both reversed": "{b}, {a}", "set": "\\{{{a}, {b}\\}}", "and": "{a} \\text{{ and }} {b}",
    "ascii": "{pa}, {pb}", "named": "x = {a}, x = {b}", "or": "{a} or {b}",
}.items():
    @rewriting("plusminus", name=f"plus minus: {_name}")
    def _plus_minus(gold: Gold, rng: Random, form: str = _form) -> str | None:
        one, other = gold.value
        return form.format(a=latex(one), b=latex(other), pa=ascii_math(one), pb=ascii_math(other))


@rewriting("plusminus")
def plus_minus_glyph(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace(r"\pm", "±")
