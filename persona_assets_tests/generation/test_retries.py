"""Answers that cannot be used are requested again, a bounded number of times."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from persona_assets.generation import Answer, Endpoint, Engine, Journal, Request, complete
from persona_assets.generation.journal.journal import compact
from persona_assets_tests.generation.fault_server import FaultServer

Make = Callable[..., Endpoint]


class Persona(BaseModel):
    persona: str = Field(min_length=5)


class Longer(BaseModel):
    persona: str = Field(min_length=30)


def request(message: str, output: type[BaseModel] = Persona, **sampling: Any) -> Request:
    return Request("writer", ({"role": "user", "content": message},), sampling, output, "text")


class Stammer:
    """Answers too short for a Persona until a message has been sent more than `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.received: Counter[str] = Counter()

    def __call__(self, message: str) -> str:
        self.received[message] += 1
        number = self.received[message]
        return f"answer {number}" if number > self.times else "er"


def ask(server: FaultServer, endpoint: Endpoint, path: Path, *rows: Request) -> list[Answer]:
    """Complete requests, and make sure that a replay sends nothing."""
    with Journal(path, path.with_suffix(".parquet")) as journal:
        answers = list(complete(rows, Engine(endpoint, journal)))
        asked = server.asked.total()
        assert list(complete(rows, Engine(endpoint, journal))) == answers
    assert server.asked.total() == asked, "a replay costs nothing"
    return answers


def test_truncated_answer_is_requested_once_more_with_a_larger_limit(
    endpoint: Make, journal_path: Path
) -> None:
    script = {"cut once": ["length"], "cut twice": ["length", "length"]}
    with FaultServer(script) as server:
        once, twice = ask(
            server,
            endpoint(server.url, larger_retry=1.5, concurrency=1),
            journal_path,
            request("cut once", max_tokens=100),
            request("cut twice", max_completion_tokens=100),
        )
    assert (once.status, twice.status) == ("ok", "truncated")
    limits = [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in server.bodies]
    assert sorted(limits, key=str) == [(100, None), (150, None), (None, 100), (None, 150)]


@pytest.mark.parametrize(("larger_retry", "sampling"), [(1.0, {"max_tokens": 9}), (2.0, {})])
def test_truncated_answer_without_a_limit_or_a_factor_is_final(
    endpoint: Make, journal_path: Path, larger_retry: float, sampling: dict[str, int]
) -> None:
    with FaultServer(default="length") as server:
        [answer] = ask(
            server,
            endpoint(server.url, larger_retry=larger_retry),
            journal_path,
            request("row", **sampling),
        )
    assert (answer.status, server.asked["row"]) == ("truncated", 1)


@pytest.mark.parametrize(
    ("short", "reasks", "status", "asked"),
    [(1, 2, "ok", 2), (2, 2, "ok", 3), (3, 2, "invalid", 3), (1, 0, "invalid", 1)],
)
def test_answer_without_the_required_form_is_requested_again(
    endpoint: Make, journal_path: Path, short: int, reasks: int, status: str, asked: int
) -> None:
    with FaultServer(answer=Stammer(short)) as server:
        [answer] = ask(
            server, endpoint(server.url, reasks=reasks), journal_path, request("row", seed=5)
        )
    assert (answer.status, server.asked["row"]) == (status, asked)
    assert [body["seed"] for body in server.bodies] == list(range(5, 5 + asked))


def test_invalid_answer_at_temperature_0_is_final(endpoint: Make, journal_path: Path) -> None:
    with FaultServer(answer=Stammer(1)) as server:
        [answer] = ask(server, endpoint(server.url), journal_path, request("row", temperature=0.0))
    assert (answer.status, server.asked["row"]) == ("invalid", 1)


def test_retried_request_keeps_its_place_in_the_order(endpoint: Make, journal_path: Path) -> None:
    with FaultServer({f"row {n}": ["length"] for n in range(0, 60, 7)}) as server:
        server.answer = lambda message: f"answer to {message}"
        rows = [request(f"row {n}", max_tokens=10) for n in range(60)]
        answers = ask(server, endpoint(server.url, concurrency=5), journal_path, *rows)
    assert [answer.value for answer in answers] == [
        {"persona": f"answer to row {n}"} for n in range(60)
    ]
    assert server.asked.total() == 60 + 9


def test_stricter_form_sends_nothing_once_a_table_has_been_made(
    endpoint: Make, journal_path: Path
) -> None:
    landed = journal_path.with_suffix(".parquet")
    with FaultServer(answer=lambda message: f"a short answer to {message}") as server:
        ready = endpoint(server.url)
        [first] = ask(server, ready, journal_path, request("row 1"))
        assert compact(journal_path, landed) == 1
        [second] = ask(server, ready, journal_path, request("row 1", Longer))
        assert (first.status, second.status) == ("ok", "invalid")
        assert second.completion_id == first.completion_id
        assert server.asked.total() == 1
        # No table has been made of this answer, so it is requested until it is valid.
        [third] = ask(server, ready, journal_path, request("row 2", Longer))
    assert third.status == "invalid"
    assert server.asked["row 2"] == 3
