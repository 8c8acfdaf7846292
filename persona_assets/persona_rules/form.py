"""Rules about form: a description is a complete statement about a person."""

from persona_assets.persona_rules.base import LazyPatterns, PersonaContext

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

_UNFINISHED_ENDS = LazyPatterns(
    r"(?:[,;:、，；：،؛(\[{（【–—-]|\.\.|…)$",
    # Only words that end no sentence in another language either, as "an" does in German.
    r"\b(?:and|because|including|of|such as|the|which|whose)$",
    r"\b(?:as|by|for|in|is|of|on|to|with) an?$",
)


def is_not_a_description(context: PersonaContext) -> bool:
    """Return True if the text asks, addresses the reader, or comments on the source text."""
    return _NOT_DESCRIPTIONS.occur_in(context.persona)


def is_unfinished(context: PersonaContext) -> bool:
    """Return True if the text breaks off in the middle of a sentence."""
    return _UNFINISHED_ENDS.occur_in(context.persona)
