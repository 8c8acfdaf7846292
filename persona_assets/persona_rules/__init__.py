"""Rules that decide which persona descriptions are too poor to enter the hub.

Belongs here: one named function per rule, grouped by concern, and the registry that orders them. An
installed package adds a rule by an entry point in the group `persona_assets.persona_rules`; its
name is the reason recorded for each rejected persona. Does not belong here: the verdict over all
rules, see `steps.quality`.

The paper removes low-quality descriptions by "simple heuristics" (section 2.3) and does not list
them; the built-in rules are this project's own. They look at form alone, in any language: they
cannot decide whether a well-formed description describes a person. First-person descriptions ("I am
a retired miner") pass: some 3 % of the authors' own release are in the first person.
"""

from persona_assets.persona_rules.base import PersonaContext, PersonaRule
from persona_assets.registry import Registry

__all__ = ["BUILTIN", "GROUP", "RULES", "PersonaContext", "PersonaRule"]

GROUP = "persona_assets.persona_rules"
"""Entry-point group of persona rules."""

BUILTIN = {
    "empty": f"{GROUP}.content:is_empty",
    "too_long": f"{GROUP}.length:is_too_long",
    "control_characters": f"{GROUP}.content:has_control_characters",
    "no_letters": f"{GROUP}.content:has_no_letters",
    "too_short": f"{GROUP}.length:is_too_short",
    "refusal": f"{GROUP}.refusal:is_refusal",
    "not_a_person_description": f"{GROUP}.form:is_not_a_description",
    "placeholder": f"{GROUP}.markup:has_placeholder",
    "markup_or_url": f"{GROUP}.markup:has_markup_or_url",
    "repetition": f"{GROUP}.repetition:is_repetitive",
    "unfinished": f"{GROUP}.form:is_unfinished",
}
"""Built-in rules in order: the name is the reason of a rejection.

`too_long` precedes the rules that search, so that they see at most `length.MOST_CHARACTERS`.
"""

RULES: Registry[PersonaRule] = Registry(GROUP, BUILTIN)
"""All rules: built-in rules, then those of installed packages by name."""
