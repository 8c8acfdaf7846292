"""Perturbations of tuples and lists."""

from itertools import pairwise
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import ascii_math, latex


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
    extra = next(
        value
        for value in map(sympy.Integer, range(rng.randint(1, 9), 99))
        if value not in gold.value
    )
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
    return (
        "".join(map(str, gold.value)) if all(v.is_Integer and v >= 0 for v in gold.value) else None
    )


@perturbation("plusminus")
def plus_minus_dropped(gold: Gold, rng: Random) -> str | None:
    return gold.text.replace(r"\pm", rng.choice("+-"))


@perturbation("list")
def plus_minus_of_one(gold: Gold, rng: Random) -> str | None:
    return (
        rf"\pm {latex(abs(gold.value[0]))}"
        if set(gold.value) != {gold.value[0], -gold.value[0]}
        and gold.value[0].is_real
        and gold.value[0]
        else None
    )


@perturbation("tuple")
def coordinates_named_in_another_order(gold: Gold, rng: Random) -> str | None:
    names = "xyz" if len(gold.value) < 4 else "abcdefgh"
    values = gold.value[::-1]
    if values == gold.value:
        return None
    return ", ".join(f"{name} = {latex(value)}" for name, value in zip(names, values, strict=False))


@perturbation("list")
def list_in_words_with_an_element_changed(gold: Gold, rng: Random) -> str | None:
    return (
        rf"{latex(gold.value[0])} \text{{ and }} {latex(gold.value[-1] + 1)}"
        if len(gold.value) == 2
        else None
    )


@perturbation("list")
def list_ellipsis(gold: Gold, rng: Random) -> str | None:
    steps = {other - one for one, other in pairwise(gold.value)}
    if len(steps) < 2:
        return None  # an arithmetic sequence, which an ellipsis may mean
    return rf"{latex(gold.value[0])}, \ldots, {latex(gold.value[-1])}"
