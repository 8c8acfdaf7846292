"""Changes of an answer after which it is wrong."""

import re
from dataclasses import replace
from random import Random

import sympy

from answer_pairs.golds import Gold, Interval
from answer_pairs.registry import perturbation
from answer_pairs.rendering import ascii_math, latex
from answer_pairs.rewritings_numbers import decimal_text
from answer_pairs.rewritings_structures import _all, _inequality, _written

RATIONAL = "integer fraction decimal"
REAL = "integer fraction decimal surd pi"


def _digits(gold: Gold) -> str | None:
    """Return a number of digits and at most a sign and a point."""
    if gold.kind == "integer":
        return str(gold.value)
    return gold.text.strip() if gold.kind == "decimal" else None


def _other_digit(digit: str, rng: Random) -> str:
    return str((int(digit) + rng.choice((1, 9))) % 10)


@perturbation("integer decimal")
def last_digit(gold: Gold, rng: Random) -> str | None:
    text = _digits(gold) or ""
    return text[:-1] + _other_digit(text[-1], rng)


@perturbation("integer decimal")
def first_digit(gold: Gold, rng: Random) -> str | None:
    text = _digits(gold) or ""
    position = next(index for index, character in enumerate(text) if character.isdigit())
    return text[:position] + _other_digit(text[position], rng) + text[position + 1 :] if len(text) > 1 else None


@perturbation("integer decimal")
def middle_digit(gold: Gold, rng: Random) -> str | None:
    text = _digits(gold) or ""
    positions = [index for index, character in enumerate(text) if character.isdigit()][1:-1]
    if not positions:
        return None
    position = rng.choice(positions)
    return text[:position] + _other_digit(text[position], rng) + text[position + 1 :]


@perturbation("integer decimal")
def digits_transposed(gold: Gold, rng: Random) -> str | None:
    text = _digits(gold) or ""
    places = [
        index for index in range(len(text) - 1)
        if text[index].isdigit() and text[index + 1].isdigit() and text[index] != text[index + 1]
    ]
    if not places:
        return None
    index = rng.choice(places)
    return text[:index] + text[index + 1] + text[index] + text[index + 2 :]


@perturbation("integer decimal")
def digit_dropped(gold: Gold, rng: Random) -> str | None:
    text = (_digits(gold) or "").lstrip("-")
    return text[:-1] if len(text) > 1 and text[-2] != "." and text[-1] != "0" else None


@perturbation("integer")
def digit_doubled(gold: Gold, rng: Random) -> str | None:
    text = str(gold.value)
    position = rng.randrange(len(text))
    return text[: position + 1] + text[position:] if text[position].isdigit() and gold.value else None


@perturbation("integer decimal")
def ten_times(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value * 10)


@perturbation("decimal")
def point_moved(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value * sympy.Rational(10) ** rng.choice((-2, -1, 1, 2)))


@perturbation("decimal")
def point_dropped(gold: Gold, rng: Random) -> str | None:
    return gold.text.strip().replace(".", "") if not re.match(r"-?0*\.0*$", gold.text) else None


@perturbation("integer")
def thousands_comma_as_point(gold: Gold, rng: Random) -> str | None:
    return f"{int(gold.value):,}".replace(",", ".") if gold.value % 1000 and 1000 <= abs(gold.value) < 1000000 else None


@perturbation("integer")
def digit_group_lost(gold: Gold, rng: Random) -> str | None:
    return f"{int(gold.value):,}"[:-4] if abs(gold.value) >= 1000 else None


@perturbation("integer")
def digit_group_of_zeros_added(gold: Gold, rng: Random) -> str | None:
    return f"{int(gold.value) * 1000:,}" if gold.value else None


@perturbation(REAL + " complex expression")
def sign_flipped(gold: Gold, rng: Random) -> str | None:
    if gold.value == 0:
        return None
    text = gold.text.strip()
    simple = gold.kind in RATIONAL or not (gold.value.is_Add)
    if simple and text.startswith("-"):
        return text[1:].strip()
    return f"-{text}" if simple else latex(-gold.value)


@perturbation("fraction")
def numerator_off_by_one(gold: Gold, rng: Random) -> str | None:
    top = int(gold.value.p) + rng.choice((-1, 1))
    return rf"\frac{{{top}}}{{{gold.value.q}}}"


@perturbation("fraction")
def denominator_off_by_one(gold: Gold, rng: Random) -> str | None:
    return rf"\frac{{{gold.value.p}}}{{{gold.value.q + rng.choice((-1, 1))}}}"


@perturbation("fraction")
def fraction_inverted(gold: Gold, rng: Random) -> str | None:
    return rf"\frac{{{gold.value.q}}}{{{gold.value.p}}}" if gold.value > 0 else None


@perturbation("fraction")
def fraction_inverted_slash(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value.q}/{gold.value.p}" if gold.value > 0 else None


@perturbation("fraction")
def mixed_number_joined(gold: Gold, rng: Random) -> str | None:
    whole, rest = divmod(int(gold.value.p), int(gold.value.q))
    return rf"\frac{{{whole}{rest}}}{{{gold.value.q}}}" if whole > 0 else None


@perturbation("fraction")
def mixed_number_whole_off(gold: Gold, rng: Random) -> str | None:
    whole, rest = divmod(int(gold.value.p), int(gold.value.q))
    return rf"{whole + 1}\frac{{{rest}}}{{{gold.value.q}}}" if whole > 0 else None


@perturbation("fraction")
def mixed_number_product(gold: Gold, rng: Random) -> str | None:
    whole, rest = divmod(int(gold.value.p), int(gold.value.q))
    return rf"{whole} \cdot \frac{{{rest}}}{{{gold.value.q}}}" if whole > 0 else None


@perturbation("fraction")
def fraction_truncated(gold: Gold, rng: Random) -> str | None:
    return str(int(gold.value.p) // int(gold.value.q))


@perturbation("fraction")
def fraction_rounded(gold: Gold, rng: Random) -> str | None:
    return None if decimal_text(gold.value) else f"{float(gold.value):.2f}"


@perturbation("fraction")
def complement_of_probability(gold: Gold, rng: Random) -> str | None:
    return latex(1 - gold.value) if 0 < gold.value < 1 and gold.value != sympy.Rational(1, 2) else None


@perturbation("fraction", name="period wrong")
def period_wrong(gold: Gold, rng: Random) -> str | None:
    if decimal_text(gold.value) or gold.value < 0:
        return None
    number = sympy.floor(gold.value * 100) + 1
    return rf"{int(number) // 100}.\overline{{{int(number) % 100:02d}}}"


def _relative(rng: Random) -> sympy.Rational:
    return rng.choice((-1, 1)) * sympy.Rational(1, 10 ** rng.randint(7, 12))


@perturbation("integer fraction decimal")
def tiny_change_of_decimal(gold: Gold, rng: Random) -> str | None:
    change = sympy.Rational(1, 10 ** rng.randint(7, 12))
    value = gold.value + rng.choice((-1, 1)) * change
    return decimal_text(value) if gold.value else None


@perturbation("integer fraction")
def tiny_change_of_fraction(gold: Gold, rng: Random) -> str | None:
    value = gold.value * (1 + _relative(rng))
    return rf"\frac{{{value.p}}}{{{value.q}}}" if gold.value else None


@perturbation("integer fraction")
def tiny_change_of_ascii_fraction(gold: Gold, rng: Random) -> str | None:
    value = gold.value * (1 + _relative(rng))
    return f"{value.p}/{value.q}" if gold.value else None


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
    return latex(gold.value.replace(lambda part: part.is_Pow and part.exp == half, lambda part: part.base))


@perturbation("surd")
def radicand_off_by_one(gold: Gold, rng: Random) -> str | None:
    step = rng.choice((1, 2))
    return re.sub(r"\\sqrt\{([0-9]+)\}", lambda m: rf"\sqrt{{{int(m[1]) + step}}}", latex(gold.value), count=1)


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


@perturbation("integer fraction")
def pi_added(gold: Gold, rng: Random) -> str | None:
    return rf"{latex(gold.value)}\pi" if gold.value else None


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


# Percentages, money, degrees, measures, bases, ratios

@perturbation("percent")
def percent_off_by_one(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value + rng.choice((-1, 1)))}\%"


@perturbation("percent")
def percent_of_a_percent(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value / 100)}\%"


@perturbation("percent")
def percent_ten_times(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value * 10)}\%"


@perturbation("percent")
def percent_thousandth(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value / 1000)


@perturbation("percent")
def percent_complement(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(100 - gold.value)}\%" if gold.value not in (50, 100) else None


@perturbation("fraction decimal")
def percent_of_a_different_size(gold: Gold, rng: Random) -> str | None:
    text = decimal_text(gold.value * 10)
    return rf"{text}\%" if text and 0 < gold.value < 1 else None


@perturbation("money")
def money_one_cent(gold: Gold, rng: Random) -> str | None:
    return rf"\${float(gold.value) + 0.01:.2f}"


@perturbation("money")
def money_dollar(gold: Gold, rng: Random) -> str | None:
    return rf"\${float(gold.value) + 1:.2f}"


@perturbation("money")
def money_in_cents(gold: Gold, rng: Random) -> str | None:
    return f"{decimal_text(gold.value)} cents"


@perturbation("degrees")
def degrees_off_by_one(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value + rng.choice((-1, 1)))}^\circ"


@perturbation("degrees")
def degrees_as_radians(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value)} \text{{ radians}}"


@perturbation("degrees")
def degrees_times_pi(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(gold.value)}\pi"


@perturbation("degrees")
def degrees_complement(gold: Gold, rng: Random) -> str | None:
    return rf"{decimal_text(180 - gold.value)}^\circ" if gold.value not in (90, 180) else None


OTHER_UNIT = {
    "cm": "m", "m": "cm", "meters": "kilometers", "feet": "inches", "inches": "feet", "ft": "in", "hours": "minutes",
    "minutes": "hours", "seconds": "minutes", "days": "weeks", "dollars": "cents", "cents": "dollars", "pounds": "ounces",
    "miles": "kilometers", "km": "m", "miles per hour": "feet per second", "mph": "km/h", "degrees": "radians", "gallons": "liters",
    "square units": "cubic units", "square feet": "square yards", "square inches": "square feet", "cm^2": "m^2",
    "square cm": "square meters", "gm": "kg", "square meters": "square centimeters", "cubic inches": "cubic feet",
    "units": "square units", "grams": "kilograms", "kg": "g", "kilometers": "meters", "centimeters": "millimeters",
    "cubic centimeters": "cubic meters", "years": "months", "weeks": "days", "yards": "feet", "liters": "milliliters",
}


@perturbation("measure")
def unit_changed(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    other = OTHER_UNIT.get(unit)
    return other and rf"{latex(number)}\text{{ {other}}}".replace("^2}", "}^2")


@perturbation("measure")
def unit_changed_plain(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    other = OTHER_UNIT.get(unit)
    return other and f"{latex(number)} {other}"


@perturbation("measure")
def unit_squared(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    if unit not in ("cm", "m", "feet", "inches", "ft", "units", "meters", "km", "yards", "kilometers", "centimeters"):
        return None
    return rf"{latex(number)}\text{{ square {unit}}}"


@perturbation("measure")
def measure_value_changed(gold: Gold, rng: Random) -> str | None:
    number, unit = gold.value
    return None if "^" in unit else rf"{latex(number + 1)}\text{{ {unit}}}"


@perturbation("base")
def base_changed(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return f"{digits}_{{{int(base) + 1}}}"


@perturbation("base")
def base_changed_in_words(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return f"{digits} base {int(base) + 1}"


@perturbation("base")
def base_digit_changed(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    last = (int(digits[-1]) + 1) % int(base) if int(base) <= 10 else (int(digits[-1]) + 1) % 10
    return f"{digits[:-1]}{last}_{{{base}}}"


@perturbation("base")
def base_digits_transposed(gold: Gold, rng: Random) -> str | None:
    digits, base = gold.value
    return f"{digits[1]}{digits[0]}{digits[2:]}_{{{base}}}" if len(digits) > 1 and digits[1] != "0" else None


@perturbation("ratio")
def ratio_swapped(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[1]}:{gold.value[0]}" if gold.value[0] != gold.value[1] else None


@perturbation("ratio")
def ratio_changed(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[0]}:{gold.value[1] + 1}"


# Complex numbers and powers

@perturbation("complex")
def complex_conjugate(gold: Gold, rng: Random) -> str | None:
    return latex(sympy.conjugate(gold.value))


@perturbation("complex")
def complex_parts_swapped(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    return latex(imaginary + real * sympy.I) if real != imaginary else None


@perturbation("complex")
def imaginary_unit_dropped(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    return f"{latex(real)} {'-' if imaginary < 0 else '+'} {latex(abs(imaginary))}" if real else latex(imaginary)


@perturbation("complex")
def imaginary_part_changed(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value + sympy.I)


@perturbation("complex")
def imaginary_part_changed_python(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    return f"({real}{int(imaginary) + 1:+d}j)" if real.is_Integer and imaginary.is_Integer else None


@perturbation("power")
def power_exponent_off(gold: Gold, rng: Random) -> str | None:
    base, exponent = gold.value
    return f"{base}^{{{exponent + rng.choice((-1, 1))}}}"


@perturbation("power")
def power_base_off(gold: Gold, rng: Random) -> str | None:
    base, exponent = gold.value
    return f"{base + 1}^{{{exponent}}}"


@perturbation("power")
def power_plus_one(gold: Gold, rng: Random) -> str | None:
    base, exponent = gold.value
    return f"{base}^{{{exponent}}} + 1"


@perturbation("reciprocal")
def reciprocal_exponent_off(gold: Gold, rng: Random) -> str | None:
    base, exponent = gold.value
    return rf"\frac{{1}}{{{base}^{{{exponent + rng.choice((-1, 1))}}}}}"


@perturbation("factorial")
def factorial_neighbour(gold: Gold, rng: Random) -> str | None:
    inverted, n = gold.value
    other = n + rng.choice((-2, -1, 1, 4))
    return rf"\frac{{1}}{{{other}!}}" if inverted else f"{other}!"


# Expressions and equations

def _expression_variants(value: sympy.Expr) -> list[sympy.Expr]:
    return list(sympy.Add.make_args(sympy.expand(value)))


@perturbation("expression")
def expression_coefficient(gold: Gold, rng: Random) -> str | None:
    term = rng.choice(_expression_variants(gold.value))
    return latex(sympy.expand(gold.value) + term.as_coeff_Mul()[1])


@perturbation("expression")
def expression_coefficient_python(gold: Gold, rng: Random) -> str | None:
    term = rng.choice(_expression_variants(gold.value))
    return ascii_math(sympy.expand(gold.value) + term.as_coeff_Mul()[1])


@perturbation("expression")
def expression_constant_added(gold: Gold, rng: Random) -> str | None:
    return f"{gold.text.strip()} {rng.choice('+-')} 1"


@perturbation("expression")
def expression_exponent(gold: Gold, rng: Random) -> str | None:
    matches = list(re.finditer(r"\^\{?([0-9]+)\}?", gold.text))
    if not matches:
        return None
    match = rng.choice(matches)
    return f"{gold.text[: match.start()]}^{{{int(match[1]) + 1}}}{gold.text[match.end() :]}"


@perturbation("expression")
def expression_sign_of_a_term(gold: Gold, rng: Random) -> str | None:
    terms = _expression_variants(gold.value)
    return latex(sympy.expand(gold.value) - 2 * rng.choice(terms)) if len(terms) > 1 else None


@perturbation("expression")
def expression_term_dropped(gold: Gold, rng: Random) -> str | None:
    terms = _expression_variants(gold.value)
    return latex(sympy.expand(gold.value) - rng.choice(terms)) if len(terms) > 1 else None


@perturbation("expression equation")
def variable_renamed(gold: Gold, rng: Random) -> str | None:
    value = gold.value if gold.kind == "expression" else sympy.Tuple(*gold.value)
    symbols = sorted(map(str, value.free_symbols))
    old = rng.choice(symbols)
    new = rng.choice([name for name in "xyzabmnt" if name not in symbols])
    symbols_map = {sympy.Symbol(old): sympy.Symbol(new)}
    if gold.kind == "expression":
        return latex(value.subs(symbols_map))
    return f"{latex(gold.value[0].subs(symbols_map))} = {latex(gold.value[1].subs(symbols_map))}"


@perturbation("expression")
def expression_variable_as_number(gold: Gold, rng: Random) -> str | None:
    symbol = sorted(gold.value.free_symbols, key=str)[0]
    return latex(gold.value.subs(symbol, 2))


@perturbation("expression")
def expression_brackets_lost(gold: Gold, rng: Random) -> str | None:
    factored = latex(sympy.factor(gold.value))
    text = re.sub(r"\\left\((.*?)\\right\)", r"\1", factored, count=1)
    return text if text != factored else None


@perturbation("expression")
def expression_inverted(gold: Gold, rng: Random) -> str | None:
    return latex(1 / gold.value)


@perturbation("assignment")
def assignment_value_changed(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value[0]} = {latex(gold.value[1] + rng.choice((-1, 1)))}"


@perturbation("assignment")
def assignment_name_changed(gold: Gold, rng: Random) -> str | None:
    return f"{'y' if str(gold.value[0]) == 'x' else 'x'} = {latex(gold.value[1])}"


@perturbation("equation")
def equation_constant_changed(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return f"{latex(left)} = {latex(right + 1)}"


@perturbation("equation")
def equation_sign_changed(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    return f"{latex(left)} = {latex(sympy.expand(-right))}" if right else None


@perturbation("equation")
def equation_coefficient_changed(gold: Gold, rng: Random) -> str | None:
    left, right = gold.value
    symbol = sorted(left.free_symbols | right.free_symbols, key=str)[0]
    return f"{latex(left + symbol)} = {latex(right)}"


@perturbation("equation")
def equation_as_inequality(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace("=", rng.choice(("<", r"\ge ")))


# Tuples and lists

@perturbation("tuple")
def tuple_order(gold: Gold, rng: Random) -> str | None:
    values = [gold.value[1], gold.value[0], *gold.value[2:]]
    return f"({', '.join(map(latex, values))})"


@perturbation("tuple")
def tuple_order_python(gold: Gold, rng: Random) -> str | None:
    values = gold.value[::-1]
    return f"({', '.join(map(ascii_math, values))})"


@perturbation("tuple")
def tuple_element_changed(gold: Gold, rng: Random) -> str | None:
    values = list(gold.value)
    index = rng.randrange(len(values))
    values[index] = values[index] + rng.choice((-1, 1))
    return f"({', '.join(map(latex, values))})"


@perturbation("tuple")
def tuple_sign_changed(gold: Gold, rng: Random) -> str | None:
    values = list(gold.value)
    index = rng.randrange(len(values))
    values[index] = -values[index]
    return f"({', '.join(map(latex, values))})"


@perturbation("tuple")
def tuple_element_dropped(gold: Gold, rng: Random) -> str | None:
    return f"({', '.join(map(latex, gold.value[:-1]))})"


@perturbation("tuple")
def tuple_element_duplicated(gold: Gold, rng: Random) -> str | None:
    return f"({', '.join(map(latex, [*gold.value, gold.value[-1]]))})"


@perturbation("tuple")
def tuple_as_set(gold: Gold, rng: Random) -> str | None:
    return rf"\{{{', '.join(map(latex, gold.value[::-1]))}\}}"


@perturbation("tuple")
def tuple_first_element_only(gold: Gold, rng: Random) -> str | None:
    return latex(gold.value[0])


@perturbation("list")
def list_element_missing(gold: Gold, rng: Random) -> str | None:
    values = list(gold.value)
    values.pop(rng.randrange(len(values)))
    return ", ".join(map(latex, values))


@perturbation("list")
def list_element_added(gold: Gold, rng: Random) -> str | None:
    extra = next(value for value in map(sympy.Integer, range(rng.randint(1, 9), 99)) if value not in gold.value)
    return ", ".join(map(latex, [*gold.value, extra]))


@perturbation("list")
def list_element_changed(gold: Gold, rng: Random) -> str | None:
    values = list(gold.value)
    index = rng.randrange(len(values))
    values[index] = values[index] + rng.choice((-1, 1))
    return ", ".join(map(latex, values)) if len(set(values)) == len(values) else None


@perturbation("list")
def list_sign_changed(gold: Gold, rng: Random) -> str | None:
    values = list(gold.value)
    index = rng.randrange(len(values))
    values[index] = -values[index]
    return ", ".join(map(latex, values)) if set(values) != set(gold.value) else None


@perturbation("list")
def list_set_element_missing(gold: Gold, rng: Random) -> str | None:
    return rf"\{{{', '.join(map(latex, gold.value[1:]))}\}}"


@perturbation("list")
def list_summed(gold: Gold, rng: Random) -> str | None:
    return latex(sum(gold.value))


@perturbation("list")
def list_digits_joined(gold: Gold, rng: Random) -> str | None:
    return "".join(map(str, gold.value)) if all(v.is_Integer and v >= 0 for v in gold.value) else None


@perturbation("plusminus")
def plus_minus_dropped(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace(r"\pm", rng.choice("+-"))


@perturbation("list")
def plus_minus_of_one(gold: Gold, rng: Random) -> str | None:
    return rf"\pm {latex(abs(gold.value[0]))}" if set(gold.value) != {gold.value[0], -gold.value[0]} and gold.value[0].is_real and gold.value[0] else None


# Intervals

def _end(interval: Interval, rng: Random) -> str:
    """Name an end that is finite."""
    ends = [name for name in ("low", "high") if not getattr(interval, name).is_infinite]
    return rng.choice(ends)


def _changed(gold: Gold, rng: Random, field: str) -> str:
    parts = _all(gold)
    index = rng.choice([i for i, part in enumerate(parts) if not (part.low.is_infinite and part.high.is_infinite)])
    part = parts[index]
    end = _end(part, rng)
    if field == "closed":
        parts[index] = replace(part, **{f"{end}_closed": not getattr(part, f"{end}_closed")})
    else:
        step = {"low": -1, "high": 1}[end]
        parts[index] = replace(part, **{end: getattr(part, end) + step})
    return r" \cup ".join(map(_written, parts))


@perturbation("interval union")
def interval_end_closed_or_open(gold: Gold, rng: Random) -> str | None:
    return _changed(gold, rng, "closed")


@perturbation("interval union")
def interval_end_moved(gold: Gold, rng: Random) -> str | None:
    return _changed(gold, rng, "moved")


@perturbation("interval")
def interval_both_ends_changed(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if interval.low.is_infinite or interval.high.is_infinite:
        return None
    return _written(replace(interval, low_closed=not interval.low_closed, high_closed=not interval.high_closed))


@perturbation("interval")
def interval_inequality_strictness(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    end = _end(interval, rng)
    return _inequality(replace(interval, **{f"{end}_closed": not getattr(interval, f"{end}_closed")}), ("<", r"\le"))


@perturbation("interval")
def interval_inequality_direction(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if not (interval.low.is_infinite or interval.high.is_infinite):
        return None
    text = _inequality(interval, ("<", r"\le"))
    swap = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
    return " ".join(swap.get(word, word) for word in text.split(" "))


@perturbation("interval")
def interval_half_line_direction(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if interval.low.is_infinite:
        return _written(Interval(interval.high, sympy.oo, interval.high_closed, False))
    if interval.high.is_infinite:
        return _written(Interval(-sympy.oo, interval.low, False, interval.low_closed))
    return None


@perturbation("interval")
def interval_as_set_of_ends(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if interval.low.is_infinite or interval.high.is_infinite:
        return None
    return rf"\{{{latex(interval.low)}, {latex(interval.high)}\}}"


@perturbation("interval")
def interval_as_its_end(gold: Gold, rng: Random) -> str | None:
    return latex(getattr(gold.value, _end(gold.value, rng)))


@perturbation("interval")
def interval_unbounded(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if interval.low.is_infinite or interval.high.is_infinite:
        return None
    return _written(replace(interval, high=sympy.oo, high_closed=False))


@perturbation("union")
def union_part_dropped(gold: Gold, rng: Random) -> str | None:
    parts = list(gold.value)
    parts.pop(rng.randrange(len(parts)))
    return r" \cup ".join(map(_written, parts))


@perturbation("union")
def union_as_intersection(gold: Gold, rng: Random) -> str | None:
    return r" \cap ".join(map(_written, gold.value))


@perturbation("union")
def union_complement(gold: Gold, rng: Random) -> str | None:
    parts = gold.value
    if len(parts) != 2 or not (parts[0].low.is_infinite and parts[1].high.is_infinite) or parts[0].high == parts[1].low:
        return None
    return _written(Interval(parts[0].high, parts[1].low, not parts[0].high_closed, not parts[1].low_closed))


# Matrices

def _pmatrix(rows: list[list[sympy.Expr]], name: str = "pmatrix") -> str:
    body = r" \\ ".join(" & ".join(map(latex, row)) for row in rows)
    return rf"\begin{{{name}}} {body} \end{{{name}}}"


@perturbation("matrix")
def matrix_entry_changed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in gold.value]
    row = rng.choice(rows)
    index = rng.randrange(len(row))
    row[index] = row[index] + rng.choice((-1, 1))
    return _pmatrix(rows)


@perturbation("matrix")
def matrix_sign_changed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in gold.value]
    row = rng.choice(rows)
    index = rng.randrange(len(row))
    row[index] = -row[index]
    return _pmatrix(rows) if rows != gold.value else None


@perturbation("matrix")
def matrix_entries_permuted(gold: Gold, rng: Random) -> str | None:
    cells = [cell for row in gold.value for cell in row]
    rng.shuffle(cells)
    width = len(gold.value[0])
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    return _pmatrix(rows) if rows != gold.value else None


@perturbation("matrix")
def matrix_rows_swapped(gold: Gold, rng: Random) -> str | None:
    rows = gold.value[::-1]
    return _pmatrix(rows) if rows != gold.value else None


@perturbation("matrix")
def matrix_transposed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in zip(*gold.value, strict=True)]
    return _pmatrix(rows) if len(rows) > 1 and rows != gold.value else None


@perturbation("matrix")
def matrix_nested_lists_changed(gold: Gold, rng: Random) -> str | None:
    rows = [list(row) for row in gold.value]
    rows[0][0] = rows[0][0] + 1
    return "[" + ", ".join(f"[{', '.join(map(ascii_math, row))}]" for row in rows) + "]"


@perturbation("matrix")
def matrix_as_determinant(gold: Gold, rng: Random) -> str | None:
    return _pmatrix(gold.value, "vmatrix") if len(gold.value) == len(gold.value[0]) else None


@perturbation("matrix")
def matrix_row_dropped(gold: Gold, rng: Random) -> str | None:
    return _pmatrix(gold.value[:-1])


# Letters and words

@perturbation("letter")
def letter_changed(gold: Gold, rng: Random) -> str | None:
    letters = [letter for letter in "ABCDE" if letter != gold.value]
    return rng.choice((r"\text{{({})}}", "{}", "({})", r"\textbf{{({})}}")).format(rng.choice(letters))


@perturbation("letter")
def letter_added(gold: Gold, rng: Random) -> str | None:
    return rf"\text{{{gold.value},{'A' if gold.value != 'A' else 'B'}}}"


@perturbation("word")
def word_letter_changed(gold: Gold, rng: Random) -> str | None:
    word = gold.value
    index = rng.randrange(1, len(word))
    if not word[0].isupper() or word.endswith("day") or word.isupper() or not word[index].isalpha():
        return None
    other = "a" if word[index].lower() != "a" else "e"
    return rf"\text{{{word[:index]}{other}{word[index + 1 :]}}}"


@perturbation("word")
def word_of_the_kind(gold: Gold, rng: Random) -> str | None:
    for family in FAMILIES:
        if gold.value.lower() in family:
            others = [word for word in family if word != gold.value.lower()]
            word = rng.choice(others)
            return rf"\text{{{word.capitalize() if gold.value[0].isupper() else word}}}"
    return None


FAMILIES = (
    "monday tuesday wednesday thursday friday saturday sunday".split(),
    "ellipse circle parabola hyperbola line point".split(),
    "odd even neither".split(),
    "north south east west".split(),
    "evelyn evan eva angela angelo briana brian carla karla debra allison alison navin nevin".split(),
    "yes no".split(),
    "red green blue".split(),
    "acute obtuse right".split(),
)


@perturbation("word")
def word_negated(gold: Gold, rng: Random) -> str | None:
    return rf"\text{{not {gold.value}}}"


@perturbation("constant")
def constant_changed(gold: Gold, rng: Random) -> str | None:
    others = {r"\emptyset": r"\{0\}", r"\infty": r"-\infty", r"-\infty": r"\infty", r"\mathbb{R}": r"\mathbb{Z}"}
    return others.get(gold.value)
