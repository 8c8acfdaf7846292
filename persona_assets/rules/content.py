"""Rules about characters: a text holds letters and no control characters."""

from persona_assets.rules.base import LazyPatterns, RuleContext

_LETTERS = LazyPatterns(r"\p{L}")
# Line breaks and tabs pass; surrogates, U+FFFD and overrides of the writing direction fail.
_CONTROL_CHARACTERS = LazyPatterns(
    r"[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\uFFFD\u202D\u202E--\t\n\r]"
)


def is_empty(context: RuleContext) -> bool:
    """Return True if the text is empty."""
    return not context.text


def has_control_characters(context: RuleContext) -> bool:
    """Return True if the text holds a control or undecodable character."""
    text = context.text
    # U+FFFD alone of these characters counts as printable.
    if text.isprintable() and "\ufffd" not in text:
        return False
    return _CONTROL_CHARACTERS.occur_in(text)


def has_no_letters(context: RuleContext) -> bool:
    """Return True if the text holds no letter of any script."""
    return not (context.text[:1].isalpha() or _LETTERS.occur_in(context.text))
