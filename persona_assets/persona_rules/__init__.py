"""Names of `persona_assets.rules` that packages with persona rules import."""

from persona_assets.rules import PERSONA_GROUP as GROUP
from persona_assets.rules import PERSONA_RULES as RULES
from persona_assets.rules import PersonaContext, PersonaRule

__all__ = ["GROUP", "RULES", "PersonaContext", "PersonaRule"]
