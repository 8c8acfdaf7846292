"""Rewritings of intervals and unions of intervals."""

from itertools import pairwise
from random import Random

import sympy
from answer_pairs.golds import Gold
from answer_pairs.registry import rewriting
from answer_pairs.rendering import inequality, interval_text, intervals, latex

for _name, _signs in {
    "le": ("<", r"\le"),
    "leq": ("<", r"\leq"),
    "glyphs": ("<", "≤"),
    "ascii": ("<", "<="),
    "leqslant": ("<", r"\leqslant"),
    "lt": (r"\lt", r"\leq"),
}.items():

    @rewriting("interval", name=f"interval as inequality: {_name}")
    def _as_inequality(gold: Gold, rng: Random, signs: tuple[str, str] = _signs) -> str | None:
        return inequality(gold.value, signs)

    @rewriting("union", name=f"union as inequalities: {_name}")
    def _as_inequalities(gold: Gold, rng: Random, signs: tuple[str, str] = _signs) -> str | None:
        word = rng.choice((" or ", r" \text{ or } ", r" \lor "))
        return word.join(inequality(interval, signs) for interval in gold.value)


@rewriting("interval union")
def interval_membership(gold: Gold, rng: Random) -> str | None:
    return r"x \in " + gold.text.strip()


@rewriting("interval")
def interval_reversed_inequality(gold: Gold, rng: Random) -> str | None:
    low, high = gold.value.low, gold.value.high
    if low.is_infinite or high.is_infinite:
        return None
    upper, lower = (
        r"\ge" if closed else ">" for closed in (gold.value.high_closed, gold.value.low_closed)
    )
    return f"{latex(high)} {upper} x {lower} {latex(low)}"


@rewriting("interval")
def interval_set_builder(gold: Gold, rng: Random) -> str | None:
    bar = rng.choice((r"\mid", "|", ":"))
    condition = inequality(gold.value, ("<", r"\le"))
    return rf"\{{x {bar} {condition}\}}"


for _name, _style in {
    "glyphs": "glyph",
    "ascii oo": "oo",
    "ascii inf": "inf",
    "plus infinity": "plus",
}.items():

    @rewriting("interval union", name=f"interval: {_name}")
    def _styled(gold: Gold, rng: Random, style: str = _style) -> str | None:
        union = {"glyph": " ∪ ", "oo": " U ", "inf": " U "}.get(style, r" \cup ")
        if not any(end.is_infinite for part in intervals(gold) for end in (part.low, part.high)):
            return None
        return union.join(interval_text(interval, style) for interval in intervals(gold))


@rewriting("interval union", name="interval: sympy")
def interval_sympy(gold: Gold, rng: Random) -> str | None:
    parts = [
        str(sympy.Interval(part.low, part.high, not part.low_closed, not part.high_closed))
        for part in intervals(gold)
    ]
    return parts[0] if len(parts) == 1 else f"Union({', '.join(parts)})"


@rewriting("interval", name="interval: outward brackets")
def interval_outward(gold: Gold, rng: Random) -> str | None:
    if gold.value.low_closed and gold.value.high_closed:
        return None
    left = "[" if gold.value.low_closed else "]"
    right = "]" if gold.value.high_closed else "["
    return rf"{left}{latex(gold.value.low)}, {latex(gold.value.high)}{right}"


@rewriting("interval")
def interval_semicolon(gold: Gold, rng: Random) -> str | None:
    return interval_text(gold.value).replace(", ", "; ")


@rewriting("interval union")
def interval_lbrack(gold: Gold, rng: Random) -> str | None:
    text = r" \cup ".join(map(interval_text, intervals(gold)))
    return (
        text.replace("[", r"\lbrack ").replace("]", r"\rbrack ")
        if "[" in text or "]" in text
        else None
    )


@rewriting("union")
def union_order(gold: Gold, rng: Random) -> str | None:
    return r" \cup ".join(interval_text(interval) for interval in reversed(gold.value))


@rewriting("union")
def union_glyph(gold: Gold, rng: Random) -> str | None:
    return " ∪ ".join(map(interval_text, gold.value))


@rewriting("union")
def union_letter(gold: Gold, rng: Random) -> str | None:
    return " U ".join(map(interval_text, gold.value))


@rewriting("union")
def union_word(gold: Gold, rng: Random) -> str | None:
    return rng.choice((r" \text{ or } ", " or ", r" \bigcup ")).join(map(interval_text, gold.value))


@rewriting("union")
def reals_without_points(gold: Gold, rng: Random) -> str | None:
    parts = gold.value
    if not (parts[0].low == -sympy.oo and parts[-1].high == sympy.oo):
        return None
    holes = [one.high for one, other in pairwise(parts) if one.high == other.low]
    if len(holes) != len(parts) - 1 or any(part.high_closed or part.low_closed for part in parts):
        return None
    points = ", ".join(map(latex, holes))
    return rng.choice(
        (
            rf"\mathbb{{R}} \setminus \{{{points}\}}",
            rf"x \ne {points}" if len(holes) == 1 else rf"\mathbb{{R}} - \{{{points}\}}",
        )
    )


@rewriting("interval")
def interval_two_inequalities(gold: Gold, rng: Random) -> str | None:
    low, high = gold.value.low, gold.value.high
    if low.is_infinite or high.is_infinite:
        return None
    above = r"\ge" if gold.value.low_closed else ">"
    below = r"\le" if gold.value.high_closed else "<"
    word = rng.choice((r" \text{ and } ", " and ", ", "))
    return f"x {above} {latex(low)}{word}x {below} {latex(high)}"


@rewriting("interval union")
def interval_for_another_letter(gold: Gold, rng: Random) -> str | None:
    return rf"{rng.choice('atky')} \in {gold.text.strip()}"


@rewriting("interval")
def interval_number_first(gold: Gold, rng: Random) -> str | None:
    low, high = gold.value.low, gold.value.high
    if low.is_infinite:
        return f"{latex(high)} {'≥' if gold.value.high_closed else '>'} x"
    return f"{latex(low)} {'≤' if gold.value.low_closed else '<'} x" if high.is_infinite else None


@rewriting("interval")
def interval_set_builder_of_reals(gold: Gold, rng: Random) -> str | None:
    condition = inequality(gold.value, ("<", r"\leq"))
    return rf"\left\{{ x \in \mathbb{{R}} \mid {condition} \right\}}"


@rewriting("interval union")
def interval_fullwidth(gold: Gold, rng: Random) -> str | None:
    text = r" \cup ".join(map(interval_text, intervals(gold)))
    return text.translate(str.maketrans({"(": "（", ")": "）", "[": "［", "]": "］", ",": "，"}))
