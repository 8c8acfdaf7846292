"""A POST to an OpenAI-compatible endpoint, and the key under which its answer is stored."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from persona_assets.ids import content_id


@dataclass(frozen=True, slots=True)
class Call:
    """A request of the OpenAI API.

    Attributes:
        key: Key of the answer in the journal; see `call_key`.
        url: "/chat/completions" or "/embeddings".
        body: JSON body of the request.
        prompt_version: Recorded beside the answer; no part of the key.
        deliberate: True for a retry that a person asked for, which is sent although a table has
            been made of the answer before it.
    """

    key: str
    url: str
    body: dict[str, Any]
    prompt_version: str = ""
    deliberate: bool = False

    def weight(self) -> int:
        """Estimate the tokens that count against a limit per minute before the answer is known.

        A quarter of the characters of the input, plus the limit of output tokens.

        Example:
            >>> Call("key", "/embeddings", {"input": ["twelve chars"]}).weight()
            3
        """
        max_tokens = self.body.get("max_completion_tokens") or self.body.get("max_tokens") or 0
        parts = self.body.get("messages") or self.body.get("input") or ""
        characters = len(parts) if isinstance(parts, str) else _characters(parts)
        return int(max_tokens) + characters // 4


def _characters(parts: Iterable[Any]) -> int:
    return sum(len(str(part.get("content") if isinstance(part, dict) else part)) for part in parts)


def call_key(
    identity: str,
    url: str,
    body: Mapping[str, Any],
    index: int = 0,
    again: int = 0,
    retry: int = 0,
) -> str:
    """Return the 128-bit key of a call as 32 hexadecimal digits.

    Equal questions have equal keys: the order of the body's members is irrelevant and 1.0 equals 1,
    as in canonical JSON (RFC 8785).

    Args:
        identity: Identity of the model (see `Endpoint.identity`), never the endpoint's URL.
        url: "/chat/completions" or "/embeddings".
        body: JSON body; its "model" is left out.
        index: Number of the sample of this question.
        again: Number of earlier attempts at this sample whose answers could not be used.
        retry: Number of the retry that a person asked for, from 1; 0 for none.

    Raises:
        ValueError: The body holds NaN or infinity.

    Example:
        >>> call_key("m", "/embeddings", {"input": "a text", "model": "any"})
        '8bf90af2e1b79d6d82fb2382866f475e'
    """
    question = {name: _plain(value) for name, value in body.items() if name != "model"}
    canonical = _CANONICAL.encode(question)
    sample = f"{index}" if again == 0 else f"{index}/{again}"
    sample += f"/retry {retry}" if retry else ""
    return content_id("call", identity, url, canonical, sample)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return value
