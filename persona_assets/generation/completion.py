"""Chat completions: a step's request, and its answer once it is checked.

Belongs here: how a request becomes a call, and a record an answer or another call. Does not belong
here: sending (engine.py), the forms of a message's content (parsing/), prompts, and differences
between providers (providers/).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from persona_assets.generation.calls.call import Call, call_key
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.engine import Engine
from persona_assets.generation.journal.call_record import CallRecord, as_object
from persona_assets.generation.parsing.finish_reasons import Finish, finish_of, shown
from persona_assets.generation.parsing.message import Message, read_message
from persona_assets.generation.parsing.model_names import other_model
from persona_assets.generation.parsing.scaffolding import Content, split_message
from persona_assets.generation.parsing.tolerant_json import (
    ParsedJson,
    read_json,
    read_strictly,
)

RESERVED = frozenset({"model", "messages", "stream", "n", "response_format"})
"""Members of the body that sampling may not set: a call has a whole answer of known form."""

MAX_TOKENS = ("max_completion_tokens", "max_tokens")
"""Members of the body that limit the length of an answer; the first that is set counts."""

LARGER = 2.0
"""Growth of the limit of tokens in a deliberate retry, where the endpoint's settings have none."""

Status = Literal["ok", "truncated", "refused", "filtered", "invalid", "error"]
"""Outcome of a request; only "ok" has a value."""

Remedy = Literal["none", "larger", "again"]
"""Request that may follow an answer without a value: none, with a larger limit, or the same."""

SCAFFOLDING = frozenset({"thinking", "template"})
"""Notes of an answer on what was removed around its content; all other notes are repairs."""

CUT_OFF = "the answer reached the limit of tokens (max_tokens)"
THINKING_ALONE = "the answer is thinking alone: raise max_tokens in the prompt's sampling"

_FINISHES: dict[Finish, tuple[Status, str, Remedy]] = {
    "truncated": ("truncated", CUT_OFF, "larger"),
    "full": ("truncated", "the answer reached the end of the model's context", "none"),
    "filtered": ("filtered", "the provider's content filter stopped the answer", "none"),
    "refused": ("refused", "the model refused", "none"),
    "spoiled": ("invalid", "the model went astray (finish_reason {})", "again"),
    "unknown": ("invalid", "unknown finish_reason {}: it may be cut off", "none"),
}
"""Status, reason and remedy of an answer that is not whole; a failed one is a failed call."""


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
        notes: "thinking" and "template" for thinking and chat-template tokens that were removed
            from the content, and the repairs of its JSON ("fence", "prose", "array", "string",
            "latex", "json"; see parsing/tolerant_json.py).
        answered_by: Model that the response names, if it is another than `model`; else "".
        unknown_finish_reason: The endpoint's word for the end of the answer, if it has no known
            meaning; else "".
    """

    completion_id: str
    model: str
    status: Status
    reason: str
    value: dict[str, Any] | None
    prompt_version: str
    notes: tuple[str, ...] = ()
    answered_by: str = ""
    unknown_finish_reason: str = ""

    @property
    def repaired(self) -> bool:
        """True if the value was read from JSON that is not as strict as was asked for."""
        return any(note not in SCAFFOLDING for note in self.notes)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a record is worth: the members of its answer, and the request that may follow."""

    status: Status
    reason: str = ""
    value: dict[str, Any] | None = None
    remedy: Remedy = "none"
    notes: tuple[str, ...] = ()
    unknown_finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class _Question(Call):
    """A request's call, the retries that led to it, and a usable answer on the way, if any."""

    request: Request = field(kw_only=True)
    larger: bool = False
    reasks: int = 0
    kept: Answer | None = None
    retry: int = 0
    """Number of retries that a person asked for, in this run or an earlier one."""
    retrying: bool = False
    """True if one of them is of this run."""


def complete(
    requests: Iterable[Request],
    engine: Engine,
    *,
    total: int | None = None,
    retry: Collection[Status] = (),
) -> Iterator[Answer]:
    """Yield an answer per request, in their order, with the guarantees of `Engine.ask`.

    A truncated answer, and one that is thinking alone, is requested once more with a larger
    max_tokens, an answer without the required form up to `Endpoint.reasks` times (see
    `Endpoint.larger_retry`). Records of the journal are parsed again, and requested again only if
    no table has been made of them: a change of `output` or of the parser sends nothing. A further
    answer that the journal already holds is preferred to a repaired one, so that rows stay as they
    are when the parser learns to repair more.

    Args:
        requests: Read as needed.
        engine: Engine to send with.
        total: Number of requests, for reports; None: `len(requests)` if it has a length.
        retry: Outcomes that are requested once more although they are final: a truncated answer
            with a larger limit, any other as it was. The further answer counts in later runs, too.

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
        verdict = _check(question.request, record)
        answer = _answer(question.request, record, verdict)
        if verdict.status == "ok" and not answer.repaired:
            return answer, None
        kept = question.kept or (answer if verdict.status == "ok" else None)
        larger = _larger(question, endpoint) if verdict.remedy == "larger" else None
        again = _again(question, endpoint)
        retried = _retried(question, endpoint, verdict.status)
        following = [other for other in (larger, again, retried) if other is not None]
        paid = next((other for other in following if other.key in engine.journal), None)
        if paid is not None:
            return answer, replace(paid, kept=kept)
        if kept is not None:
            return kept, None
        followed = {"larger": larger, "again": again, "none": None}[verdict.remedy]
        if verdict.status in retry and not question.retrying:
            followed = replace(followed or retried, deliberate=True, retrying=True)
        return answer, followed

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


def _larger(question: _Question, endpoint: Endpoint) -> _Question | None:
    """Return the question with a larger limit of tokens; None if it has none or had it before."""
    limit = next((name for name in MAX_TOKENS if isinstance(question.body.get(name), int)), None)
    if question.larger or endpoint.larger_retry <= 1 or limit is None:
        return None
    body = {**question.body, limit: int(question.body[limit] * endpoint.larger_retry)}
    return _changed(question, endpoint, body, larger=True)


def _again(question: _Question, endpoint: Endpoint) -> _Question | None:
    """Return the same question for another sample; None if no other can come or enough came."""
    body = question.body
    if question.reasks >= endpoint.reasks or body.get("temperature") == 0:
        return None
    if isinstance(seed := body.get("seed"), int):
        body = {**body, "seed": seed + 1}
    return _changed(question, endpoint, body, reasks=question.reasks + 1)


def _retried(question: _Question, endpoint: Endpoint, status: Status) -> _Question:
    """Return the question as a person has it asked once more, after all automatic retries."""
    body = question.body
    limit = next((name for name in MAX_TOKENS if isinstance(body.get(name), int)), None)
    if status == "truncated" and limit is not None:
        growth = endpoint.larger_retry if endpoint.larger_retry > 1 else LARGER
        body = {**body, limit: int(body[limit] * growth)}
    if isinstance(seed := body.get("seed"), int):
        body = {**body, "seed": seed + 1}
    return _changed(question, endpoint, body, reasks=0, retry=question.retry + 1)


def _changed(
    question: _Question, endpoint: Endpoint, body: dict[str, Any], **members: Any
) -> _Question:
    changed = replace(question, body=body, deliberate=False, **members)
    index, again, retry = question.request.index, changed.reasks, changed.retry
    key = call_key(endpoint.identity, question.url, body, index, again, retry)
    return replace(changed, key=key)


def to_answer(request: Request, record: CallRecord) -> Answer:
    """Check a record against its request.

    The endpoint's words enter `value`, and its names of model and finish reason, cut to plain
    characters, `answered_by`, `unknown_finish_reason` and `reason`.

    Example:
        >>> class Persona(BaseModel):
        ...     persona: str
        >>> request = Request("writer", (), {}, Persona, "text")
        >>> choice = {"message": {"content": "a beekeeper"}, "finish_reason": "stop"}
        >>> record = CallRecord(key="k", status_code=200, body={"choices": [choice]})
        >>> to_answer(request, record).value
        {'persona': 'a beekeeper'}
    """
    return _answer(request, record, _check(request, record))


def _answer(request: Request, record: CallRecord, verdict: _Verdict) -> Answer:
    return Answer(
        record.key,
        record.model,
        verdict.status,
        verdict.reason,
        verdict.value,
        request.prompt_version,
        verdict.notes,
        other_model(record.model, as_object(record.body).get("model")),
        verdict.unknown_finish_reason,
    )


def _check(request: Request, record: CallRecord) -> _Verdict:
    failure, choice = record.failure, record.choice
    if failure == "content_filter":
        return _Verdict("filtered", "the provider's content filter stopped the prompt")
    if failure is not None:
        return _Verdict("error", f"error:{failure}")
    finish = finish_of(choice.get("finish_reason"))
    if finish != "whole":
        status, reason, remedy = _FINISHES[finish]
        word = shown(choice.get("finish_reason"))
        unknown = word if finish == "unknown" else ""
        reason = reason.format(word)
        return _Verdict(status, reason, remedy=remedy, unknown_finish_reason=unknown)
    message = read_message(choice.get("message"))
    if message.refusal:
        return _Verdict("refused", "the model refused")
    read = _read_json if request.format == "json" else _read_text
    try:
        return read(request.output, message)
    except ValidationError as error:
        return _Verdict("invalid", _short(error, request.output), remedy="again")


def _read_json(output: type[BaseModel], message: Message) -> _Verdict:
    text = message.text.strip()
    strict = read_strictly(text, output)
    if isinstance(strict, ParsedJson):
        return _usable(strict)
    content = split_message(text)
    if not content.text:
        return _without_content(content, message)
    try:
        return _usable(read_json(content.text, output), content)
    except ValidationError:
        # A string in the JSON may speak of tags and tokens.
        if len(content.text) == len(text) or not text.startswith(("{", "[", "```")):
            raise
    return _usable(read_json(text, output))


def _read_text(output: type[BaseModel], message: Message) -> _Verdict:
    content = split_message(message.text)
    if not content.text:
        return _without_content(content, message)
    [(name, field)] = output.model_fields.items()
    return _usable(ParsedJson(output.model_validate({field.alias or name: content.text})), content)


def _usable(parsed: ParsedJson, content: Content | None = None) -> _Verdict:
    removed = [
        note for note in ("thinking", "template") if content is not None and getattr(content, note)
    ]
    value = parsed.value.model_dump(mode="json")
    return _Verdict("ok", value=value, notes=(*removed, *parsed.repairs))


def _without_content(content: Content, message: Message) -> _Verdict:
    if content.thinking or message.thinking:
        return _Verdict("invalid", THINKING_ALONE, remedy="larger")
    return _Verdict("invalid", "the answer is empty", remedy="again")


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
