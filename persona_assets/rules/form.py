"""Rules about form: a text is complete, and a description describes a person."""

import regex

from persona_assets.rules.base import LazyPatterns, RuleContext
from persona_assets.rules.prose import without_formulas

_NOT_DESCRIPTIONS = LazyPatterns(
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
_NOT_DESCRIPTION_STARTS = (
    *("you", "sure", "certainly", "of course", "ok", "absolutely", "great", "yes", "here"),
    *("i'd ", "i would ", "this ", "the ", "based on ", "according to ", "given "),
)

_UNFINISHED_ENDS = LazyPatterns(
    r"(?:[,;:、，；：،؛(\[{（【–—-]|\.\.|…)$",
    # Only words that end no sentence in another language either, as "an" does in German.
    r"\b(?:and|because|including|of|such as|the|which|whose)$",
    r"\b(?:as|by|for|in|is|of|on|to|with) an?$",
)
_UNFINISHED_SUFFIXES = (
    *(*",;:、，；：،؛([{（【–—-…", ".."),
    *("and", "because", "including", "of", "such as", "the", "which", "whose", " a", " an"),
)

_OPEN_ENDS = regex.compile(
    r"(?:[,;、，；،؛(\[{（【–—]|\b(?:and|because|including|such as|the|whose))$"
)
# Not the full stop of an abbreviation: "Dr.", "U.S.".
_SENTENCE_END = regex.compile(
    r"(?:(?<=[\p{Ll}\p{Lo}\p{M}]{3}|[\d)\]\"”’»%$*_])[.…]|[!?؟।])[\"'”’»)\]*_]*\s|[。！？]"
)
_LETTER_END = regex.compile(r"[\p{L}\p{M}]$")
_LIST_ITEM = regex.compile(r"\s*(?:[-*•#>|]|\d{1,3}[.)]|\*\*)")
_ASKS = regex.compile(
    r"\W*(?:how|what|which|who|whom|whose|when|where|why|is|are|can|does|do|did|will|should|find"
    r"|compute|calculate|determine|evaluate|express|simplify|solve|give|show|prove|name|write|round"
    r"|state|list|factor|expand|estimate)\b",
    regex.IGNORECASE,
)

LONG_LINE = 60
"""Characters from which a last line is prose: a signature or a heading is shorter."""


def is_not_a_description(context: RuleContext) -> bool:
    """Return True if the text asks, addresses the reader, or comments on the source text."""
    folded = context.folded
    if not folded.endswith(("?", "？", "؟")) and not folded.startswith(_NOT_DESCRIPTION_STARTS):
        return False
    return _NOT_DESCRIPTIONS.occur_in(context.text)


def is_unfinished(context: RuleContext) -> bool:
    """Return True if a description breaks off in the middle of a sentence."""
    if not context.folded.endswith(_UNFINISHED_SUFFIXES):
        return False
    return _UNFINISHED_ENDS.occur_in(context.text)


def is_cut_short(context: RuleContext) -> bool:
    """Return True if a text of several sentences breaks off in the middle of the last.

    A text breaks off after a comma, an opening bracket or a word such as "and"; or after a letter,
    where its other sentences end with a full stop. Passed are last lines that are items of a list,
    shorter than `LONG_LINE` in a text of several lines, or questions and commands without a mark.
    """
    text = context.text
    if _OPEN_ENDS.search(text[-20:].casefold()):
        return True
    # The interface of a tool is written in notes without a full stop.
    if context.kind == "tool" or not _LETTER_END.search(text[-1:]):
        return False
    first, newline, last = text.rpartition("\n")
    if newline and (_LIST_ITEM.match(last) or len(last) < LONG_LINE):
        return False
    # A full stop inside a formula ends no sentence.
    ends = [end.end() for end in _SENTENCE_END.finditer(without_formulas(last))]
    if not ends:
        return bool(newline) and _SENTENCE_END.search(f"{first[-2:]} ") is not None
    rest = without_formulas(last)[ends[-1] :]
    # People end a message as they like, "no paid stuff pls", and a letter with a name.
    if context.kind in ("instruction", "text") and len(rest) < LONG_LINE:
        return False
    return not _ASKS.match(rest)
