"""Chat completions: what a step asks, and what it gets back once the answer is checked."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from persona_assets.generation.calls.call import Call, call_key
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.engine import Engine
from persona_assets.generation.journal.call_record import CallRecord, as_object

RESERVED = frozenset({"model", "messages", "stream", "n", "response_format"})
"""Members of the body that sampling may not set: one call is one whole answer, of known form."""

MAX_TOKENS = ("max_completion_tokens", "max_tokens")

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

    completion_id: the key of the call that was answered last. value: the output's fields as plain
    JSON values, None unless status is "ok". reason: why not, in at most 200 characters;
    "error:<class>" for errors.
    """

    completion_id: str
    model: str
    status: Status
    reason: str
    value: dict[str, Any] | None
    prompt_version: str


@dataclass(frozen=True, slots=True)
class _Question(Call):
    """A request's call, and what was tried before it."""

    request: Request = field(kw_only=True)
    larger: bool = False
    reasks: int = 0


def complete(
    requests: Iterable[Request], engine: Engine, *, total: int | None = None
) -> Iterator[Answer]:
    """One answer for each request, in their order. See Engine.ask for what it promises and raises.

    A truncated answer is asked for once more with a larger max_tokens, one without the form it must
    have is asked for again (Endpoint.larger_retry, Endpoint.reasks). What the journal has is parsed
    anew, and asked again only if no table has been made of it: a change of `output` or of this
    parser asks nothing.
    """
    endpoint = engine.endpoint

    def judge(question: _Question, record: CallRecord) -> tuple[Answer, _Question | None]:
        answer = to_answer(question.request, record)
        return answer, _other(question, answer, endpoint)

    if total is None and isinstance(requests, Sized):
        total = len(requests)
    questions = (_question(request, endpoint) for request in requests)
    with closing(engine.ask(questions, judge, total=total)) as answers:
        yield from answers


def to_call(request: Request, endpoint: Endpoint) -> Call:
    """The request as it is first sent to `endpoint`.

    Raises ValueError if sampling sets a member of RESERVED.
    """
    return _question(request, endpoint)


def _question(request: Request, endpoint: Endpoint) -> _Question:
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
    return _Question(key, url, body, request.prompt_version, request=request)


def _other(question: _Question, answer: Answer, endpoint: Endpoint) -> _Question | None:
    """What to ask in place of a question whose answer cannot be used; None if it has to do."""
    body, larger, reasks = question.body, question.larger, question.reasks
    if answer.status == "truncated" and not larger and endpoint.larger_retry > 1:
        limit = next((name for name in MAX_TOKENS if isinstance(body.get(name), int)), None)
        if limit is None:
            return None
        body = {**body, limit: int(body[limit] * endpoint.larger_retry)}
        larger = True
    elif answer.status == "invalid" and reasks < endpoint.reasks and body.get("temperature") != 0:
        reasks += 1
        if isinstance(seed := body.get("seed"), int):
            body = {**body, "seed": seed + 1}
    else:
        return None
    key = call_key(endpoint.identity, question.url, body, question.request.index, reasks)
    return replace(question, key=key, body=body, larger=larger, reasks=reasks)


def to_answer(request: Request, record: CallRecord) -> Answer:
    """Checks what came back. The endpoint's words end up in `value` or nowhere."""
    status, reason, value = _check(request, record)
    return Answer(record.key, record.model, status, reason, value, request.prompt_version)


def _check(request: Request, record: CallRecord) -> tuple[Status, str, dict[str, Any] | None]:
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
