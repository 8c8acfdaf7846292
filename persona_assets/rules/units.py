"""Words of a text, as rules count them."""

import regex

from persona_assets.dedup.text.words import UNSPACED, WORD_CHARACTERS

UNSPACED_PER_WORD = 2
"""Characters of a script without spaces (Chinese, Thai ...) that count as one word."""

_UNSPACED = regex.compile(rf"(?V1){UNSPACED}")
_UNIT = regex.compile(rf"(?V1){UNSPACED}|(?!\p{{M}})[{WORD_CHARACTERS}--{UNSPACED}]++")
_SPACED_OUT = {code: " " for code in range(128) if not chr(code).isalnum()}


def listed(text: str) -> list[str]:
    """Return the entries of a list that is written as a text, for tables of words.

    Example:
        >>> listed("a b")
        ['a', 'b']
    """
    return text.split()


def units_of(text: str) -> list[str]:
    """Return the words of a text, and its characters of scripts without spaces, in lower case.

    Example:
        >>> units_of("A Chef, 厨师")
        ['a', 'chef', '厨', '师']
    """
    if text.isascii():
        return text.lower().translate(_SPACED_OUT).split()
    return [unit.casefold() for unit in _UNIT.findall(text)]


def is_unspaced(unit: str) -> bool:
    """Return True if a unit is a character of a script without spaces."""
    return not unit.isascii() and _UNSPACED.match(unit) is not None


def word_count(units: list[str], text: str) -> float:
    """Return the number of words of a text with these units."""
    if text.isascii():
        return len(units)
    unspaced = len(_UNSPACED.findall(text))
    return len(units) - unspaced + unspaced / UNSPACED_PER_WORD
