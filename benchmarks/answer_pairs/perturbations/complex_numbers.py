"""Perturbations of complex numbers, powers and factorials."""

from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import latex


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
    return (
        f"{latex(real)} {'-' if imaginary < 0 else '+'} {latex(abs(imaginary))}"
        if real
        else latex(imaginary)
    )


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


@perturbation("complex")
def complex_modulus(gold: Gold, rng: Random) -> str | None:
    return latex(sympy.Abs(gold.value))


@perturbation("complex")
def complex_as_point(gold: Gold, rng: Random) -> str | None:
    real, imaginary = gold.value.as_real_imag()
    return f"({latex(imaginary)}, {latex(real)})" if real != imaginary else None
