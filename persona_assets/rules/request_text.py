"""Wording of a request, with which rules compare its answer."""

from collections.abc import Iterable
from dataclasses import dataclass

import regex

from persona_assets.rules.units import UNSPACED_PER_WORD, is_unspaced, units_of

RUN = 10
"""Words in a row that an answer and a prompt have in common only if the answer repeats it."""

DEMONSTRATION_RUN = 16
"""The same for a demonstration, whose form an answer may take over."""

_LANGUAGES = regex.compile(
    r"\b(?:arabic|bengali|bulgarian|cantonese|chinese|greek|hebrew|hindi|japanese|korean"
    r"|mandarin|persian|russian|sanskrit|serbian|tamil|thai|ukrainian|urdu|translat\w+)\b",
    regex.IGNORECASE,
)


@dataclass(frozen=True)
class RequestText:
    """Wording of a request.

    Attributes:
        runs: Runs of `RUN` words of the prompt's own text, without its inputs.
        demonstration_runs: Runs of `DEMONSTRATION_RUN` words of the demonstrations.
        material: Runs of three words of the prompt with the texts that it includes, such as the
            announcement that personas react to.
        sources: Texts that the request is about: the persona, the sample, earlier messages.
        scripts: Scripts of the request; empty if unknown.
        names_language: True if the request speaks of a language, so that its own script does not
            tell the script of the answer.
    """

    runs: frozenset[tuple[str, ...]] = frozenset()
    demonstration_runs: frozenset[tuple[str, ...]] = frozenset()
    material: frozenset[tuple[str, ...]] = frozenset()
    sources: tuple[str, ...] = ()
    scripts: frozenset[str] = frozenset()
    names_language: bool = False


NO_REQUEST = RequestText()
"""Request of unknown wording."""


def runs_of(texts: Iterable[str], size: int) -> frozenset[tuple[str, ...]]:
    """Return all runs of `size` words of some texts; `UNSPACED_PER_WORD` characters of a script
    without spaces count as a word.

    Example:
        >>> sorted(runs_of(["One, two three"], 2))
        [('one', 'two'), ('two', 'three')]
    """
    found: set[tuple[str, ...]] = set()
    for text in texts:
        units = units_of(text)
        weights = [1 / UNSPACED_PER_WORD if is_unspaced(unit) else 1.0 for unit in units]
        end, weight = 0, 0.0
        for start in range(len(units)):
            while end < len(units) and weight < size:
                weight += weights[end]
                end += 1
            if weight < size:
                break
            found.add(tuple(units[start:end]))
            weight -= weights[start]
    return frozenset(found)


def names_language(text: str) -> bool:
    """Return True if a text speaks of a language that has a script of its own."""
    return _LANGUAGES.search(text) is not None
