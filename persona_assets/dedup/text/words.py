"""Definition of the words of a text, which decide whether two personas are near-duplicates.

Folding removes default-ignorable characters (soft hyphen, joiners, variation selectors; not the
zero-width space, which separates) and combining marks beyond 30 in a row (the bound of Unicode's
stream-safe format). It then applies NFKC, full case folding and NFKC again, which is compatibility
caseless matching. Diacritics stay: they distinguish words.

A word is a run that starts with a letter or number and continues with letters, numbers and
combining marks, followed by any "+" or "#" ("C", "C++" and "C#" are three trades). Every other
character separates words, so "don't" is "don" and "t". Scripts written without spaces have no such
runs of word length: there the words are the bigrams of characters of each run, and a run of a
single character is a word.
"""

import unicodedata

import regex

VERSION = "1"
"""Version of the definition above: word sets of different versions are not comparable."""

WORD_CHARACTERS = r"[\p{L}\p{N}\p{M}]"
"""Character class (for `regex`) of letters, numbers and combining marks."""
UNSPACED = (
    r"[[\p{Han}\p{Hiragana}\p{Katakana}\u30FC\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    rf"&&{WORD_CHARACTERS}]"
)
"""Character class (for `regex`, version 1) of scripts that put no space between words."""

_IGNORABLE = regex.compile(r"(?!\u200B)\p{Default_Ignorable_Code_Point}")
# Sorting marks into canonical order takes time quadratic in the length of the run.
_TOO_MANY_MARKS = regex.compile(r"(?<=\p{M}{30})\p{M}++")
_SPACED = rf"[{WORD_CHARACTERS}--{UNSPACED}]"
_RUN = regex.compile(
    rf"(?V1)(?P<unspaced>{UNSPACED}++)"
    rf"|(?!\p{{M}}){_SPACED}++(?:[+#]++(?!{_SPACED}))?"
)


def words(text: str) -> frozenset[str]:
    """Return the set of words of a text; empty if the text has no letter or number. Never raises.

    Example:
        >>> sorted(words("A nurse who isn't a C++ programmer"))
        ['a', 'c++', 'isn', 'nurse', 'programmer', 't', 'who']
        >>> sorted(words("退休教师"))
        ['休教', '教师', '退休']
    """
    found: set[str] = set()
    for match in _RUN.finditer(fold(text)):
        run = match[0]
        if match["unspaced"] is None or len(run) == 1:
            found.add(run)
        else:
            found.update(run[i : i + 2] for i in range(len(run) - 1))
    return frozenset(found)


def fold(text: str) -> str:
    """Remove the differences between texts that do not make another word. Never raises.

    Example:
        >>> fold("STRASSE and Straße")
        'strasse and strasse'
    """
    if text.isascii():
        return text.lower()
    text = _TOO_MANY_MARKS.sub("", _IGNORABLE.sub("", text))
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
