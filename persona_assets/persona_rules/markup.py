"""Rules about markup: a description is plain text without gaps to fill in."""

from persona_assets.persona_rules.base import LazyPatterns, PersonaContext

_PLACEHOLDERS = LazyPatterns(
    r"\[[^\]]*\p{L}[^\]]*\]",
    r"\{\{|\}\}|\{[\w ]+\}",
    r"<[\w ]*(?:insert|job|name|persona|place|text)[\w ]*>",
    r"\blorem ipsum\b",
    r"_{3}",
    r"\b(?:tbd|todo)[:.]?$",
    r"^\W*(?:the )?(?:answer|description|name|occupation|output|persona(?: description)?"
    r"|profession|relation(?:ship)?|response|人物|角色)\s*#?\d*\W*[:：]",
)

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


def has_placeholder(context: PersonaContext) -> bool:
    """Return True if the text holds a placeholder or the label of an answer field."""
    return _PLACEHOLDERS.occur_in(context.persona)


def has_markup_or_url(context: PersonaContext) -> bool:
    """Return True if the text holds a URL, an email address, HTML, Markdown or JSON."""
    return _MARKUP_AND_URLS.occur_in(context.persona)
