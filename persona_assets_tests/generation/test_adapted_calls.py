"""A parameter that the endpoint refuses costs one refusal, and is told in each completion."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import BaseModel

from persona_assets.generation import (
    Call,
    CallRecord,
    Endpoint,
    EndpointRefused,
    Engine,
    Journal,
    Request,
    compact,
    complete,
    to_call,
)
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets_tests.generation.batch_sending import BatchRun
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.fault_server import FaultServer

Make = Callable[..., Endpoint]

MESSAGES = {
    "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
    "temperature": "'temperature' does not support 0.5 with this model.",
    "response_format": "This response_format type is unavailable now",
}
REPLIES = {
    f"400-{name}": (400, {"error": {"message": message, "code": None}})
    for name, message in MESSAGES.items()
}
FORM = {"type": "json_schema", "json_schema": {"name": "Persona"}}


class Refusing(FaultServer):
    """Server of a model that takes none of three parameters, and no form of an answer."""

    def __init__(self, refused: tuple[str, ...] = tuple(MESSAGES)) -> None:
        super().__init__(replies=REPLIES, answer=lambda message: json.dumps({"persona": message}))
        self.refused = refused

    def step(self, message: str, body: dict[str, Any]) -> str:
        present = (name for name in self.refused if name in body)
        return next((f"400-{name}" for name in present), super().step(message, body))


class Persona(BaseModel):
    persona: str


def request(row: int) -> Request:
    question = {"role": "user", "content": f"row {row}"}
    sampling = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9}
    return Request("writer", (question,), sampling, Persona, "json")


def ask(server: FaultServer, ready: Endpoint, journal: Journal, known: Path, rows: range) -> Engine:
    engine = Engine(ready, journal, adaptations=Adaptations(ready, known))
    answers = list(complete(map(request, rows), engine))
    assert [answer.value for answer in answers] == [{"persona": f"row {row}"} for row in rows]
    return engine


def test_refused_parameters_cost_a_refusal_each_and_none_in_the_next_run(
    endpoint: Make, journal_path: Path, tmp_path: Path
) -> None:
    known, completions = tmp_path / "endpoints.jsonl", journal_path.with_suffix(".parquet")
    with Refusing() as server:
        ready = endpoint(server.url, concurrency=1)
        with Journal(journal_path, completions) as journal:
            first = ask(server, ready, journal, known, range(4))
            # The schema, then any object, the limit, the temperature.
            assert server.asked == {"row 0": 5, "row 1": 1, "row 2": 1, "row 3": 1}
            ask(server, ready, journal, known, range(4, 6))
            assert (server.asked["row 4"], server.asked["row 5"]) == (1, 1)
            replay = ask(server, ready, journal, known, range(6))
            assert (replay.usage.calls, replay.usage.replayed) == (0, 6)
            keys = [to_call(request(row), ready).key for row in range(6)]
            records = [journal.get(key) for key in keys]
        assert server.asked.total() == 10
    assert server.bodies[-1] == {
        "model": "test-model",
        "messages": [{"role": "user", "content": "row 5"}],
        "top_p": 0.9,
        "max_completion_tokens": 9,
    }
    sent = {
        "max_tokens": None,
        "max_completion_tokens": 9,
        "temperature": None,
        "response_format": None,
    }
    assert [record.sent for record in records if record] == [sent] * 6
    assert [record.attempt for record in records if record] == [5, 1, 1, 1, 1, 1]
    assert len(first.adaptations.sentences) == 4
    assert all(server.url.split("/")[2] in line for line in first.adaptations.sentences)
    assert (first.usage.failed, first.usage.calls) == (0, 4)
    compact(journal_path, completions)
    with Journal(journal_path, completions) as journal:
        assert [journal.get(key) for key in keys] == records
    query = f"SELECT DISTINCT sent->>'max_completion_tokens' FROM '{completions}'"
    assert duckdb.sql(query).fetchall() == [("9",)]


def test_calls_in_flight_together_are_each_adapted(
    endpoint: Make, journal_path: Path, tmp_path: Path
) -> None:
    known = tmp_path / "endpoints.jsonl"
    with Refusing(("max_tokens",)) as server, Journal(journal_path) as journal:
        ready = endpoint(server.url, concurrency=8)
        ask(server, ready, journal, known, range(40))
        assert server.asked.total() <= 48
        assert set(server.billed.values()) == {1}
    assert len(known.read_bytes().splitlines()) == 1


def test_limit_of_tokens_is_never_left_out(endpoint: Make, journal_path: Path) -> None:
    """The endpoint refuses both names of the limit: the run stops after the first calls."""

    class Neither(Refusing):
        def step(self, message: str, body: dict[str, Any]) -> str:
            name = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
            message = f"Unsupported parameter: {name}"
            self.replies["400-limit"] = (400, {"error": {"message": message}})
            return "400-limit"

    with Neither() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, concurrency=1), journal)
        with pytest.raises(EndpointRefused, match=r"refuses a parameter.*max_completion_tokens"):
            list(complete(map(request, range(50)), engine))
    assert server.asked.total() == 10
    assert engine.adaptations.changes == ()
    assert all({"max_tokens", "max_completion_tokens"} & body.keys() for body in server.bodies)


def test_wrong_guess_is_not_kept(endpoint: Make, journal_path: Path) -> None:
    """A refusal that names a parameter by chance comes back without it."""
    reply = (400, {"error": {"message": "This temperature of tone is not allowed."}})
    with FaultServer({"row 3": ["400-tone"] * 9}, replies={"400-tone": reply}) as server:
        server.answer = lambda message: json.dumps({"persona": message})
        with Journal(journal_path) as journal:
            engine = Engine(endpoint(server.url, concurrency=1), journal)
            answers = list(complete(map(request, range(6)), engine))
    assert [answer.status for answer in answers] == ["ok"] * 3 + ["error"] + ["ok"] * 2
    assert engine.adaptations.changes == ()
    assert server.asked["row 3"] == 2
    assert [body.get("temperature") for body in server.bodies].count(None) == 1


class RefusingBatch(BatchServer):
    """Batch API of a model that takes no `max_tokens`."""

    def _answer(self, request: dict[str, Any], output: list[bytes], errors: list[bytes]) -> None:
        if "max_tokens" in request["body"]:
            body = {"error": {"message": MESSAGES["max_tokens"], "code": "unsupported_parameter"}}
            line = {"custom_id": request["custom_id"], "response": {"status_code": 400}}
            line["response"]["body"] = body
            errors.append(json.dumps(line).encode())
        else:
            super()._answer(request, output, errors)


def test_batch_leaves_refused_lines_for_an_adapted_batch_and_the_next_run_knows(
    endpoint: Make, journal_path: Path, tmp_path: Path
) -> None:
    def limited(row: int) -> Call:
        body = to_call(request(row), endpoint("http://x/v1")).body
        return Call(f"{row:032x}", "/chat/completions", body)

    known = tmp_path / "endpoints.jsonl"
    with RefusingBatch() as server:
        ready = endpoint(server.url, transport="batch", batch_poll=0.02)
        with BatchRun(ready, journal_path, adaptations=Adaptations(ready, known)) as run:
            records = run.land([limited(row) for row in range(7)])
            assert {record.failure for record in records.values()} == {None}
            assert {record.attempt for record in records.values()} == {2}
        with BatchRun(ready, journal_path, adaptations=Adaptations(ready, known)) as run:
            [record] = run.land([limited(8)]).values()
            assert record.attempt == 1
    sent = {"max_tokens": None, "max_completion_tokens": 9}
    assert [old.sent for old in [*records.values(), record]] == [sent] * 8
    assert [len(server.requests(upload)) for upload in server.uploads] == [7, 7, 1]
    bodies = [line["body"] for upload in server.uploads for line in server.requests(upload)]
    assert [body.get("max_completion_tokens") for body in bodies] == [None] * 7 + [9] * 8


def test_completions_file_of_an_earlier_version_takes_new_records(
    journal_path: Path, tmp_path: Path
) -> None:
    earlier = Path(__file__).with_name("zoo") / "earlier_completions.parquet"
    completions = tmp_path / "completions.parquet"
    completions.write_bytes(earlier.read_bytes())
    with Journal(journal_path, completions) as journal:
        before = list(journal.records())
        journal.append(CallRecord("new", 200, {"choices": []}, sent={"seed": None}))
    assert compact(journal_path, completions) == 1
    with Journal(journal_path, completions) as journal:
        records = list(journal.records())
        assert records[:-1] == before
        new = journal.get("new")
        assert new is not None
        assert new.sent == {"seed": None}
