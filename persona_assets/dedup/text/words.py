"""The words of a text: what two personas must share to be near-duplicates.

Folding: default-ignorable characters (soft hyphen, joiners, variation selectors; not the zero-width
space, which separates) are removed, and so are combining marks beyond 30 in a row (the bound of
Unicode's stream-safe format); then NFKC, full case folding and NFKC again, which is compatibility
caseless matching. Diacritics stay: they tell words apart.

A word is a run that starts with a letter or number and goes on with letters, numbers and combining
marks, plus any "+" or "#" that close it ("C", "C++" and "C#" are three trades). All else separates,
so "don't" is "don" and "t". Scripts written without spaces have no such runs of word length; there
the words are the bigrams of characters of each run, and a run of one character is its own word.
"""

import unicodedata

import regex

VERSION = "1"
"""Changes with the definition above: word sets of different versions are not comparable."""

WORD_CHARACTERS = r"[\p{L}\p{N}\p{M}]"
UNSPACED = (
    r"[[\p{Han}\p{Hiragana}\p{Katakana}\u30FC\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    rf"&&{WORD_CHARACTERS}]"
)
"""Character class (for `regex`, version 1) of the scripts that put no space between words."""

_IGNORABLE = regex.compile(r"(?!\u200B)\p{Default_Ignorable_Code_Point}")
# Putting marks in canonical order takes time quadratic in the length of the run.
_TOO_MANY_MARKS = regex.compile(r"(?<=\p{M}{30})\p{M}++")
_SPACED = rf"[{WORD_CHARACTERS}--{UNSPACED}]"
_RUN = regex.compile(
    rf"(?V1)(?P<unspaced>{UNSPACED}++)"
    rf"|(?!\p{{M}}){_SPACED}++(?:[+#]++(?!{_SPACED}))?"
)


def words(text: str) -> frozenset[str]:
    """The set of words of `text`; empty if it holds no letter or number. Never raises."""
    found: set[str] = set()
    for match in _RUN.finditer(fold(text)):
        run = match[0]
        if match["unspaced"] is None or len(run) == 1:
            found.add(run)
        else:
            found.update(run[i : i + 2] for i in range(len(run) - 1))
    return frozenset(found)


def fold(text: str) -> str:
    """`text` with the differences removed that do not make another word; never raises."""
    if text.isascii():
        return text.lower()
    text = _TOO_MANY_MARKS.sub("", _IGNORABLE.sub("", text))
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
