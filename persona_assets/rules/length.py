"""Rules about length: the words of a text are as many as its kind has."""

from persona_assets.rules.base import RuleContext
from persona_assets.rules.units import word_count

LEAST_WORDS = 3
"""Least number of words of a description."""

MOST_WORDS = 200
"""Largest number of words of a description."""

MOST_CHARACTERS = 2000
"""Largest number of characters of a description."""

LENGTHS = {
    "label": (0, 40),
    "text": (1, 10_000),
    "problem": (3, 1_000),
    "solution": (1, 4_000),
    "instruction": (3, 2_000),
    "article": (5, 10_000),
    "character": (3, 1_000),
    "speech": (1, 400),
    "tool": (1, 200),
}
"""Least and largest number of words by kind of text."""


def is_too_long(context: RuleContext) -> bool:
    """Return True if a description exceeds `MOST_CHARACTERS` or `MOST_WORDS`."""
    text = context.text
    # A word has a character at least.
    if len(text) <= MOST_WORDS:
        return False
    return len(text) > MOST_CHARACTERS or _words(context) > MOST_WORDS


def is_too_short(context: RuleContext) -> bool:
    """Return True if a description has fewer than `LEAST_WORDS` words."""
    return _words(context) < LEAST_WORDS


def is_longer_than_its_kind(context: RuleContext) -> bool:
    """Return True if a text has more words than `LENGTHS` states for its kind."""
    most = LENGTHS.get(context.kind, LENGTHS["text"])[1]
    return len(context.text) > most and _words(context) > most


def is_shorter_than_its_kind(context: RuleContext) -> bool:
    """Return True if a text has fewer words than `LENGTHS` states for its kind."""
    return _words(context) < LENGTHS.get(context.kind, LENGTHS["text"])[0]


def _words(context: RuleContext) -> float:
    return word_count(context.units, context.text)
