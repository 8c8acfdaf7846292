"""Rules about markup: a text has no gaps to fill in, and a description is plain text."""

import re

from persona_assets.rules.base import LazyPatterns, RuleContext
from persona_assets.rules.units import listed

_PLACEHOLDERS = LazyPatterns(
    # What redaction leaves in place of personal data is no gap.
    r"\[(?!redacted )[^\]]*\p{L}[^\]]*\]",
    r"\{\{|\}\}|\{[\w ]+\}",
    r"<[\w ]*(?:insert|job|name|persona|place|text)[\w ]*>",
    r"\blorem ipsum\b",
    r"_{3}",
    r"\b(?:tbd|todo)[:.]?$",
    r"^\W*(?:the )?(?:answer|description|name|occupation|output|persona(?: description)?"
    r"|profession|relation(?:ship)?|response|人物|角色)\s*#?\d*\W*[:：]",
)
_PLACEHOLDER_CHARACTERS = re.compile(r"[\[{}<_:：]")

_MARKUP_AND_URLS = LazyPatterns(
    r"https?:",
    r"\bwww\.",
    r"\b[\w.+-]+@[\w-]+\.\w",
    r"</?[a-z][^<>]*>",
    r"&(?:amp|lt|gt|quot|nbsp|#x?[\da-f]+);",
    r"```|\*\*|\]\(|\\n",
    r"^#{1,6} ",
    r'[{\[]\s*"',
)
_MARKUP_CHARACTERS = re.compile(r"[:@<&`*\]\\#{\[]")

_GAPS = LazyPatterns(
    r"\[(?:insert|enter|add|fill in|your|placeholder|name of|company name|person'?s name|date here"
    r"|插入|填写|您的|你的|insertar?|tu nombre|votre|insérer|ihr|einfügen|вставьте|ваше)\b?"
    r"[^\]\n]{0,60}\]",
    # Not the braces of a formula: \frac{{a}}{{b}}.
    r"(?<![\w}\\^{])\{\{ ?[a-z][a-z_ ]{0,40} ?\}\}",
    r"<(?:insert|your|placeholder)\b[\w ]{0,40}>",
    r"\blorem ipsum\b",
)
_GAP_CHARACTERS = re.compile(r"[\[{<]")
_NO_ANSWERS = frozenset(
    listed("... … .. n/a null nil tbd todo your_text_here undefined placeholder")
)

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


def has_placeholder(context: RuleContext) -> bool:
    """Return True if a description holds a placeholder or the label of an answer field."""
    folded = context.folded
    if (
        _PLACEHOLDER_CHARACTERS.search(folded) is None
        and "lorem" not in folded
        and not folded.endswith(("tbd", "todo", "tbd.", "todo."))
    ):
        return False
    return _PLACEHOLDERS.occur_in(context.text)


def has_markup_or_url(context: RuleContext) -> bool:
    """Return True if a description holds a URL, an email address, HTML, Markdown or JSON."""
    if _MARKUP_CHARACTERS.search(context.text) is None and "www." not in context.folded:
        return False
    return _MARKUP_AND_URLS.occur_in(context.text)


def has_gap(context: RuleContext) -> bool:
    """Return True if a text holds a gap to fill in, or is nothing but one."""
    if context.folded in _NO_ANSWERS or context.folded.strip("\"'<>[]{}() ") in _NO_ANSWERS:
        return True
    if _GAP_CHARACTERS.search(context.text) is None and "lorem" not in context.folded:
        return False
    return _GAPS.occur_in(context.text)


def has_fence(context: RuleContext) -> bool:
    """Return True if a fence of code is left in prose."""
    return "```" in context.text or bool("~~~" in context.text and _FENCE.search(context.text))
