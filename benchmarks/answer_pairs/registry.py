"""Kinds of rewriting and of perturbation, in the order of their definition."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from answer_pairs.golds import Gold

Change = Callable[[Gold, Random], str | None]
"""Function of a gold answer that returns another text, or None where it does not apply."""


@dataclass(frozen=True)
class Kind:
    """Kind of rewriting or of perturbation.

    Attributes:
        name: Name in the list of kinds.
        golds: Kinds of gold answers that it applies to; empty for all.
        change: Function that writes the answer.
    """

    name: str
    golds: frozenset[str]
    change: Change


REWRITINGS: dict[str, Kind] = {}
PERTURBATIONS: dict[str, Kind] = {}


def rewriting(golds: str, name: str | None = None) -> Callable[[Change], Change]:
    """Register a function that keeps the meaning of gold answers of these kinds."""
    return _registered(REWRITINGS, golds, name)


def perturbation(golds: str, name: str | None = None) -> Callable[[Change], Change]:
    """Register a function that changes the meaning of gold answers of these kinds."""
    return _registered(PERTURBATIONS, golds, name)


def _registered(kinds: dict[str, Kind], golds: str, name: str | None) -> Callable[[Change], Change]:
    def register(change: Change) -> Change:
        label = name or change.__name__.replace("_", " ")
        if label in kinds:
            raise ValueError(f"two kinds are named {label}")
        kinds[label] = Kind(label, frozenset(golds.split()), change)
        return change

    return register
