"""Message of a chat completion, whatever the shape of its content."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from persona_assets.generation.journal.call_record import as_object

THINKING = frozenset(
    {"thinking", "reasoning", "reasoning_text", "redacted_thinking", "thought", "think"}
)
"""Types of parts that contain the model's thinking."""

_APART = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Members of a message that hold its thinking apart from the content."""


@dataclass(frozen=True, slots=True)
class Message:
    """Content of a message as text.

    Attributes:
        text: Content without thinking and refusal.
        thinking: True if a message without text has thinking.
        refusal: True if the model refused.
    """

    text: str
    thinking: bool = False
    refusal: bool = False


def read_message(message: object) -> Message:
    """Read a message; one without content has an empty text.

    Example:
        >>> read_message({"content": "a beekeeper"}).text
        'a beekeeper'
        >>> parts = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "A baker"}]
        >>> read_message({"content": parts})
        Message(text='A baker', thinking=False, refusal=False)
    """
    members = as_object(message)
    content = members.get("content")
    refusal = bool(members.get("refusal"))
    if isinstance(content, str) and content.strip():
        return Message(content, refusal=refusal)
    thinking = any(_has_text(members.get(name)) for name in _APART)
    texts: list[str] = []
    for kind, text in _parts(content):
        if kind in THINKING:
            thinking = True
        elif kind == "refusal":
            refusal = True
        else:
            texts.append(text)
    text = "".join(texts)
    return Message(text, thinking and not text.strip(), refusal)


def _parts(content: object) -> Iterator[tuple[str, str]]:
    """Iterate over type and text of the parts of a content; parts of other kinds have no text."""
    if isinstance(content, Mapping):
        inner = content.get("parts", content.get("content"))
        if isinstance(inner, list):
            content = inner
        elif not {"type", "text", "content"} & content.keys():
            # Some servers return the object of a JSON answer as it is.
            yield "", json.dumps(content)
            return
        else:
            content = [content]
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, Mapping):
            kind = part.get("type")
            kind = kind if isinstance(kind, str) else "text"
            if part.get("thought") is True:
                kind = "thought"
            yield kind, _text(part.get("text", part.get("content")))


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("value")
    return value if isinstance(value, str) else ""


def _has_text(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value)
