"""Rewritings of expressions with symbols."""

import re
from collections.abc import Iterable
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import ascii_math, decimal_text, glyphs, latex, summands


@rewriting("expression")
def expression_python(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value)


@rewriting("expression")
def expression_caret_and_star(gold: Gold, rng: Random) -> str | None:
    return ascii_math(gold.value).replace("**", "^")


@rewriting("expression")
def expression_caret(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"(?<=[0-9a-z])\*(?=[a-z(])(?!\*)", "", ascii_math(gold.value).replace("**", "^"))
    return None if "sqrt" in text else text


@rewriting("expression")
def expression_caret_without_spaces(gold: Gold, rng: Random) -> str | None:
    text = expression_caret(gold, rng)
    return text and text.replace(" ", "")


@rewriting("expression")
def expression_glyphs(gold: Gold, rng: Random) -> str | None:
    text = glyphs(gold.value)
    return None if text is None or ("*" in text and "/" in text) else text


@rewriting("expression")
def expression_expanded(gold: Gold, rng: Random) -> str | None:
    return latex(sympy.expand(gold.value))


@rewriting("expression")
def expression_factored(gold: Gold, rng: Random) -> str | None:
    factored = sympy.factor(gold.value)
    return latex(factored) if factored.is_Mul else None


@rewriting("expression")
def expression_factored_python(gold: Gold, rng: Random) -> str | None:
    factored = sympy.factor(gold.value)
    return ascii_math(factored) if factored.is_Mul else None


def _signed_sum(terms: Iterable[sympy.Expr]) -> str:
    text = ""
    for term in terms:
        part = latex(term)
        text += (
            part
            if not text
            else (f" - {part[1:].strip()}" if part.startswith("-") else f" + {part}")
        )
    return text


@rewriting("expression")
def expression_terms_shuffled(gold: Gold, rng: Random) -> str | None:
    terms = list(sympy.Add.make_args(sympy.expand(gold.value)))
    if len(terms) < 2 or any(
        term.is_Pow or not term.is_polynomial() for term in terms if term.is_Add
    ):
        return None
    rng.shuffle(terms)
    return _signed_sum(terms)


@rewriting("expression")
def expression_terms_ascending(gold: Gold, rng: Random) -> str | None:
    value = gold.value
    if len(value.free_symbols) != 1 or not value.is_polynomial():
        return None
    terms = sympy.Poly(value).terms()[::-1]
    symbol = next(iter(value.free_symbols))
    return _signed_sum(factor * symbol ** power[0] for power, factor in terms)


@rewriting("expression")
def expression_horner(gold: Gold, rng: Random) -> str | None:
    if (
        len(gold.value.free_symbols) != 1
        or not gold.value.is_polynomial()
        or sympy.degree(gold.value) < 2
    ):
        return None
    return latex(sympy.horner(sympy.expand(gold.value)))


@rewriting("expression")
def expression_negated_twice(gold: Gold, rng: Random) -> str | None:
    return f"-({latex(sympy.expand(-gold.value))})"


@rewriting("expression")
def expression_cdot(gold: Gold, rng: Random) -> str | None:
    text = ascii_math(gold.value)
    if "/" in text or "sqrt" in text:
        return None
    return re.sub(r"\*\*([0-9]+)", r"^{\1}", text).replace("*", r" \cdot ")


@rewriting("expression")
def expression_times(gold: Gold, rng: Random) -> str | None:
    text = expression_cdot(gold, rng)
    return text and text.replace(r"\cdot", r"\times")


@rewriting("expression")
def expression_braced_powers(gold: Gold, rng: Random) -> str | None:
    return re.sub(r"\^([0-9])", r"^{\1}", gold.text) if "^" in gold.text else None


@rewriting("expression")
def expression_powers_as_products(gold: Gold, rng: Random) -> str | None:
    def product(match: re.Match[str]) -> str:
        return r" \cdot ".join([match[1]] * int(match[2] or match[3]))

    text = re.sub(r"([a-z])\^(?:\{([23])\}|([23])(?![0-9]))", product, gold.text)
    return text if "^" not in text and "/" not in text else None


@rewriting("expression")
def expression_in_brackets(gold: Gold, rng: Random) -> str | None:
    return f"({gold.text.strip()})"


@rewriting("expression")
def expression_as_function(gold: Gold, rng: Random) -> str | None:
    symbols = [str(symbol) for symbol in gold.value.free_symbols]
    return (
        f"f({symbols[0]}) = {gold.text.strip()}"
        if len(symbols) == 1 and "f" not in symbols
        else None
    )


@rewriting("expression")
def expression_as_y(gold: Gold, rng: Random) -> str | None:
    return None if sympy.Symbol("y") in gold.value.free_symbols else f"y = {gold.text.strip()}"


@rewriting("expression")
def expression_python_lambda_body(gold: Gold, rng: Random) -> str | None:
    text = ascii_math(gold.value)
    return text.replace("**", " ** ").replace("*", "*") if "**" in text else None


@rewriting("expression")
def expression_split_fraction(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    terms = sympy.Add.make_args(sympy.expand(top))
    if bottom == 1 or len(terms) < 2:
        return None
    parts = [rf"\frac{{{latex(term)}}}{{{latex(bottom)}}}" for term in terms]
    return " + ".join(parts)


@rewriting("expression")
def expression_slash(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    return None if bottom == 1 else f"({latex(top)})/({latex(bottom)})"


@rewriting("expression")
def expression_implicit_factors(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"\*(?!\*)(?<!\*\*)", "", ascii_math(sympy.factor(gold.value)).replace("**", "^"))
    return None if "sqrt" in text or "/" in text else text


@rewriting("expression")
def expression_negative_powers(gold: Gold, rng: Random) -> str | None:
    top, bottom = sympy.fraction(sympy.together(gold.value))
    return None if bottom == 1 else rf"({latex(top)})({latex(bottom)})^{{-1}}"


@rewriting("expression")
def expression_decimal_coefficients(gold: Gold, rng: Random) -> str | None:
    terms = [term.as_coeff_Mul() for term in summands(gold.value)]
    texts = [decimal_text(factor) for factor, _ in terms]
    if None in texts or all(factor.is_Integer for factor, _ in terms):
        return None
    parts = [
        text if rest == 1 else f"{text}{latex(rest)}"
        for text, (_, rest) in zip(texts, terms, strict=True)
    ]
    return "+".join(map(str, parts)).replace("+-", "-")


@rewriting("expression")
def expression_root_as_power(gold: Gold, rng: Random) -> str | None:
    text = re.sub(r"\\sqrt\{([a-z])\}", r"\1^{1/2}", gold.text)
    return text if text != gold.text else None


@rewriting("expression", name="expression: fullwidth brackets and signs")
def expression_fullwidth(gold: Gold, rng: Random) -> str | None:
    if "\\" in gold.text:
        return None
    return gold.text.translate(str.maketrans("()+=", "（）＋＝"))
