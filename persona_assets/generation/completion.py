"""Chat completions: a step's request, and its answer once it is checked.

Belongs here: how a request becomes a call, and a record an answer. Does not belong here: sending
(engine.py), prompts, and differences between providers (providers/).
"""

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
"""Members of the body that sampling may not set: a call has a whole answer of known form."""

MAX_TOKENS = ("max_completion_tokens", "max_tokens")
"""Members of the body that limit the length of an answer; the first that is set counts."""

Status = Literal["ok", "truncated", "refused", "filtered", "invalid", "error"]
"""Outcome of a request; only "ok" has a value."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question to the model in a role, and the required form of its answer.

    Attributes:
        role: Name of the role, such as "writer".
        messages: Dicts of "role" and "content".
        sampling: Parameters such as temperature, top_p, max_tokens, seed.
        output: Fields of the answer; a single field in "text" format, for the whole answer.
        format: "text", or "json" for an object with the fields of `output`.
        index: Number of the sample; a new index is a new completion of the same question.
        prompt_version: Recorded beside the answer; no part of its key.

    Raises:
        ValueError: The format is "text" and `output` has no field or several.

    Example:
        >>> class Persona(BaseModel):
        ...     persona: str
        >>> question = {"role": "user", "content": "Who reads this?"}
        >>> Request("writer", (question,), {"temperature": 1}, Persona, "text").index
        0
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
    """The checked answer to a request.

    Attributes:
        completion_id: Key of the last call that was sent for the request.
        model: Name of the model.
        status: "ok", or why the answer cannot be used.
        reason: Explanation in at most 200 characters; "error:<class>" for errors, "" if ok.
        value: Fields of the output as plain JSON values; None unless the status is "ok".
        prompt_version: Version of the prompt, from the request.
    """

    completion_id: str
    model: str
    status: Status
    reason: str
    value: dict[str, Any] | None
    prompt_version: str


@dataclass(frozen=True, slots=True)
class _Question(Call):
    """A request's call, and the retries that led to it."""

    request: Request = field(kw_only=True)
    larger: bool = False
    reasks: int = 0


def complete(
    requests: Iterable[Request], engine: Engine, *, total: int | None = None
) -> Iterator[Answer]:
    """Yield an answer per request, in their order, with the guarantees of `Engine.ask`.

    A truncated answer is requested once more with a larger max_tokens, an answer without the
    required form up to `Endpoint.reasks` times (see `Endpoint.larger_retry`). Records of the
    journal are parsed again, and requested again only if no table has been made of them: a change
    of `output` or of this parser sends nothing.

    Args:
        requests: Read as needed.
        engine: Engine to send with.
        total: Number of requests, for reports; None: `len(requests)` if it has a length.

    Raises:
        ValueError: Sampling sets a member of RESERVED.
        EndpointError: As `Engine.ask`.

    Example:
        >>> def personas(requests, engine):
        ...     for answer in complete(requests, engine):
        ...         if answer.status == "ok":
        ...             yield answer.value["persona"]
    """
    endpoint = engine.endpoint

    def judge(question: _Question, record: CallRecord) -> tuple[Answer, _Question | None]:
        answer = to_answer(question.request, record)
        return answer, _retry(question, answer, endpoint)

    if total is None and isinstance(requests, Sized):
        total = len(requests)
    questions = (_question(request, endpoint) for request in requests)
    with closing(engine.ask(questions, judge, total=total)) as answers:
        yield from answers


def to_call(request: Request, endpoint: Endpoint) -> Call:
    """Return the first call of a request to `endpoint`.

    Raises:
        ValueError: Sampling sets a member of RESERVED.

    Example:
        >>> class Persona(BaseModel):
        ...     persona: str
        >>> question = {"role": "user", "content": "Who reads this?"}
        >>> request = Request("writer", (question,), {"seed": 1}, Persona, "text")
        >>> to_call(request, Endpoint(model="m")).body["seed"]
        1
    """
    return _question(request, endpoint)


def _question(request: Request, endpoint: Endpoint) -> _Question:
    sampling = {**request.sampling, **endpoint.sampling}
    if reserved := RESERVED & sampling.keys():
        raise ValueError(f"sampling may not set {', '.join(sorted(reserved))}: the engine does")
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


def _retry(question: _Question, answer: Answer, endpoint: Endpoint) -> _Question | None:
    """Return the next question if an answer cannot be used; None if the answer is final."""
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
    """Check a record against its request. The endpoint's words enter `value` and nothing else.

    Example:
        >>> class Persona(BaseModel):
        ...     persona: str
        >>> request = Request("writer", (), {}, Persona, "text")
        >>> choice = {"message": {"content": "a beekeeper"}, "finish_reason": "stop"}
        >>> record = CallRecord(key="k", status_code=200, body={"choices": [choice]})
        >>> to_answer(request, record).value
        {'persona': 'a beekeeper'}
    """
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
    """Return the JSON inside a markdown fence around the whole answer, else the text unchanged."""
    first, newline, rest = text.partition("\n")
    if newline and first.strip() in ("```", "```json", "```JSON") and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def _short(error: ValidationError, output: type[BaseModel]) -> str:
    """Return the first error and its field, without the text that caused it."""
    first, *more = error.errors(include_url=False, include_context=False, include_input=False)
    # Only names of declared fields are safe: other parts of `loc` may be the model's words.
    place = str(first["loc"][0]) if first["loc"] and first["loc"][0] in output.model_fields else ""
    message = first["type"] if first["type"] == "union_tag_invalid" else first["msg"]
    reason = f"{place}: {message}" if place else message
    if more:
        reason += f" (and {len(more)} more)"
    return reason if len(reason) <= 200 else reason[:199] + "…"


@lru_cache(maxsize=256)
def _schema(output: type[BaseModel]) -> dict[str, Any]:
    """Return the output's JSON schema in strict form, limits and patterns kept."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", output.__name__)[:64]
    return {"name": name, "strict": True, "schema": _strict(output.model_json_schema())}


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Close objects, require all members, and remove titles and defaults."""
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
