"""Verdict of the quality filter: which persona rule rejects a description (section 2.3)."""

from functools import cache

from persona_assets.registry import Registry
from persona_assets.rules import (
    BUILTIN_PERSONA,
    PERSONA_RULES,
    PersonaContext,
    PersonaRule,
)

VERSION = "2"
"""Version of the built-in rules; changes with any verdict of theirs."""


def rejection_reason(
    persona: str,
    *,
    relation: str = "",
    hop: int = 0,
    language: str = "und",
    rules: Registry[PersonaRule] = PERSONA_RULES,
) -> str | None:
    """Return the name of the first rule that rejects a persona, or None if all rules pass it.

    Args:
        persona: Description in any language; may hold any character, lone surrogates included.
        relation: Perspective on a text (hop 0), else relation to the parent persona.
        hop: Number of expansions between the text and the persona.
        language: BCP 47 tag; "und" if unknown.
        rules: Rules to apply, in order.

    Example:
        >>> rejection_reason("night nurse")
        'too_short'
        >>> rejection_reason("A retired tram driver who repairs clocks") is None
        True
    """
    text = persona.strip().replace("\u2019", "'")
    context = PersonaContext(text, relation, hop, language)
    for name, rejects in _in_order(rules):
        if rejects(context):
            return name
    return None


def rules_version(rules: Registry[PersonaRule] = PERSONA_RULES) -> str:
    """Return `VERSION`, followed by the names of rules that installed packages add.

    Part of the code version of each asset that applies the rules. A package that changes a rule's
    verdicts must rename the rule.
    """
    added = [name for name in rules.names() if name not in BUILTIN_PERSONA]
    return "+".join([VERSION, *added])


@cache
def _in_order(rules: Registry[PersonaRule]) -> tuple[tuple[str, PersonaRule], ...]:
    return tuple(rules.all())
