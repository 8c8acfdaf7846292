"""One POST to an OpenAI-compatible endpoint, and the key under which its answer is kept."""

import json
from collections.abc import Mapping
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


def call_key(identity: str, url: str, body: Mapping[str, Any], index: int = 0) -> str:
    """128-bit key of a call as 32 hexadecimal digits: the same question has the same key.

    Hashes the model's `identity` (see Endpoint.identity; never the endpoint's URL), `url`, the body
    without "model", and the sample `index`. The order of the body's members is irrelevant and 1.0
    equals 1, as in canonical JSON (RFC 8785).

    Raises ValueError for NaN or infinity.
    """
    asked = {name: value for name, value in body.items() if name != "model"}
    plain = json.loads(json.dumps(asked, allow_nan=False), parse_float=_number)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return content_id("call", identity, url, canonical, str(index))


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
