"""Rules on relations, as a third-party package would define them."""

from persona_assets.persona_rules import PersonaContext
from persona_assets.rules import RuleContext


def is_pet(context: PersonaContext) -> bool:
    """Return True if the persona was reached as somebody's pet."""
    return context.relation == "pet"


def is_remote_stranger(context: PersonaContext) -> bool:
    """Return True if a persona of unknown language is far from the text."""
    return context.language == "und" and context.hop > 5


def has_no_number(context: RuleContext) -> bool:
    """Return True if a problem holds no digit."""
    return context.kind == "problem" and not any(map(str.isdigit, context.text))
