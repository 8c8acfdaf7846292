"""Replies that are no whole answer are paid for, accounted, and asked again as far as it helps."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from persona_assets.generation import (
    Answer,
    CallRecord,
    Endpoint,
    Engine,
    Journal,
    Request,
    Usage,
    complete,
    to_call,
)
from persona_assets.generation.calls.call import call_key
from persona_assets.generation.calls.endpoint import Price
from persona_assets.generation.journal.journal import compact
from persona_assets_tests.generation.fault_server import FaultServer

Make = Callable[..., Endpoint]
PRICE = Price(input=Decimal(1), output=Decimal(1))


class Persona(BaseModel):
    persona: str = Field(min_length=5)


def request(message: str, format: str = "text", **sampling: Any) -> Request:
    messages = ({"role": "user", "content": message},)
    return Request("writer", messages, sampling, Persona, format)  # type: ignore[arg-type]


def ask(endpoint: Endpoint, path: Path, *rows: Request) -> tuple[list[Answer], Usage]:
    """Complete requests with a journal and the completions file beside it."""
    with Journal(path, path.with_suffix(".parquet")) as journal:
        engine = Engine(endpoint, journal)
        return list(complete(rows, engine)), engine.usage


@pytest.mark.parametrize("word", ["error", "ABORT", "insufficient_system_resource"])
def test_reply_that_was_broken_off_is_repeated_and_both_are_paid(
    endpoint: Make, journal_path: Path, word: str
) -> None:
    with FaultServer({"row": [f"finish:{word}"]}) as server:
        ready = endpoint(server.url, price=PRICE)
        [answer], usage = ask(ready, journal_path, request("row"))
        [again], replayed = ask(ready, journal_path, request("row"))
        assert server.billed["row"] == 2
    assert answer.value == {"persona": "answer to row"}
    assert (usage.calls, usage.failed, usage.uncertain, usage.unpriced) == (2, 0, 0, 0)
    assert (usage.tokens.input, usage.tokens.output) == (14, 6)
    records = list(Journal(journal_path).records())
    assert [(record.answered, record.cost) for record in records] == [
        (False, Decimal("0.00001")),
        (True, Decimal("0.00001")),
    ]
    assert usage.cost == Decimal("0.00002")
    assert (again, replayed.calls) == (answer, 0)


def test_replies_that_are_always_broken_off_are_an_error_that_settles_nothing(
    endpoint: Make, journal_path: Path
) -> None:
    script = {"row": ["finish:error"] * 3}
    with FaultServer(script) as server:
        ready = endpoint(server.url, max_attempts=3, price=PRICE)
        [answer], usage = ask(ready, journal_path, request("row"))
        assert (answer.status, answer.reason) == ("error", "error:unfinished")
        assert (usage.calls, usage.failed, usage.cost) == (3, 1, Decimal("0.00003"))
        assert len({record.id for record in Journal(journal_path).records()}) == 3
        [later], usage = ask(ready, journal_path, request("row"))
    assert (later.status, usage.calls) == ("ok", 1)


def test_reply_that_was_broken_off_is_accounted_where_its_price_is_unknown(
    endpoint: Make, journal_path: Path
) -> None:
    with FaultServer({"row": ["finish:error"]}) as server:
        _, usage = ask(endpoint(server.url), journal_path, request("row"))
    assert (usage.calls, usage.unpriced) == (2, 2)


@pytest.mark.parametrize("compacted", [False, True])
def test_reply_that_was_broken_off_does_not_settle_its_call_in_files_of_earlier_versions(
    endpoint: Make, journal_path: Path, compacted: bool
) -> None:
    """They hold it like any other response, and their tables have been made of it."""
    with FaultServer() as server:
        ready = endpoint(server.url)
        choice = {"message": {"content": "half a sent"}, "finish_reason": "abort"}
        body = {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
        key = to_call(request("row"), ready).key
        journal_path.parent.mkdir(parents=True, exist_ok=True)
        journal_path.write_bytes(CallRecord(key, 200, body, model=ready.model).to_line())
        if compacted:
            assert compact(journal_path, journal_path.with_suffix(".parquet")) == 1
        with Journal(journal_path, journal_path.with_suffix(".parquet")) as journal:
            assert (len(journal), key in journal, journal.get(key)) == (0, False, None)
            assert [record.tokens for record in journal.records()] != [None]
        [answer], usage = ask(ready, journal_path, request("row"))
    assert (answer.status, usage.calls) == ("ok", 1)


def test_reply_with_an_unknown_finish_reason_is_told_and_not_asked_again(
    endpoint: Make, journal_path: Path
) -> None:
    with FaultServer({"row": ["finish:tired"]}) as server:
        ready = endpoint(server.url)
        [answer], _ = ask(ready, journal_path, request("row"))
        [again], _ = ask(ready, journal_path, request("row"))
        assert server.asked["row"] == 1
    assert (answer.status, answer.unknown_finish_reason) == ("invalid", "tired")
    assert "finish_reason tired" in answer.reason
    assert again == answer


@pytest.mark.parametrize(
    ("thoughts", "sampling", "status", "limits"),
    [
        (1, {"max_tokens": 100}, "ok", [100, 200]),
        (9, {"max_tokens": 100}, "invalid", [100, 200]),
        (9, {}, "invalid", [None]),
    ],
)
def test_thinking_alone_is_asked_once_more_with_a_larger_limit(
    endpoint: Make,
    journal_path: Path,
    thoughts: int,
    sampling: dict[str, int],
    status: str,
    limits: list[int | None],
) -> None:
    with FaultServer({"row": ["thinking"] * thoughts}) as server:
        [answer], _ = ask(endpoint(server.url), journal_path, request("row", **sampling))
    assert answer.status == status
    assert [body.get("max_tokens") for body in server.bodies] == limits
    if status == "invalid":
        assert "thinking alone: raise max_tokens" in answer.reason


def chat_body(content: str | None, **message: str) -> dict[str, Any]:
    choice = {"message": {"content": content, **message}, "finish_reason": "stop"}
    return {"choices": [choice], "model": "m"}


@pytest.mark.parametrize(
    "first",
    [
        chat_body('Here: {"persona": "the first answer"}'),
        chat_body(None, reasoning_content="hm"),
        chat_body('<think>hm</think>{"persona": "the first answer"'),
    ],
)
@pytest.mark.parametrize("compacted", [False, True])
def test_row_of_an_earlier_version_stays_although_its_first_answer_can_be_read_now(
    journal_path: Path, first: dict[str, Any], compacted: bool
) -> None:
    """The first answer was once asked again; the second is paid for and stands in a table."""
    endpoint = Endpoint(model="m", base_url="http://127.0.0.1:9/v1", api_key_env=None)
    question = request("row", "json", max_tokens=50, seed=1)
    call = to_call(question, endpoint)
    second = call_key(endpoint.identity, call.url, {**call.body, "seed": 2}, 0, 1)
    records = [
        CallRecord(call.key, 200, first, model="m"),
        CallRecord(second, 200, chat_body('{"persona": "the second answer"}'), model="m"),
    ]
    with Journal(journal_path) as journal:
        journal.append(*records)
    if compacted:
        compact(journal_path, journal_path.with_suffix(".parquet"))
    [answer], usage = ask(endpoint, journal_path, question)
    assert answer.value == {"persona": "the second answer"}
    assert (answer.completion_id, usage.attempts) == (second, 0)


def test_repaired_answer_stands_where_the_paid_ones_behind_it_cannot_be_used(
    journal_path: Path,
) -> None:
    endpoint = Endpoint(model="m", base_url="http://127.0.0.1:9/v1", api_key_env=None)
    question = request("row", "json")
    call = to_call(question, endpoint)
    second = call_key(endpoint.identity, call.url, call.body, 0, 1)
    with Journal(journal_path) as journal:
        journal.append(
            CallRecord(call.key, 200, chat_body('So: {"persona": "a baker"}'), model="m"),
            CallRecord(second, 200, chat_body("no JSON"), model="m"),
        )
    [answer], usage = ask(endpoint, journal_path, question)
    assert (answer.value, answer.repaired, usage.attempts) == ({"persona": "a baker"}, True, 0)


def test_repaired_answer_costs_no_further_call(endpoint: Make, journal_path: Path) -> None:
    def answer(message: str) -> str:
        return f"Here you are:\n```json\n{json.dumps({'persona': message})[:-1]},}}\n```"

    with FaultServer(answer=answer) as server:
        [repaired], _ = ask(endpoint(server.url), journal_path, request("a row", "json"))
        assert server.asked.total() == 1
    assert (repaired.value, repaired.notes) == ({"persona": "a row"}, ("prose", "json"))
