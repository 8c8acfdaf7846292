"""Rules about repetition: a text does not loop, as a model that got stuck does."""

import itertools
import re
from collections import Counter

import regex

from persona_assets.rules.base import LazyPatterns, RuleContext
from persona_assets.rules.prose import without_formulas
from persona_assets.rules.units import units_of

_CHARACTER_LOOPS = LazyPatterns(r"([^\s\d])\1{7}")
_TRIPLES = re.compile(r"(.)\1\1")
_LETTER_LOOPS = LazyPatterns(r"(\p{L})\1{11}")

LONGEST_LOOP = 60
"""Words of the longest phrase whose repetition is searched in a text."""

SENTENCE_WORDS = 8
"""Words from which a sentence counts as repeated if it occurs `SENTENCE_TIMES` times."""

SENTENCE_TIMES = 4

_SENTENCES = regex.compile(r"[.!?。！？]+\s*|\n+")


def is_repetitive(context: RuleContext) -> bool:
    """Return True if a character occurs eight times in a row, or a phrase follows itself."""
    return _has_character_loop(context) or _has_phrase_loop(context.units)


def is_looping(context: RuleContext) -> bool:
    """Return True if a letter, a phrase of words or a sentence occurs over and over in a text.

    A formula counts as a word, and phrases of numbers and short words do not count: problems and
    their solutions count, list and transform.
    """
    if _LETTER_LOOPS.occur_in(context.text):
        return True
    prose = without_formulas(context.text, numbered=True)
    sentences = Counter(tuple(units_of(sentence)) for sentence in _SENTENCES.split(prose))
    if any(
        times >= SENTENCE_TIMES and len(words) >= SENTENCE_WORDS
        for words, times in sentences.items()
    ):
        return True
    units = units_of(prose)
    for length in range(1, min(len(units) // 2, LONGEST_LOOP) + 1):
        times = 6 if length < 2 else 5 if length < 4 else 4 if length < 6 else 3
        run = 0
        for place, (unit, later) in enumerate(zip(units, units[length:], strict=False)):
            run = run + 1 if unit == later else 0
            if run == length * (times - 1) and any(
                (len(word) > 2 and word.isalpha()) or not word.isascii()
                for word in units[place : place + length]
            ):
                return True
    return False


def _has_character_loop(context: RuleContext) -> bool:
    if _TRIPLES.search(context.folded) is None and (
        context.is_ascii or _TRIPLES.search(context.text.lower()) is None
    ):
        return False
    return _CHARACTER_LOOPS.occur_in(context.text)


def _has_phrase_loop(units: list[str]) -> bool:
    """Return True if a phrase occurs in a row: four times, longer phrases three or two times."""
    # Each such loop repeats two pairs of neighbours or more.
    pairs = len(units) - 1
    if pairs - len(set(itertools.pairwise(units))) < 2:
        return False
    for length in range(1, len(units) // 2 + 1):
        times = 4 if length < 4 else 3 if length < 8 else 2
        run = 0
        for unit, later in zip(units, units[length:], strict=False):
            run = run + 1 if unit == later else 0
            if run == length * (times - 1):
                return True
    return False
