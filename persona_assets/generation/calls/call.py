"""One POST to an OpenAI-compatible endpoint, and the key under which its answer is kept."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from persona_assets.ids import content_id


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it is sent: `url` is "/chat/completions" or "/embeddings", `body` its JSON.

    `prompt_version` is recorded beside the answer and is not part of the key.
    """

    key: str
    url: str
    body: dict[str, Any]
    prompt_version: str = ""

    def weight(self) -> int:
        """Tokens that a limit per minute counts before the answer is known, roughly: a quarter of
        the characters asked, and the most that may be answered."""
        most = self.body.get("max_completion_tokens") or self.body.get("max_tokens") or 0
        asked = self.body.get("messages") or self.body.get("input") or ""
        return int(most) + (len(asked) if isinstance(asked, str) else _characters(asked)) // 4


def _characters(parts: Iterable[Any]) -> int:
    return sum(len(str(it.get("content") if isinstance(it, dict) else it)) for it in parts)


def call_key(
    identity: str, url: str, body: Mapping[str, Any], index: int = 0, again: int = 0
) -> str:
    """128-bit key of a call as 32 hexadecimal digits: the same question has the same key.

    Hashes the model's `identity` (see Endpoint.identity; never the endpoint's URL), `url`, the body
    without "model", the sample `index`, and, from the second time on, how often the question was
    asked `again` because the answer could not be used. The order of the body's members is
    irrelevant and 1.0 equals 1, as in canonical JSON (RFC 8785).

    Raises ValueError for NaN or infinity.
    """
    asked = {name: _plain(value) for name, value in body.items() if name != "model"}
    canonical = _CANONICAL.encode(asked)
    sample = f"{index}" if again == 0 else f"{index}/{again}"
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
