"""Pairs of a gold answer and another text of the same, or of another, meaning."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import sympy
from answer_pairs.golds import Gold, Interval, read
from answer_pairs.latex import boxed
from answer_pairs.own_golds import OWN
from answer_pairs.registry import PERTURBATIONS, REWRITINGS, Kind

for _folder in ("rewritings", "perturbations"):
    for _file in sorted(Path(__file__).with_name(_folder).glob("*.py")):
        import_module(f"answer_pairs.{_folder}.{_file.stem}")  # registers its kinds

LOSSY = {
    "as percentage",
    "assignment value only",
    "base: no base",
    "degrees: no sign",
    "equation right side only",
    "money: no sign",
    "percent: no sign",
    "unit: no unit",
}
"""Rewritings that leave out what a perturbation may have changed, or that have a second reading."""

NUMBERS = ("integer", "fraction", "decimal", "surd", "pi", "complex")


@dataclass(frozen=True)
class Pair:
    """Gold answer and answer.

    Attributes:
        kind: Name of the kind of rewriting or of perturbation.
        gold, answer: Texts.
        equal: Whether the answer is right.
        checked: Whether the answer's value was read back and compared.
    """

    kind: str
    gold: str
    answer: str
    equal: bool
    checked: bool


def golds(path: Path | None) -> list[Gold]:
    """Return the readable gold answers of a file like MATH's, and those of this project."""
    texts = list(OWN)
    if path is not None:
        with path.open(encoding="utf-8") as lines:
            found = (boxed(json.loads(line)["solution"]) for line in lines)
            texts += [text for text in found if text is not None]
    return [gold for text in dict.fromkeys(texts) if (gold := read(text)) is not None]


def pairs(golds: Sequence[Gold], number: int, seed: int, only: str = "") -> Iterator[Pair]:
    """Yield up to `number` pairs of each kind whose name contains `only`.

    The pairs of a kind depend on its name, the gold answers and the seed, not on other kinds.

    Raises:
        ValueError: A rewriting changed the value.
    """
    kinds = [(kind, True) for kind in REWRITINGS.values()]
    kinds += [(kind, False) for kind in PERTURBATIONS.values()]
    for name in sorted({gold.kind for gold in golds}):
        applies = frozenset([name])
        kinds.append((Kind(f"rewritten and wrapped: {name}", applies, _wrapped), True))
        kinds.append((Kind(f"perturbed and rewritten: {name}", applies, _rewritten), False))
    for kind, equal in kinds:
        if only in kind.name:
            yield from _of_kind(kind, golds, number, seed, equal)


def _of_kind(
    kind: Kind, golds: Sequence[Gold], number: int, seed: int, equal: bool
) -> Iterator[Pair]:
    rng = Random(f"{seed} {kind.name}")
    fitting = [gold for gold in golds if not kind.golds or gold.kind in kind.golds]
    left, seen = number, set()
    for gold in rng.sample(fitting, len(fitting)):
        if left == 0:
            return
        answer = kind.change(gold, rng)
        if answer is None or answer == gold.text or (gold.text, answer) in seen:
            continue
        same = agree(gold, read(answer))
        if same is not None and same is not equal:
            if equal:
                raise ValueError(f"{kind.name}: {gold.text} is not {answer}")
            continue  # as the digits 11 transposed
        seen.add((gold.text, answer))
        left -= 1
        yield Pair(kind.name, gold.text, answer, equal, same is not None)


def _wrapped(gold: Gold, rng: Random) -> str | None:
    """Rewrite the value, then the text around it."""
    text = _any_change(
        REWRITINGS, gold, rng, lambda kind: bool(kind.golds) and not _is_prefix(kind)
    )
    if text is None:
        return None
    other = Gold(text, gold.kind, gold.value)
    return _any_change(REWRITINGS, other, rng, lambda kind: not kind.golds or _is_prefix(kind))


def _rewritten(gold: Gold, rng: Random) -> str | None:
    """Perturb the value, then rewrite it without loss of what was perturbed."""
    for _ in range(10):
        text = _any_change(PERTURBATIONS, gold, rng, lambda kind: True)
        other = read(text) if text else None
        if other is None or not (agree(gold, other) is False or gold.kind == "word"):
            continue
        if gold.kind == other.kind or {gold.kind, other.kind} <= set(NUMBERS):
            return _any_change(REWRITINGS, other, rng, lambda kind: kind.name not in LOSSY)
    return None


def _is_prefix(kind: Kind) -> bool:
    return kind.name.startswith("prefix: ")


def _any_change(
    kinds: dict[str, Kind], gold: Gold, rng: Random, wanted: Callable[[Kind], bool]
) -> str | None:
    """Return the text of a random kind that applies."""
    fitting = [
        kind
        for kind in kinds.values()
        if wanted(kind) and (not kind.golds or gold.kind in kind.golds)
    ]
    for kind in rng.sample(fitting, len(fitting)):
        text = kind.change(gold, rng)
        if text is not None and text != gold.text:
            return text
    return None


def agree(gold: Gold, other: Gold | None) -> bool | None:
    """Tell whether two answers have the same value, or None if they are not comparable here."""
    if other is None:
        return None
    if gold.kind in NUMBERS and other.kind in NUMBERS:
        return _zero(gold.value - other.value)
    if gold.kind != other.kind:
        return None
    if gold.kind == "expression":
        return _zero(gold.value - other.value)
    if gold.kind == "equation":
        ours, theirs = (left - right for left, right in (gold.value, other.value))
        return bool(sympy.simplify(ours / theirs).is_Rational) if theirs != 0 else None
    if gold.kind in ("tuple", "list"):
        return _sequences(gold.value, other.value, gold.kind == "tuple")
    if gold.kind == "matrix":
        shapes = [(len(rows), len(rows[0])) for rows in (gold.value, other.value)]
        ours, theirs = (
            [cell for row in rows for cell in row] for rows in (gold.value, other.value)
        )
        return shapes[0] == shapes[1] and _sequences(ours, theirs, True)
    if gold.kind in ("interval", "union"):
        return bool(_set(gold.value) == _set(other.value))
    if gold.kind == "measure" and gold.value[1] != other.value[1]:
        return None
    if gold.kind == "word":
        return True if str(gold.value).lower() == str(other.value).lower() else None
    return bool(gold.value == other.value)


def _zero(difference: Any) -> bool:
    return bool(sympy.simplify(difference) == 0)


def _sequences(ours: Sequence[Any], theirs: Sequence[Any], ordered: bool) -> bool:
    if len(ours) != len(theirs):
        return False
    if not ordered:
        ours, theirs = (sorted(values, key=_order) for values in (ours, theirs))
    return all(_zero(one - other) for one, other in zip(ours, theirs, strict=True))


def _order(value: Any) -> tuple[float, float]:
    number = complex(value)
    return (round(number.real, 9), round(number.imag, 9))


def _set(value: Interval | list[Interval]) -> sympy.Set:
    parts = [value] if isinstance(value, Interval) else value
    return sympy.Union(
        *(
            sympy.Interval(part.low, part.high, not part.low_closed, not part.high_closed)
            for part in parts
        )
    )
