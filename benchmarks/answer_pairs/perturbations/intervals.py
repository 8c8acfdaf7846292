"""Perturbations of intervals and unions of intervals."""

from dataclasses import replace
from random import Random

import sympy
from answer_pairs.golds import Gold, Interval
from answer_pairs.registry import perturbation
from answer_pairs.rendering import inequality, interval_text, intervals, latex


def _end(interval: Interval, rng: Random) -> str:
    """Name an end that is finite."""
    ends = [name for name in ("low", "high") if not getattr(interval, name).is_infinite]
    return rng.choice(ends)


def _changed(gold: Gold, rng: Random, field: str) -> str:
    parts = intervals(gold)
    index = rng.choice(
        [i for i, part in enumerate(parts) if not (part.low.is_infinite and part.high.is_infinite)]
    )
    part = parts[index]
    end = _end(part, rng)
    if field == "closed":
        parts[index] = replace(part, **{f"{end}_closed": not getattr(part, f"{end}_closed")})
    else:
        step = {"low": -1, "high": 1}[end]
        parts[index] = replace(part, **{end: getattr(part, end) + step})
    return r" \cup ".join(map(interval_text, parts))


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
    return interval_text(
        replace(interval, low_closed=not interval.low_closed, high_closed=not interval.high_closed)
    )


@perturbation("interval")
def interval_inequality_strictness(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    end = _end(interval, rng)
    return inequality(
        replace(interval, **{f"{end}_closed": not getattr(interval, f"{end}_closed")}),
        ("<", r"\le"),
    )


@perturbation("interval")
def interval_inequality_direction(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if not (interval.low.is_infinite or interval.high.is_infinite):
        return None
    text = inequality(interval, ("<", r"\le"))
    swap = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
    return " ".join(swap.get(word, word) for word in text.split(" "))


@perturbation("interval")
def interval_half_line_direction(gold: Gold, rng: Random) -> str | None:
    interval = gold.value
    if interval.low.is_infinite:
        return interval_text(Interval(interval.high, sympy.oo, interval.high_closed, False))
    if interval.high.is_infinite:
        return interval_text(Interval(-sympy.oo, interval.low, False, interval.low_closed))
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
    return interval_text(replace(interval, high=sympy.oo, high_closed=False))


@perturbation("union")
def union_part_dropped(gold: Gold, rng: Random) -> str | None:
    parts = list(gold.value)
    parts.pop(rng.randrange(len(parts)))
    return r" \cup ".join(map(interval_text, parts))


@perturbation("union")
def union_as_intersection(gold: Gold, rng: Random) -> str | None:
    return r" \cap ".join(map(interval_text, gold.value))


@perturbation("union")
def union_complement(gold: Gold, rng: Random) -> str | None:
    parts = gold.value
    if (
        len(parts) != 2
        or not (parts[0].low.is_infinite and parts[1].high.is_infinite)
        or parts[0].high == parts[1].low
    ):
        return None
    return interval_text(
        Interval(parts[0].high, parts[1].low, not parts[0].high_closed, not parts[1].low_closed)
    )


@perturbation("union")
def union_as_conjunction(gold: Gold, rng: Random) -> str | None:
    if not all(part.low.is_infinite or part.high.is_infinite for part in gold.value):
        return None
    return " and ".join(inequality(part, ("<", r"\le")) for part in gold.value)


@perturbation("interval union")
def interval_complement_sign(gold: Gold, rng: Random) -> str | None:
    return r"x \notin " + gold.text.strip()


@perturbation("interval")
def interval_ends_only_whole_numbers(gold: Gold, rng: Random) -> str | None:
    low, high = gold.value.low, gold.value.high
    if not (low.is_Integer and high.is_Integer) or high - low > 9 or high - low < 2:
        return None
    return rf"\{{{', '.join(map(str, range(int(low), int(high) + 1)))}\}}"
