"""Rewritings of integers, of powers of ten and of signs."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import decimal_text, grouped, scientific, superscript

RATIONAL = "integer fraction decimal"


WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]


def _large(gold: Gold) -> int | None:
    return int(gold.value) if abs(gold.value) >= 1000 else None


for _name, _separator in {
    "comma": ",",
    "braced comma": "{,}",
    "comma with negative space": r",\!",
    "thin space": r"\,",
    "space": " ",
    "backslash space": r"\ ",
    "unicode thin space": "\u2009",
    "no-break space": "\u00a0",
    "narrow no-break space": "\u202f",
    "comma and space": r",\,",
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


@rewriting("integer fraction decimal surd pi")
def plus_sign(gold: Gold, rng: Random) -> str | None:
    return f"+{gold.text.strip()}" if gold.value > 0 else None


def _negative(gold: Gold) -> str | None:
    text = gold.text.strip()
    return (
        text[1:].strip()
        if text.startswith("-") and gold.value < 0 and gold.kind in RATIONAL
        else None
    )


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


def _spoken(number: int) -> str:
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    if number >= 100:
        rest = number % 100
        return WORDS[number // 100] + " hundred" + (f" {_spoken(rest)}" if rest else "")
    if number <= 20:
        return WORDS[number]
    return tens[number // 10 - 2] + (f"-{WORDS[number % 10]}" if number % 10 else "")


@rewriting("integer")
def number_words(gold: Gold, rng: Random) -> str | None:
    return _spoken(int(gold.value)) if 20 < gold.value < 1000 else None


@rewriting("integer fraction decimal", name="doubled brackets")
def doubled_brackets(gold: Gold, rng: Random) -> str | None:
    return f"(({gold.text.strip()}))"


@rewriting("integer")
def minus_minus(gold: Gold, rng: Random) -> str | None:
    return f"-(-{gold.value})" if gold.value > 0 else None


@rewriting("integer", name="power of ten factor")
def power_of_ten_factor(gold: Gold, rng: Random) -> str | None:
    if not gold.value or gold.value % 100:
        return None
    digits = str(gold.value).rstrip("0")
    return rf"{digits} \cdot 10^{{{len(str(gold.value)) - len(digits)}}}"


@rewriting("integer")
def millions(gold: Gold, rng: Random) -> str | None:
    if gold.value < 10**6 or gold.value % 10**5:
        return None
    return f"{decimal_text(gold.value / sympy.Integer(10) ** 6)} million"
