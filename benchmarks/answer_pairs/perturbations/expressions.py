"""Perturbations of expressions and equations."""

import re
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import perturbation
from answer_pairs.rendering import ascii_math, latex, summands


@perturbation("expression")
def expression_coefficient(gold: Gold, rng: Random) -> str | None:
    term = rng.choice(summands(gold.value))
    return latex(sympy.expand(gold.value) + term.as_coeff_Mul()[1])


@perturbation("expression")
def expression_coefficient_python(gold: Gold, rng: Random) -> str | None:
    term = rng.choice(summands(gold.value))
    return ascii_math(sympy.expand(gold.value) + term.as_coeff_Mul()[1])


@perturbation("expression")
def expression_constant_added(gold: Gold, rng: Random) -> str | None:
    return f"{gold.text.strip()} {rng.choice('+-')} 1"


@perturbation("expression")
def expression_exponent(gold: Gold, rng: Random) -> str | None:
    matches = list(re.finditer(r"\^(?:\{([0-9]+)\}|([0-9]))", gold.text))
    if not matches:
        return None
    match = rng.choice(matches)
    power = int(match[1] or match[2]) + 1
    return f"{gold.text[: match.start()]}^{{{power}}}{gold.text[match.end() :]}"


@perturbation("expression")
def expression_sign_of_a_term(gold: Gold, rng: Random) -> str | None:
    terms = summands(gold.value)
    return latex(sympy.expand(gold.value) - 2 * rng.choice(terms)) if len(terms) > 1 else None


@perturbation("expression")
def expression_term_dropped(gold: Gold, rng: Random) -> str | None:
    terms = summands(gold.value)
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


@perturbation("expression")
def expression_exponent_dropped(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"\^(?:\{[0-9]+\}|[0-9])", "", gold.text)
    return text if text != gold.text else None


@perturbation("expression")
def expression_division_of_last_term(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    if bottom == 1 or len(summands(top)) < 2:
        return None
    return f"{ascii_math(sympy.expand(top))}/({ascii_math(bottom)})"


@perturbation("expression")
def expression_scaled(gold: Gold, rng: Random) -> str | None:
    return latex(sympy.expand(2 * gold.value))


@perturbation("expression")
def expression_variable_negated(gold: Gold, rng: Random) -> str | None:
    symbol = sorted(gold.value.free_symbols, key=str)[0]
    changed = gold.value.subs(symbol, -symbol)
    return latex(sympy.expand(changed))


@perturbation("expression")
def expression_as_equation(gold: Gold, rng: Random) -> str | None:
    return f"{gold.text.strip()} = 7"
