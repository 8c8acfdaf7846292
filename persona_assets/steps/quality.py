"""Which persona descriptions are too poor to enter the hub.

The paper removes low-quality descriptions by "simple heuristics" (section 2.3) and does not say
which; these are ours. They look at form alone, in any language: whether what looks like a
description describes a person is beyond them. First-person descriptions ("I am a retired miner")
pass: some 3 % of the authors' own release are of that kind.
"""

from collections.abc import Callable
from functools import cache

import regex

from persona_assets.dedup.text.words import UNSPACED, WORD_CHARACTERS

VERSION = "1"
"""Changes with any rule below."""

LEAST_WORDS = 3
MOST_WORDS = 200
MOST_CHARACTERS = 2000
UNSPACED_PER_WORD = 2
"""Characters of a script without spaces (Chinese, Thai ...) that count as one word."""


def rejection_reason(persona: str) -> str | None:
    """The name of the first of `RULES` that `persona` fails; None if it passes. Never raises."""
    text = persona.strip().replace("\u2019", "'")
    return next((name for name, fails in RULES if fails(text)), None)


def _found(*patterns: str) -> Callable[[str], bool]:
    """A rule that fails a text in which one of the patterns is found, upper or lower case."""

    # Compiled when first used: Dagster loads this module at every start.
    @cache
    def compiled() -> regex.Pattern[str]:
        return regex.compile("|".join(patterns), regex.IGNORECASE | regex.VERSION1)

    return lambda text: compiled().search(text) is not None


_UNSPACED = regex.compile(rf"(?V1){UNSPACED}")
_UNIT = regex.compile(rf"(?V1){UNSPACED}|(?!\p{{M}})[{WORD_CHARACTERS}--{UNSPACED}]++")
"""A word, or a character of a script without spaces."""


def _length(text: str) -> float:
    """Length in words."""
    unspaced = len(_UNSPACED.findall(text))
    return len(_UNIT.findall(text)) - unspaced + unspaced / UNSPACED_PER_WORD


def _loops(text: str) -> bool:
    """Whether a phrase follows itself: a short one four times, longer ones three or two times."""
    units = [unit.casefold() for unit in _UNIT.findall(text)]
    for length in range(1, len(units) // 2 + 1):
        times = 4 if length < 4 else 3 if length < 8 else 2
        run = 0
        for unit, later in zip(units, units[length:], strict=False):
            run = run + 1 if unit == later else 0
            if run == length * (times - 1):
                return True
    return False


_LETTER = _found(r"\p{L}")
_CHARACTER_LOOP = _found(r"([^\s\d])\1{7}")

_REFUSAL = _found(
    r"^(?:i'm|i am|we're|we are) (?:\w+ )?sorry\b",
    r"^(?:i'm|i am) afraid (?:i|that|there|this)\b",
    r"^(?:i |we |my )?apolog(?:[iy][sz]e|ies)\b",
    r"^(?:[^.!]{0,40}[,.!] (?:but )?)?"
    r"i (?:cannot|can't|could not|couldn't|won't|do not|don't|am (?:not able|unable) to) (?:\w+ )?"
    r"(?:answer|assist with|comply|create|describe|determine|fulfil+|generate"
    r"|have (?:access|enough)|help with|identify|infer)\b",
    r"^as an? (?:ai|artificial intelligence|(?:large )?language model)"
    r"(?: (?:language )?(?:assistant|chatbot|model|system))?, (?:i|my)\b",
    r"^(?:there(?:'s| is| was) )?(?:not enough|insufficient|no) (?:information|context)\b",
    r"^(?:unfortunately|lo siento|désolé|je suis désolée?|es tut mir leid|leider kann ich"
    r"|mi dispiace|desculpe|sinto muito|извините|к сожалению)\b",
    r"^(?:很?抱歉|对不起|對不起|我[无無]法[回确確判提生]|作为一个?(?:人工智能|AI)|申し訳|죄송|عذر|آسف)",
)

_NOT_A_PERSON = _found(
    r"[?？؟]$",
    r"^you(?:'(?:re|ve)| are| have| can| may| might| will)\b",
    r"^(?:sure|certainly|of course|okay|ok|absolutely|great|yes)\s*[,!:]",
    r"^here(?:'s| is| are)\b",
    r"^i(?:'d| would) (?:say|guess|be happy)\b",
    r"^(?:this|the)(?: \w+)? (?:text|passage|article|content|document|excerpt|description)"
    r" (?:is|was|has|does|seems|appears|describes|discusses|suggests|provides|above|below)\b",
    r"^(?:based on|according to|given)(?: \w+){0,3} (?:text|passage|article|content|information"
    r"|document|context|description)\b",
)

_PLACEHOLDER = _found(
    r"\[[^\]]*\p{L}[^\]]*\]",
    r"\{\{|\}\}|\{[\w ]+\}",
    r"<[\w ]*(?:insert|job|name|persona|place|text)[\w ]*>",
    r"\blorem ipsum\b",
    r"_{3}",
    r"\b(?:tbd|todo)[:.]?$",
    r"^\W*(?:the )?(?:answer|description|name|occupation|output|persona(?: description)?"
    r"|profession|relation(?:ship)?|response|人物|角色)\s*#?\d*\W*[:：]",
)

_MARKUP_OR_URL = _found(
    r"https?:",
    r"\bwww\.",
    r"\b[\w.+-]+@[\w-]+\.\w",
    r"</?[a-z][^<>]*>",
    r"&(?:amp|lt|gt|quot|nbsp|#x?[\da-f]+);",
    r"```|\*\*|\]\(|\\n",
    r"^#{1,6} ",
    r'[{\[]\s*"',
)

_UNFINISHED = _found(
    r"(?:[,;:、，；：،؛(\[{（【–—-]|\.\.|…)$",
    # Only words that end no sentence in another language either, as "an" does in German.
    r"\b(?:and|because|including|of|such as|the|which|whose)$",
    r"\b(?:as|by|for|in|is|of|on|to|with) an?$",
)

RULES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("empty", lambda text: not text),
    ("too_long", lambda text: len(text) > MOST_CHARACTERS or _length(text) > MOST_WORDS),
    # Line breaks and tabs pass; surrogates, U+FFFD and overrides of the direction do not.
    (
        "control_characters",
        _found(r"[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\uFFFD\u202D\u202E--\t\n\r]"),
    ),
    ("no_letters", lambda text: not _LETTER(text)),
    ("too_short", lambda text: _length(text) < LEAST_WORDS),
    ("refusal", _REFUSAL),
    ("not_a_person_description", _NOT_A_PERSON),
    ("placeholder", _PLACEHOLDER),
    ("markup_or_url", _MARKUP_OR_URL),
    ("repetition", lambda text: _CHARACTER_LOOP(text) or _loops(text)),
    ("unfinished", _UNFINISHED),
)
"""Name and predicate of each rule, in order; a predicate says whether the stripped text fails.
`too_long` stands before all that search, so those see `MOST_CHARACTERS` at most."""
