"""Perturbations of integers and decimals, and tiny changes of any number."""

import re
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import decimal_text, latex, scientific
from answer_pairs.rewritings.integers import WORDS


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
    return (
        text[:position] + _other_digit(text[position], rng) + text[position + 1 :]
        if len(text) > 1
        else None
    )


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
        index
        for index in range(len(text) - 1)
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
    return (
        text[: position + 1] + text[position:] if text[position].isdigit() and gold.value else None
    )


@perturbation("integer decimal")
def ten_times(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value * 10)


@perturbation("integer decimal")
def scientific_exponent_off_by_one(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and rf"{parts[0]} \times 10^{{{parts[1] + rng.choice((-1, 1))}}}"


@perturbation("integer decimal")
def e_notation_exponent_off_by_one(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and f"{parts[0]}e{parts[1] + rng.choice((-1, 1))}"


@perturbation("integer decimal")
def scientific_exponent_sign(gold: Gold, rng: Random) -> str | None:
    parts = scientific(gold.value)
    return parts and rf"{parts[0]} \times 10^{{{-parts[1]}}}"


@perturbation("integer")
def number_word_of_another(gold: Gold, rng: Random) -> str | None:
    if not 0 <= gold.value <= 20:
        return None
    return WORDS[(int(gold.value) + rng.choice((1, 10, 20))) % len(WORDS)]


@perturbation("integer")
def chain_that_goes_on(gold: Gold, rng: Random) -> str | None:
    more = rng.randint(1, 30)
    return f"{gold.value} + {more} = {gold.value + more}"


@perturbation("integer")
def gold_as_subscript(gold: Gold, rng: Random) -> str | None:
    return f"x_{{{gold.value}}} = {gold.value + rng.randint(1, 9)}" if gold.value > 0 else None


for _name, _form in {
    "or": "{t} or {o}",
    "comma": "{t}, {o}",
    "text or": "{t} \\text{{ or }} {o}",
    "and": "{o} and {t}",
    "set": "\\{{{t}, {o}\\}}",
    "plus minus": "\\pm {t}",
    "not equal": "x \\ne {t}",
    "greater": "x > {t}",
    "at least": "x \\geq {t}",
    "at most": "\\le {t}",
    "less": "< {t}",
    "interval": "[{t}, {o})",
    "factorial": "{t}!",
    "root": "\\sqrt{{{t}}}",
    "square": "{t}^2",
    "imaginary": "{t}i",
    "symbol": "{t}x",
    "logarithm": "\\log {t}",
    "sum": "{t} + {o}",
    "product": "{t} \\cdot {o}",
    "minus": "{t} - {o}",
    "sine": "\\sin {t}",
    "absolute value of a sum": "|{t} + {o}|",
    "times ten": "{t} \\times 10",
    "half": "\\frac{{{t}}}{{2}}",
    "remainder": "{t} R {o}",
    "power of ten": "{t}e{o}",
    "ellipsis and more": "{t}, \\ldots, {u}",
}.items():

    @perturbation("integer", name=f"more than the answer: {_name}")
    def _more(gold: Gold, rng: Random, form: str = _form) -> str | None:
        if gold.value < 3:
            return None
        other = int(gold.value) + rng.randint(1, 9)
        return form.format(t=gold.value, o=other, u=other + 20)


for _name in (
    "None",
    "nan",
    "undefined",
    "inf",
    "Error",
    r"\text{no solution}",
    "...",
    "-",
    "?",
    r"\infty",
    "x",
    "True",
    "[]",
):

    @perturbation(
        "integer fraction surd tuple list interval expression matrix", name=f"no answer: {_name}"
    )
    def _none(gold: Gold, rng: Random, text: str = _name) -> str | None:
        return None if gold.text.strip() == text else text


@perturbation("decimal")
def point_moved(gold: Gold, rng: Random) -> str | None:
    return decimal_text(gold.value * sympy.Rational(10) ** rng.choice((-2, -1, 1, 2)))


@perturbation("decimal")
def point_dropped(gold: Gold, rng: Random) -> str | None:
    return gold.text.strip().replace(".", "") if not re.match(r"-?0*\.0*$", gold.text) else None


@perturbation("integer")
def thousands_comma_as_point(gold: Gold, rng: Random) -> str | None:
    return (
        f"{int(gold.value):,}".replace(",", ".")
        if gold.value % 1000 and 1000 <= abs(gold.value) < 1000000
        else None
    )


@perturbation("integer")
def digit_group_lost(gold: Gold, rng: Random) -> str | None:
    return f"{int(gold.value):,}"[:-4] if abs(gold.value) >= 1000 else None


@perturbation("integer")
def digit_group_of_zeros_added(gold: Gold, rng: Random) -> str | None:
    return f"{int(gold.value) * 1000:,}" if gold.value else None


@perturbation("integer fraction decimal surd pi complex expression")
def sign_flipped(gold: Gold, rng: Random) -> str | None:
    if gold.value == 0:
        return None
    text = gold.text.strip()
    simple = gold.kind in "integer fraction decimal" or not (gold.value.is_Add)
    if simple and text.startswith("-"):
        return text[1:].strip()
    return f"-{text}" if simple else latex(-gold.value)


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


@perturbation("integer fraction")
def pi_added(gold: Gold, rng: Random) -> str | None:
    return rf"{latex(gold.value)}\pi" if gold.value else None
