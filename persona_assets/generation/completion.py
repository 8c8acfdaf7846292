"""Chat completions: what a step asks, and what it gets back once the answer is checked."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from persona_assets.generation.call import Call, call_key
from persona_assets.generation.endpoint import Endpoint
from persona_assets.generation.engine import Engine
from persona_assets.generation.record import Record, as_object

RESERVED = frozenset({"model", "messages", "stream", "n", "response_format"})
"""Members of the body that sampling may not set: one call is one whole answer, of known form."""

Status = Literal["ok", "truncated", "refused", "filtered", "invalid", "error"]


@dataclass(frozen=True, slots=True)
class Request:
    """A question to the model in one role, and the form that its answer must have.

    messages: dicts of "role" and "content".
    sampling: temperature, top_p, max_tokens, seed ...
    output: the answer's fields; in "text" format exactly one, which takes the whole answer.
    index: number of the sample; a new index is a new completion of the same question.
    """

    role: str
    messages: tuple[dict[str, str], ...]
    sampling: Mapping[str, Any]
    output: type[BaseModel]
    format: Literal["text", "json"]
    index: int = 0
    prompt_version: str = ""

    def __post_init__(self) -> None:
        if self.format == "text" and len(self.output.model_fields) != 1:
            raise ValueError(
                f"{self.output.__name__} has {len(self.output.model_fields)} fields; the output of "
                "a prompt in text format has exactly one: use the json format for more"
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """The checked answer to one request.

    completion_id: the call's key. value: the output's fields as plain JSON values, None unless
    status is "ok". reason: why not, in at most 200 characters; "error:<class>" for errors.
    """

    completion_id: str
    model: str
    status: Status
    reason: str
    value: dict[str, Any] | None
    prompt_version: str


def complete(requests: Iterable[Request], engine: Engine) -> Iterator[Answer]:
    """One answer for each request, in their order. See Engine.send for what it promises and raises.

    What the journal has is parsed anew: a change of `output` or of this parser asks nothing again.
    """
    asked: deque[Request] = deque()

    def calls() -> Iterator[Call]:
        for request in requests:
            call = to_call(request, engine.endpoint)
            asked.append(request)
            yield call

    total = len(requests) if isinstance(requests, Sized) else None
    with closing(engine.send(calls(), total=total)) as records:
        for record in records:
            yield to_answer(asked.popleft(), record)


def to_call(request: Request, endpoint: Endpoint) -> Call:
    """The request as it is sent to `endpoint`.

    Raises ValueError if sampling sets a member of RESERVED.
    """
    sampling = {**request.sampling, **endpoint.sampling}
    if taken := RESERVED & sampling.keys():
        raise ValueError(f"sampling may not set {', '.join(sorted(taken))}: the engine does")
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": list(request.messages),
        **{name: value for name, value in sampling.items() if value is not None},
    }
    if request.format == "json" and endpoint.structured_output == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": _schema(request.output)}
    elif request.format == "json" and endpoint.structured_output == "json_object":
        body["response_format"] = {"type": "json_object"}
    url = "/chat/completions"
    key = call_key(endpoint.identity, url, body, request.index)
    return Call(key, url, body, request.prompt_version)


def to_answer(request: Request, record: Record) -> Answer:
    """Checks what came back. The endpoint's words end up in `value` or nowhere."""
    status, reason, value = _check(request, record)
    return Answer(record.key, record.model, status, reason, value, request.prompt_version)


def _check(request: Request, record: Record) -> tuple[Status, str, dict[str, Any] | None]:
    if record.failure == "content_filter":
        return "filtered", "the provider's content filter stopped the prompt", None
    if record.failure is not None:
        return "error", f"error:{record.failure}", None
    message = as_object(record.choice.get("message"))
    text = message.get("content")
    if record.finish_reason == "length":
        return "truncated", "the answer reached the limit of tokens (max_tokens)", None
    if record.finish_reason == "content_filter":
        return "filtered", "the provider's content filter stopped the answer", None
    if message.get("refusal"):
        return "refused", "the model refused", None
    if not isinstance(text, str) or not text.strip():
        return "invalid", "the answer is empty", None
    try:
        value = _parse(request, text.strip())
    except ValidationError as error:
        return "invalid", _short(error, request.output), None
    return "ok", "", value.model_dump(mode="json")


def _parse(request: Request, text: str) -> BaseModel:
    if request.format == "json":
        # As bytes, since a lone surrogate in a str is not a ValidationError but a crash.
        return request.output.model_validate_json(_unfenced(text).encode("utf-8", "surrogatepass"))
    [(name, field)] = request.output.model_fields.items()
    return request.output.model_validate({field.alias or name: text})


def _unfenced(text: str) -> str:
    """The JSON inside a markdown fence around the whole answer, or the text as it is."""
    first, newline, rest = text.partition("\n")
    if newline and first.strip() in ("```", "```json", "```JSON") and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def _short(error: ValidationError, output: type[BaseModel]) -> str:
    """The first complaint, by field, without the text that caused it."""
    first, *more = error.errors(include_url=False, include_context=False, include_input=False)
    # Only a declared field's name is ours: other places in `loc` may be the model's words.
    place = str(first["loc"][0]) if first["loc"] and first["loc"][0] in output.model_fields else ""
    message = first["type"] if first["type"] == "union_tag_invalid" else first["msg"]
    reason = f"{place}: {message}" if place else message
    if more:
        reason += f" (and {len(more)} more)"
    return reason if len(reason) <= 200 else reason[:199] + "…"


@lru_cache(maxsize=256)
def _schema(output: type[BaseModel]) -> dict[str, Any]:
    """The output's JSON schema as strict providers want it, limits and patterns kept."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", output.__name__)[:64]
    return {"name": name, "strict": True, "schema": _strict(output.model_json_schema())}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Objects closed, all members required, and neither titles nor defaults."""
    strict: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in ("title", "default"):
            continue
        if keyword in ("properties", "$defs"):
            strict[keyword] = {name: _strict(member) for name, member in value.items()}
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            strict[keyword] = [_strict(member) for member in value]
        elif keyword == "items":
            strict[keyword] = _strict(as_object(value))
        else:
            strict[keyword] = value
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
        strict["additionalProperties"] = False
    return strict
