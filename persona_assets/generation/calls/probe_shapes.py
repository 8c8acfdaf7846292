"""Shapes of requests, those that an endpoint has answered to a probe, and the tiny call of a shape.

A shape is the form of the answer, the presence of a system message, and the names of the parameters
that are sent, adaptations included: values of parameters are left out, so that few shapes cost few
probes.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from persona_assets.generation.calls.adaptation import FORM, LIMITS
from persona_assets.generation.calls.adaptation_file import Adaptations, append_line, read_lines
from persona_assets.generation.calls.call import Call, call_key
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.journal.call_record import as_list, as_object

FEW = 16
"""Most tokens of a probe's answer: OpenAI's newer models accept no smaller limit."""

WORDING = "Availability check:"
"""Begin of each message that a probe sends."""

MESSAGE = f"{WORDING} answer with the single word ready."
JSON_MESSAGE = f'{WORDING} answer with the JSON object {{"status": "ready"}}.'

SCHEMA = {
    "name": "probe",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"status": {"type": "string"}},
        "required": ["status"],
        "additionalProperties": False,
    },
}


class ProbedShapes:
    """Shapes of calls with which probes of an endpoint and model succeeded, in `endpoints.jsonl`.

    Args:
        endpoint: Endpoint and model.
        adaptations: Changes of each call before it is sent.
        path: File of the project; a line of a probe has address, model, shape and time.

    Example:
        >>> import tempfile
        >>> endpoint = Endpoint(model="m")
        >>> call = Call("key", "/chat/completions", {"messages": [], "seed": 1})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "endpoints.jsonl")
        ...     probed = ProbedShapes(endpoint, Adaptations(endpoint), path)
        ...     probed.add(call)
        ...     probed.shape(call), call in ProbedShapes(endpoint, Adaptations(endpoint), path)
        ('text with seed', True)
    """

    def __init__(self, endpoint: Endpoint, adaptations: Adaptations, path: Path) -> None:
        self._adaptations = adaptations
        self._path = path
        url = endpoint.base_url or os.environ.get("OPENAI_BASE_URL") or endpoint.host
        self.place = {"address": url.rstrip("/"), "model": endpoint.model}

    def shape(self, call: Call) -> str:
        """Return the shape of a call as it is sent."""
        body = self._adaptations.apply(call.body)
        names = sorted(body.keys() - {"model", "messages", "input", FORM})
        return " ".join([form_of(call.url, body), *(["with", *names] if names else [])])

    def __contains__(self, call: Call) -> bool:
        successes, _ = self._read()
        return self.shape(call) in successes

    def add(self, call: Call) -> None:
        """Record that a probe of a call succeeded."""
        append_line(self._path, {**self.place, "probed": self.shape(call)})

    def forget(self) -> None:
        """Record that the endpoint refused: each shape is probed again."""
        if self._read()[0]:
            append_line(self._path, {**self.place, "probed": None})

    @property
    def any(self) -> bool:
        """True if any probe of the endpoint and model succeeded since the last refusal."""
        return bool(self._read()[0])

    @property
    def refusals(self) -> int:
        """Number of times that all shapes were forgotten."""
        return self._read()[1]

    def _read(self) -> tuple[set[str], int]:
        successes, refusals = set[str](), 0
        for line in read_lines(self._path):
            if "probed" not in line or not line.items() >= self.place.items():
                continue
            if isinstance(line["probed"], str):
                successes.add(line["probed"])
            else:
                successes.clear()
                refusals += 1
        return successes, refusals


def tiny_calls(call: Call, probed: ProbedShapes) -> Iterator[Call]:
    """Yield the call of a probe: with few tokens, then, should they not suffice, with all of them.

    Args:
        call: Call whose shape and sampling the probe has.
        probed: Names the endpoint; a killed run's answer settles the same probe of the next.
    """
    body = {**call.body}
    is_json = FORM in body
    if as_object(body.get(FORM)).get("type") == "json_schema":
        body[FORM] = {"type": "json_schema", "json_schema": SCHEMA}
    if "input" in body:
        body["input"] = [MESSAGE]
    else:
        system = [{"role": "system", "content": f"{WORDING} be brief."}]
        user = {"role": "user", "content": JSON_MESSAGE if is_json else MESSAGE}
        body["messages"] = [*(system if _has_system(body) else []), user]
    refusals = probed.refusals
    own = {name: body[name] for name in LIMITS if isinstance(body.get(name), int)}
    few = {name: min(FEW, limit) for name, limit in own.items()} or {"max_tokens": FEW}
    for limits in [own] if "input" in body else [few, *([own] if own != few else [])]:
        limited = {**body, **limits}
        # The address is part of the key: the same model elsewhere is another probe.
        key = call_key(" ".join(probed.place.values()), call.url, limited, refusals)
        yield Call(key, call.url, limited, "probe")


def form_of(url: str, body: Mapping[str, Any]) -> str:
    """Return the form of an answer, and whether the request has a system message.

    Example:
        >>> form_of("/chat/completions", {"response_format": {"type": "json_object"}})
        'json_object'
    """
    if url == "/embeddings":
        return "embeddings"
    form = str(as_object(body.get(FORM)).get("type", "text"))
    return f"{form} after a system message" if _has_system(body) else form


def _has_system(body: Mapping[str, Any]) -> bool:
    first = next(iter(as_list(body.get("messages"))), None)
    return as_object(first).get("role") == "system"
