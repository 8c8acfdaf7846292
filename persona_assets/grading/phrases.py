"""Answers in words: numbers, constants, times, dates."""

import re

from persona_assets.grading.values import Clock, Day, Infinite, Piece, Region, Sequence, Value

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS = dict(zip(_ONES, range(20), strict=True)) | {
    word: 10 * n for n, word in enumerate(_TENS, 2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_CLOCK = re.compile(
    r"([0-9]{1,2}):([0-9]{2})\s*(?:\\text\w*\s*\{)?\s*([ap])?\.?\s*(?:m\.?)?\s*\}?", re.IGNORECASE
)
_DATE = re.compile(
    r"(?:([a-z]{3,9})\.? ?([0-9]{1,2})(?:st|nd|rd|th)?"
    r"|([0-9]{1,2})(?:st|nd|rd|th)? (?:of )?([a-z]{3,9}))"
    r"(?:,? ?([0-9]{4}))?",
    re.IGNORECASE,
)
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mbox|hbox|mathrm|operatorname|emph)(?![a-z])"
)
_PIECES = re.compile(r"\\[A-Za-z]+|[^\W\d_]+|[0-9]+|[^\s{}$\"'`*.,;:?!()~]")
_ARTICLES = frozenset({"a", "an", "the"})
_NOTHING = frozenset(
    (
        "no solution", "no solutions", "none", "no real solutions", "no real solution", "empty set",
        "no real roots", "no roots", "there are no solutions", "there is no solution", "no values",
        "no such values", "null set", "no value", "nosolution", "nosolutions",
    )
)  # fmt: skip
_REALS = frozenset(
    (
        "all real numbers", "all reals", "all real", "real numbers", "set of all real numbers",
        "all real numbers x", "all real values", "set of real numbers", "any real number",
    )
)  # fmt: skip


def words_of(text: str) -> tuple[str, ...]:
    """Return the words and signs of a text without typography, case and articles."""
    pieces = _PIECES.findall(_TEXT.sub(" ", text).lower())
    kept = tuple(piece for piece in pieces if piece not in _ARTICLES)
    return kept or tuple(pieces)


def constant(text: str) -> Value | None:
    """Return the empty set, the real numbers or infinity, if a phrase names one."""
    if len(text) > 80:
        return None
    phrase = " ".join(words_of(text))
    if phrase in _NOTHING:
        return Sequence("set", ())
    if phrase in _REALS or phrase in (r"\reals", r"\r"):
        return Region((Piece(None, None, False, False),))
    if phrase in ("infinity", "inf", "infinite"):
        return Infinite(1)
    if phrase in ("- infinity", "- inf", "negative infinity", "minus infinity"):
        return Infinite(-1)
    return None


def number_word(words: tuple[str, ...]) -> int | None:
    """Return the number that words spell: `twenty-one`, `two hundred`."""
    total, group, found = 0, 0, False
    for word in words:
        lower = word.lower()
        if lower in ("-", "and"):
            continue
        if lower in _NUMBERS:
            group += _NUMBERS[lower]
        elif lower == "hundred":
            group = max(group, 1) * 100
        elif lower in _SCALES:
            total, group = total + max(group, 1) * _SCALES[lower], 0
        else:
            return None
        found = True
    return total + group if found else None


def clock(text: str) -> Clock | None:
    """Return the time of day in a text: `3:30`, `3:30 p.m.`."""
    match = _CLOCK.fullmatch(text)
    if not match or int(match[1]) > 24 or int(match[2]) > 59:
        return None
    hour, minute = int(match[1]), int(match[2])
    half = match[3].lower() if match[3] else ("p" if hour > 12 else None)
    return Clock(hour % 12 * 60 + minute, half)


def date(text: str) -> Day | None:
    """Return the date in a text: `July 4, 1776`, `1776-07-04`."""
    iso = _ISO.fullmatch(text)
    if iso:
        return Day(int(iso[2]), int(iso[3]), int(iso[1]))
    plain = " ".join(_TEXT.sub(" ", text).replace("{", " ").replace("}", " ").split())
    match = _DATE.fullmatch(plain)
    if not match:
        return None
    name, day = (match[1] or match[4]).lower(), int(match[2] or match[3])
    months = [n for n, month in enumerate(_MONTHS, 1) if month.startswith(name)]
    if len(months) != 1 or not 1 <= day <= 31:
        return None
    return Day(months[0], day, int(match[5]) if match[5] else None)
