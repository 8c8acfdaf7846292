"""Kinds of text, and the rules that fit each.

A prompt file names the kind of its answer, or of each field. Without a kind, a field is `text`: the
rules hold that any text obeys. Fields that are choices, names or numbers are `label`.
"""

from collections.abc import Mapping
from typing import Any

_ANY = ("empty", "control_characters", "refusal")
_SAID_BEFORE = ("echoed_prompt", "copied_source")
_PROSE = (*_ANY, "preamble", "placeholder", *_SAID_BEFORE, "wrong_language", "repetition")
_LENGTH = ("too_short", "too_long")

KINDS: dict[str, tuple[str, ...]] = {
    "text": (*_PROSE, "unfinished", *_LENGTH),
    "label": (*_ANY, "placeholder", "fence", "too_long"),
    "problem": (*_PROSE, "fence", "unfinished", *_LENGTH),
    # Solutions count and transform, in lines that end with a formula.
    "solution": (*_ANY, *_SAID_BEFORE, "repetition"),
    "program": ("control_characters",),
    # A message may hold code.
    "instruction": (*_PROSE, "unfinished", *_LENGTH),
    "article": (*_PROSE, "unfinished", *_LENGTH),
    "character": (*_PROSE, "fence", "unfinished", *_LENGTH),
    # What somebody says aloud may be one word, and may break off.
    "speech": (*_PROSE, "fence", *_LENGTH),
    "tool": (*_PROSE, "fence", "unfinished", *_LENGTH),
    "formula": ("empty", "control_characters"),
    "code": ("empty", "control_characters"),
}
"""Names of rules by kind, in order; `persona` has the rules of `PERSONA_RULES`."""

LABEL_LENGTH = 60
"""Largest `max_length` of a field that is a label: a name, a type, a unit."""


def kind_of_field(kind: str | Mapping[str, str] | None, name: str, spec: Mapping[str, Any]) -> str:
    """Return the kind of an output field.

    Args:
        kind: `kind` of the prompt file: of all its fields, or by field.
        name: Name of the field.
        spec: Specification of the field in the prompt file.

    Example:
        >>> kind_of_field("tool", "description", {"type": "string", "max_length": 300})
        'tool'
        >>> kind_of_field("tool", "name", {"type": "string", "max_length": 60})
        'label'
    """
    if isinstance(kind, Mapping):
        if name in kind:
            return kind[name]
        kind = None
    short = spec.get("max_length", LABEL_LENGTH + 1) <= LABEL_LENGTH
    if spec["type"] == "string" and (short or "enum" in spec or _is_name(spec)):
        return "label"
    return kind or "text"


def _is_name(spec: Mapping[str, Any]) -> bool:
    return str(spec.get("pattern", "")).startswith("^[a-z]")
