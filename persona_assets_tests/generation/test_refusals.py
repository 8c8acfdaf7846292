"""A refusal ends the run where no call can succeed, and settles no call for the next run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from persona_assets.generation import (
    Call,
    CompletionStore,
    Endpoint,
    EndpointRefused,
    Engine,
    Journal,
    Request,
    check_endpoint,
    compact,
    complete,
)
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.recording_server import RecordingServer, Reply
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call, content

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]

ZOO = Path(__file__).with_name("zoo")

REPLIES = {
    "400-key": (400, [{"error": {"code": 400, "message": f"API key not valid: {CANARY}"}}]),
    "400-context": (400, {"error": {"message": "The maximum context length is 9 tokens."}}),
    "402-in-200": (200, {"error": {"message": "Insufficient credits", "code": 402}}),
    "429-in-200": (200, {"error": {"message": "slow down", "code": 429}}),
    "400-odd": (400, {"error": {"message": "\x1b[31mcolumn 17 of 'row 3' is\nodd", "code": "odd"}}),
}


def fault_server(script: dict[str, list[str]] | None = None, default: str = "ok") -> FaultServer:
    return FaultServer(script, default=default, replies=REPLIES)


def test_wrong_key_as_400_stops_at_once_and_the_right_key_is_answered(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with fault_server(default="400-key") as server, Journal(journal_path) as journal:
        with pytest.raises(EndpointRefused, match=KEY_VARIABLE) as refused:
            list(Engine(endpoint(server.url, concurrency=2), journal).send(calls(50)))
        assert server.asked.total() <= 2
        assert 'It says: "API key not valid: [API key]"' in str(refused.value)
        server.default = "ok"
        records = list(Engine(endpoint(server.url), journal).send(calls(50)))
    assert {record.failure for record in records} == {None}


def test_wrong_key_as_400_is_found_by_the_check(endpoint: Make) -> None:
    reply = Reply(400, '[{"error": {"code": 400, "message": "API key not valid."}}]')
    with (
        RecordingServer(reply) as server,
        pytest.raises(EndpointRefused, match=KEY_VARIABLE),
    ):
        check_endpoint(endpoint(f"{server.origin}/v1"))


@pytest.mark.parametrize("form", ["journal", "completions", "compacted"])
def test_refusals_that_an_earlier_version_took_as_final_are_asked_again(
    endpoint: Make, journal_path: Path, form: str
) -> None:
    """The files are written by version 0.1.0 before it knew better; "filtered" stays final."""
    completions = journal_path.with_suffix(".parquet")
    journal_path.parent.mkdir(parents=True)
    if form == "completions":
        shutil.copy(ZOO / "earlier_completions.parquet", completions)
    else:
        shutil.copy(ZOO / "earlier_journal.jsonl", journal_path)
        if form == "compacted":
            assert compact(journal_path, completions) == 10
    refused = ["wrong key", "empty account", "too long", "no upstream", "bare", "bare null", "odd"]
    rows = [call(message) for message in ("answered", *refused, "filtered", "busy")]
    with FaultServer() as server, Journal(journal_path, completions) as journal:
        assert len(journal) == 2
        assert [row.key in journal for row in rows] == [True, *[False] * 7, True, False]
        records = list(Engine(endpoint(server.url), journal).send(rows))
        again = list(Engine(endpoint(server.url), journal).send(rows))
        assert len(list(journal.records())) == 18
    assert again == records
    assert [record.failure for record in records] == [*[None] * 8, "content_filter", None]
    assert set(server.asked) == {*refused, "busy"}
    assert compact(journal_path, completions) == (18 if form == "journal" else 8)
    with CompletionStore(completions) as store:
        assert [store.get(row.key) for row in rows] == records
        assert len(list(store.records())) == 18


def test_refusals_by_status_stop_only_if_the_first_calls_all_get_them(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {f"row {row}": ["403", "403"] for row in (0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12)}
    with fault_server(script) as server, Journal(journal_path) as journal:
        records = list(Engine(endpoint(server.url, concurrency=1), journal).send(calls(20)))
    refused = [record.failure for record in records]
    assert refused.count("no_permission") == len(script)
    assert refused.count(None) == 9
    assert set(server.asked.values()) == {1}


def test_fast_refusals_before_the_first_slow_answer_do_not_stop_the_run(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {"row 0": ["slow"], **{f"row {row}": ["400-odd"] for row in range(1, 9)}}
    with fault_server(script) as server, Journal(journal_path) as journal:
        records = list(Engine(endpoint(server.url, concurrency=9), journal).send(calls(9)))
    assert [record.failure for record in records] == [None, *["bad_request"] * 8]


@pytest.mark.parametrize("first", ["400-odd", "400-context"])
def test_equal_refusals_of_the_first_calls_stop_and_are_quoted(
    endpoint: Make, calls: Calls, journal_path: Path, first: str
) -> None:
    with fault_server(default=first) as server, Journal(journal_path) as journal:
        with pytest.raises(EndpointRefused) as refused:
            list(Engine(endpoint(server.url, concurrency=1), journal).send(calls(50)))
        assert server.asked.total() == 5
        assert len(journal) == 0
        server.default = "ok"
        records = list(Engine(endpoint(server.url), journal).send(calls(50)))
    assert {record.failure for record in records} == {None}
    cure, quotation = {
        "400-odd": ("correct the role's settings", "\"[31mcolumn 17 of 'row 3' is odd\""),
        "400-context": ("lower max_tokens", '"The maximum context length is 9 tokens."'),
    }[first]
    assert cure in str(refused.value)
    assert str(refused.value).endswith(f"It says: {quotation}")


def test_rows_refused_for_their_own_sake_do_not_stop_a_later_run(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    """The later run sends nothing but the refused calls."""
    script = {f"row {row}": ["400-context"] * 9 for row in range(10, 18)}
    with fault_server(script) as server, Journal(journal_path) as journal:
        for _ in range(2):
            engine = Engine(endpoint(server.url, concurrency=1), journal)
            records = list(engine.send(calls(20)[::-1]))
            assert [record.failure for record in records].count("too_long") == 8
    assert server.asked["row 10"] == 2
    assert set(server.billed.values()) == {1}


def test_different_refusals_of_the_first_calls_do_not_stop(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    script = {f"row {row}": ["400-odd" if row % 2 else "400-context"] for row in range(8)}
    with fault_server(script) as server, Journal(journal_path) as journal:
        records = list(Engine(endpoint(server.url, concurrency=1), journal).send(calls(10)))
    failures = [record.failure for record in records]
    assert failures == ["too_long", "bad_request"] * 4 + [None, None]


def test_key_refused_once_amid_answers_is_tried_again(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with fault_server({"row 7": ["401"]}) as server, Journal(journal_path) as journal:
        records = list(Engine(endpoint(server.url, concurrency=1), journal).send(calls(10)))
    assert {record.failure for record in records} == {None}
    assert server.asked["row 7"] == 2


def test_key_refused_for_one_call_alone_is_recorded(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with fault_server({"row 7": ["401"] * 9}) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=1, max_attempts=2), journal)
        records = list(engine.send(calls(10)))
    assert [record.failure for record in records].count(None) == 9
    assert (records[7].failure, records[7].answered, server.asked["row 7"]) == (
        "invalid_key",
        False,
        2,
    )


def test_empty_account_in_a_reply_with_status_200_stops_and_is_not_counted(
    endpoint: Make, calls: Calls, journal_path: Path
) -> None:
    with fault_server({"row 3": ["402-in-200"]}) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=1), journal)
        with pytest.raises(EndpointRefused, match=r'no quota left.*"Insufficient credits"'):
            list(engine.send(calls(10)))
        assert (engine.usage.calls, engine.usage.uncertain, len(journal)) == (3, 0, 3)


def test_rate_limit_in_a_reply_with_status_200_is_waited_for(
    endpoint: Make, journal_path: Path
) -> None:
    with fault_server({"row": ["429-in-200"]}) as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, max_attempts=1), journal)
        [record] = engine.send([call("row")])
    assert (content(record), record.attempt, engine.usage.calls) == ("answer to row", 2, 1)


class Persona(BaseModel):
    persona: str


def test_refused_rows_of_a_table_are_told_with_their_class(
    endpoint: Make, journal_path: Path
) -> None:
    question = {"role": "user", "content": "row"}
    with fault_server(default="400-context") as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        [answer] = complete([Request("w", (question,), {}, Persona, "text")], engine)
    assert (answer.status, answer.reason) == ("error", "error:too_long")
    assert engine.refusals.said == "HTTP 400: The maximum context length is 9 tokens."
