"""Rules about characters: a description holds letters and no control characters."""

from persona_assets.persona_rules.base import LazyPatterns, PersonaContext

_LETTERS = LazyPatterns(r"\p{L}")
# Line breaks and tabs pass; surrogates, U+FFFD and overrides of the writing direction fail.
_CONTROL_CHARACTERS = LazyPatterns(
    r"[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\uFFFD\u202D\u202E--\t\n\r]"
)


def is_empty(context: PersonaContext) -> bool:
    """Return True if the description is empty."""
    return not context.persona


def has_control_characters(context: PersonaContext) -> bool:
    """Return True if the description holds a control or undecodable character."""
    return _CONTROL_CHARACTERS.occur_in(context.persona)


def has_no_letters(context: PersonaContext) -> bool:
    """Return True if the description holds no letter of any script."""
    return not _LETTERS.occur_in(context.persona)
