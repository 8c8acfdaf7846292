"""Perturbations of fractions and mixed numbers."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import decimal_text, latex, repeating


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
    return (
        latex(1 - gold.value) if 0 < gold.value < 1 and gold.value != sympy.Rational(1, 2) else None
    )


@perturbation("fraction", name="period wrong")
def period_wrong(gold: Gold, rng: Random) -> str | None:
    if decimal_text(gold.value) or gold.value < 0:
        return None
    number = sympy.floor(gold.value * 100) + 1
    return rf"{int(number) // 100}.\overline{{{int(number) % 100:02d}}}"


@perturbation("fraction")
def mixed_number_of_a_negative(gold: Gold, rng: Random) -> str | None:
    whole, rest = divmod(int(abs(gold.value).p), int(gold.value.q))
    return (
        rf"-{whole} + \frac{{{rest}}}{{{gold.value.q}}}" if whole > 0 and gold.value < 0 else None
    )


@perturbation("fraction")
def repeating_decimal_cut(gold: Gold, rng: Random) -> str | None:
    parts = repeating(gold.value)
    return parts[0] + parts[1] if parts else None


@perturbation("fraction")
def repeating_decimal_wrong_period(gold: Gold, rng: Random) -> str | None:
    parts = repeating(gold.value)
    if parts is None or len(parts[1]) < 2:
        return None
    return (
        rf"{parts[0]}{parts[1][0]}\overline{{{parts[1][1:]}}}" if len(set(parts[1])) > 1 else None
    )


@perturbation("fraction")
def fraction_of_a_sum(gold: Gold, rng: Random) -> str | None:
    return f"{gold.value.p}/{gold.value.q}+1"
