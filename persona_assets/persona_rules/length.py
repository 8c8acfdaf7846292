"""Rules about length: a description has `LEAST_WORDS` to `MOST_WORDS` words."""

import regex

from persona_assets.dedup.text.words import UNSPACED, WORD_CHARACTERS
from persona_assets.persona_rules.base import PersonaContext

LEAST_WORDS = 3
"""Least number of words of a description."""

MOST_WORDS = 200
"""Largest number of words of a description."""

MOST_CHARACTERS = 2000
"""Largest number of characters of a description."""

UNSPACED_PER_WORD = 2
"""Characters of a script without spaces (Chinese, Thai ...) that count as one word."""

WORD_UNIT = regex.compile(rf"(?V1){UNSPACED}|(?!\p{{M}})[{WORD_CHARACTERS}--{UNSPACED}]++")
"""Pattern of a word, or of a character of a script without spaces."""

_UNSPACED = regex.compile(rf"(?V1){UNSPACED}")


def is_too_long(context: PersonaContext) -> bool:
    """Return True if the description exceeds `MOST_CHARACTERS` or `MOST_WORDS`."""
    persona = context.persona
    return len(persona) > MOST_CHARACTERS or _word_count(persona) > MOST_WORDS


def is_too_short(context: PersonaContext) -> bool:
    """Return True if the description has fewer than `LEAST_WORDS` words."""
    return _word_count(context.persona) < LEAST_WORDS


def _word_count(text: str) -> float:
    unspaced = len(_UNSPACED.findall(text))
    return len(WORD_UNIT.findall(text)) - unspaced + unspaced / UNSPACED_PER_WORD
