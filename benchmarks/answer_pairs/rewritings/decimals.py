"""Rewritings of decimals."""

from random import Random

from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import decimal_text, sign_and_parts


@rewriting("decimal")
def decimal_trailing_zeros(gold: Gold, rng: Random) -> str | None:
    return gold.text.strip() + "0" * rng.randint(1, 3)


@rewriting("decimal")
def decimal_zero_before_point(gold: Gold, rng: Random) -> str | None:
    text = gold.text.strip()
    return f"0{text}" if text.startswith(".") else (text[1:] if text.startswith("0.") else None)


@rewriting("decimal")
def decimal_as_fraction(gold: Gold, rng: Random) -> str | None:
    sign, top, bottom = sign_and_parts(gold)
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
