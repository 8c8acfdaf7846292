"""Requests become calls, and records become checked answers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from persona_assets.generation import (
    Answer,
    CallRecord,
    Endpoint,
    Engine,
    Journal,
    Request,
    complete,
    to_answer,
    to_call,
)
from persona_assets_tests.generation.fault_server import FaultServer

Make = Callable[..., Endpoint]


class Persona(BaseModel):
    persona: str = Field(min_length=5, max_length=300)


class Trade(BaseModel):
    name: str = Field(pattern="^[a-z]+$")
    years: int | None = None


class Life(BaseModel):
    trades: list[Trade]
    title: Literal["short", "long"] = "short"


PLAIN = Endpoint(model="m")


def request(
    output: type[BaseModel] = Persona,
    format: Literal["text", "json"] = "text",
    sampling: Mapping[str, Any] | None = None,
    message: str = "Who reads this?",
    **more: Any,
) -> Request:
    messages = ({"role": "user", "content": message},)
    return Request("writer", messages, sampling or {}, output, format, **more)


def answer_to(question: Request, content: object, **changes: Any) -> Answer:
    """Return the answer to a question, given the content of the model's message."""
    message = {"role": "assistant", "content": content, "refusal": changes.pop("refusal", None)}
    choice = {"message": message, "finish_reason": changes.pop("finish", "stop")}
    record = CallRecord(key="k", status_code=200, body={"choices": [choice]}, model="m")
    return to_answer(question, record)


def test_text_answer_is_the_value_of_the_only_field() -> None:
    answer = answer_to(request(prompt_version="v2"), "  a patient beekeeper\n")
    assert (answer.status, answer.reason) == ("ok", "")
    assert answer.value == {"persona": "a patient beekeeper"}
    assert (answer.completion_id, answer.model, answer.prompt_version) == ("k", "m", "v2")


def test_request_of_two_fields_is_refused_in_text_format() -> None:
    with pytest.raises(ValueError, match="use the json format"):
        request(Trade, "text")


@pytest.mark.parametrize(
    "wrap", ["{}", "```json\n{}\n```", "```\n{}\n```", "\n ```json\n{}\n``` \n", "```JSON\n{}```"]
)
def test_json_answer_is_read_with_and_without_a_fence(wrap: str) -> None:
    life = {"trades": [{"name": "baker", "years": 3}], "title": "long"}
    answer = answer_to(request(Life, "json"), wrap.replace("{}", json.dumps(life)))
    assert answer.value == life
    assert answer.status == "ok"


@pytest.mark.parametrize(
    ("output", "content", "reason"),
    [
        (Life, "not json SECRET", "Invalid JSON"),
        (Life, '{"trades": "SECRET"}', "trades: "),
        (Life, '{"trades": [{"name": "SECRET"}], "title": "SECRET"}', "(and 1 more)"),
        (Life, '["SECRET"]', ""),
        (Life, "```json\nSECRET", "Invalid JSON"),
        (Life, '{"trades": [' * 2000, "Invalid JSON"),
        (Life, '{"trades": "\ud800SECRET"}', ""),
        (Life, "", "the answer is empty"),
        (Life, None, "the answer is empty"),
        (Life, [{"type": "text", "text": "SECRET"}], "Invalid JSON"),
        (Life, 'SECRET: {"trades": ["SECRET"]', "Invalid JSON"),
        (Life, 'SECRET: {"trades": "SECRET"}', "trades: "),
    ],
)
def test_reason_of_an_invalid_answer_names_the_error_but_not_the_answer(
    output: type[BaseModel], content: object, reason: str
) -> None:
    answer = answer_to(request(output, "json"), content)
    assert (answer.status, answer.value) == ("invalid", None)
    assert reason in answer.reason
    assert 0 < len(answer.reason) <= 200
    assert "SECRET" not in answer.reason


@pytest.mark.parametrize("text", ["tiny", "x" * 301, "a lone \ud800 surrogate"])
def test_text_answer_beyond_the_limits_of_its_field_is_invalid(text: str) -> None:
    answer = answer_to(request(), text)
    assert answer.status == "invalid"
    assert answer.reason.startswith("persona: ")


@pytest.mark.parametrize(
    ("finish", "status"), [("length", "truncated"), ("content_filter", "filtered")]
)
def test_answer_that_was_cut_off_has_the_status_of_its_finish_reason(
    finish: str, status: str
) -> None:
    assert answer_to(request(), "a whole sent", finish=finish).status == status


def test_answer_with_a_refusal_is_refused() -> None:
    assert answer_to(request(), None, refusal="I would rather not").status == "refused"


def test_filtered_prompt_is_filtered() -> None:
    filtered = CallRecord(
        key="k", status_code=400, error={"code": "content_filter", "message": "no"}
    )
    assert to_answer(request(), filtered).status == "filtered"


def test_failed_call_is_an_error_whose_reason_is_its_class() -> None:
    failed = CallRecord(key="k", error={"code": "timeout", "message": "SECRET"})
    answer = to_answer(request(), failed)
    assert (answer.status, answer.reason, answer.value) == ("error", "error:timeout", None)


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": []}, {"choices": [3]}, {"choices": {}}, {"choices": [{"message": "text"}]}],
)
def test_body_of_any_shape_is_an_invalid_answer(body: dict[str, Any]) -> None:
    record = CallRecord(key="k", status_code=200, body=body)
    assert to_answer(request(), record).status == "invalid"


def test_schema_is_strict_and_keeps_patterns() -> None:
    body = to_call(request(Life, "json"), PLAIN).body
    assert body["response_format"]["type"] == "json_schema"
    schema = body["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Life", True)
    assert schema["schema"] == {
        "$defs": {
            "Trade": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-z]+$"},
                    "years": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                },
                "required": ["name", "years"],
                "additionalProperties": False,
            }
        },
        "type": "object",
        "properties": {
            "trades": {"type": "array", "items": {"$ref": "#/$defs/Trade"}},
            "title": {"type": "string", "enum": ["short", "long"]},
        },
        "required": ["trades", "title"],
        "additionalProperties": False,
    }


def test_schema_keeps_limits_of_length() -> None:
    limits = to_call(request(Persona, "json"), PLAIN).body["response_format"]["json_schema"]
    assert limits["schema"]["properties"]["persona"] == {
        "type": "string",
        "minLength": 5,
        "maxLength": 300,
    }


def test_response_format_is_the_one_that_the_endpoint_accepts() -> None:
    def body(structured: str, question: Request) -> dict[str, Any]:
        return to_call(question, Endpoint(model="m", structured_output=structured)).body  # type: ignore[arg-type]

    question = request(Life, "json")
    assert body("json_object", question)["response_format"] == {"type": "json_object"}
    assert "response_format" not in body("none", question)
    assert "response_format" not in body("json_schema", request())


def test_sampling_of_the_endpoint_overrides_the_prompts() -> None:
    endpoint = Endpoint(
        model="m", sampling={"min_p": 0.1, "temperature": 0.2, "max_tokens": None, "seed": 1}
    )
    question = request(sampling={"temperature": 1.0, "max_tokens": 50, "top_p": 0.9})
    body = to_call(question, endpoint).body
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Who reads this?"}],
        "temperature": 0.2,
        "top_p": 0.9,
        "min_p": 0.1,
        "seed": 1,
    }


@pytest.mark.parametrize("member", ["model", "messages", "stream", "n", "response_format"])
def test_sampling_may_not_set_a_reserved_member(member: str) -> None:
    with pytest.raises(ValueError, match=member):
        to_call(request(sampling={member: 2}), PLAIN)


def test_key_depends_on_sample_and_weights_but_not_on_prompt_version_and_address() -> None:
    key = to_call(request(prompt_version="v1"), PLAIN).key
    assert to_call(request(prompt_version="v2"), PLAIN).key == key
    assert to_call(request(index=1), PLAIN).key != key
    assert to_call(request(), Endpoint(model="m", base_url="http://h/v1")).key == key
    assert to_call(request(), Endpoint(model="m", weights_sha256="ab")).key != key


def test_complete_yields_an_answer_per_request_and_replays_it(
    endpoint: Make, journal_path: Path
) -> None:
    rows = [request(message=f"row {n}", prompt_version="v1") for n in range(30)]
    script = {
        "row 3": ["refusal"],
        "row 4": ["length"],
        "row 5": ["content_filter"],
        "row 6": ["400-filter"],
        "row 7": ["400", "400"],
        "row 8": ["500"],
    }
    with FaultServer(script) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        answers = list(complete(rows, engine))
        again = list(complete(iter(rows), engine))
    assert answers == again
    # The refused row is asked again.
    assert server.asked.total() == 32
    statuses = {n: answer.status for n, answer in enumerate(answers) if answer.status != "ok"}
    assert statuses == {3: "refused", 4: "truncated", 5: "filtered", 6: "filtered", 7: "error"}
    assert answers[9].value == {"persona": "answer to row 9"}
    assert answers[9].prompt_version == "v1"
    assert len({answer.completion_id for answer in answers}) == 30
