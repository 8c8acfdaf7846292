"""Double of a chat model for steps: a function from requests to answers, without a socket.

    model = answering(lambda request: {"persona": "A baker ..."})     # or a status: "refused"
    result = build_text_personas(texts, prompt("text_to_persona"), model, ...)
    model.asked                                                       # the requests, in order

A value must be valid for the output of the request. The reply "copied" repeats the last
demonstration in the request.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from persona_assets.generation import Answer, Request
from persona_assets.ids import content_id
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.settings import Mode, Prompting

ROOT = Path(__file__).parents[2]
PROMPTS = Prompts(ROOT / "prompts")
MODEL = "a-model"

FAILURES = {
    "invalid": "persona: Field required",
    "truncated": "the answer reached the limit of tokens (max_tokens)",
    "refused": "the model refused",
    "filtered": "the provider's content filter stopped the answer",
    "error": "error:timeout",
}
"""Reason of each status other than "ok"."""

Reply = Mapping[str, Any] | str
"""Value of an answer, a status of `FAILURES`, or "copied"."""


class Answering:
    """Chat model that records its requests."""

    def __init__(self, reply: Callable[[Request], Reply]) -> None:
        self._reply = reply
        self.asked: list[Request] = []

    def __call__(self, requests: Iterable[Request]) -> Iterator[Answer]:
        for request in requests:
            self.asked.append(request)
            yield _answer(request, self._reply(request))


def answering(reply: Callable[[Request], Reply]) -> Answering:
    """Build a model that answers each request by a function."""
    return Answering(reply)


def prompt(name: str, mode: Mode = "zero-shot", shots: int = 0, shard: str = "s") -> Prompt:
    """Return a shipped prompt, bound to a shard."""
    return PROMPTS[name].bind(Prompting(mode=mode, shots=shots), shard)


def user_text(request: Request) -> str:
    """Return the last user message of a request."""
    return request.messages[-1]["content"]


def _answer(request: Request, reply: Reply) -> Answer:
    key = content_id(json.dumps(request.messages), str(request.index))
    if isinstance(reply, str) and reply in FAILURES:
        return Answer(key, MODEL, reply, FAILURES[reply], None, request.prompt_version)  # type: ignore[arg-type]
    fields = _last_demonstration(request) if reply == "copied" else reply
    value = request.output.model_validate(fields).model_dump(mode="json")
    return Answer(key, MODEL, "ok", "", value, request.prompt_version)


def _last_demonstration(request: Request) -> Mapping[str, Any]:
    answer = request.messages[-2]["content"]
    if request.format == "json":
        fields: Mapping[str, Any] = json.loads(answer)
        return fields
    return {next(iter(request.output.model_fields)): answer}
