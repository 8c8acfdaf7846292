"""Rules that decide, without a model, whether a row is fit for its table.

Belongs here: one named function per rule, grouped by concern; the registries that name them; the
kinds of text that say which rules fit (`kinds`); repairs (`repair`); personal data and unsafe
content (`protection`). Does not belong here: the verdict over all rules, see `steps.quality` and
`steps.verdicts`.

A rule's name is the reason recorded for a rejected row. An installed package adds rules by an entry
point in the group `persona_assets.persona_rules`, for personas, or `persona_assets.rules`, for all
other kinds of text; the context tells the kind.

The paper removes low-quality descriptions by "simple heuristics" (section 2.3) and does not list
them; the built-in rules are this project's own. They look at form alone, in any language: they
cannot decide whether a well-formed description describes a person. First-person descriptions ("I am
a retired miner") pass: some 3 % of the authors' own release are in the first person.
"""

from persona_assets.registry import Registry
from persona_assets.rules.base import PersonaContext, PersonaRule, Rule, RuleContext

__all__ = [
    "BUILTIN",
    "BUILTIN_PERSONA",
    "GROUP",
    "PERSONA_GROUP",
    "PERSONA_RULES",
    "RULES",
    "PersonaContext",
    "PersonaRule",
    "Rule",
    "RuleContext",
]

GROUP = "persona_assets.rules"
"""Entry-point group of rules for texts other than personas."""

PERSONA_GROUP = "persona_assets.persona_rules"
"""Entry-point group of rules for personas."""

BUILTIN_PERSONA = {
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
    "preamble_or_boilerplate": f"{GROUP}.repair:has_addition",
}
"""Built-in rules for personas in order: the name is the reason of a rejection.

`too_long` precedes the rules that search, so that they see at most `length.MOST_CHARACTERS`.
"""

BUILTIN = {
    "empty": f"{GROUP}.content:is_empty",
    "control_characters": f"{GROUP}.content:has_control_characters",
    "refusal": f"{GROUP}.refusal:is_refused",
    "preamble": f"{GROUP}.repair:is_preamble",
    "fence": f"{GROUP}.markup:has_fence",
    "placeholder": f"{GROUP}.markup:has_gap",
    "echoed_prompt": f"{GROUP}.echo:is_echo",
    "copied_source": f"{GROUP}.echo:is_copy_of_source",
    "wrong_language": f"{GROUP}.echo:is_in_another_script",
    "repetition": f"{GROUP}.repetition:is_looping",
    "unfinished": f"{GROUP}.form:is_cut_short",
    "too_short": f"{GROUP}.length:is_shorter_than_its_kind",
    "too_long": f"{GROUP}.length:is_longer_than_its_kind",
}
"""Built-in rules for all other texts by name; `kinds.KINDS` says which fit which kind."""

PERSONA_RULES: Registry[PersonaRule] = Registry(PERSONA_GROUP, BUILTIN_PERSONA)
"""All rules for personas: built-in rules, then those of installed packages by name."""

RULES: Registry[Rule] = Registry(GROUP, BUILTIN)
"""All rules for other texts: built-in rules, then those of installed packages by name."""
