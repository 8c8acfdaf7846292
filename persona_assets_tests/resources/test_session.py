"""A session completes and embeds for a table, under the limits of the settings."""

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, Field

from persona_assets.generation import BudgetReached, EndpointError, Request
from persona_assets.resources.models import Models
from persona_assets.resources.session import QuarantineError, Session
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage
from persona_assets_tests.generation.fault_server import FaultServer, chat, embeddings
from persona_assets_tests.generation.sample_calls import CANARY

Open = Callable[..., Session]
KEY_VARIABLE = "KEY_OF_A_SESSION"

STEPS = {"refusal": "refused", "length": "truncated"}
"""Steps of the server's script that make an answer unusable, and the answer's status."""


class Persona(BaseModel):
    persona: str = Field(min_length=5)


def requests(number: int, role: str = "writer") -> list[Request]:
    """Return the requests "row 0", "row 1" ..."""
    return [
        Request(
            role, ({"role": "user", "content": f"row {n}"},), {"max_tokens": 3}, Persona, "text"
        )
        for n in range(number)
    ]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def opened(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens the session of a table, with settings that may be changed."""
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    endpoint = {
        "model": "m",
        "base_url": server.url,
        "api_key_env": KEY_VARIABLE,
        "max_attempts": 1,
        "reasks": 0,
        "price": {"input": 10, "output": 3000},
    }
    contexts = []

    def open_session(**changes: Any) -> Session:
        roles = {role: endpoint for role in ("writer", "evaluation", "embedder")}
        values: dict[str, Any] = {"data_dir": tmp_path, "max_quarantine_share": 0.25}
        settings = Settings.load(**values | roles | changes)
        models = Models(settings, Storage(tmp_path))
        context = models.session("an_asset", None, "run 1", print, backfill="night 1")
        contexts.append(context)
        return context.__enter__()

    yield open_session
    for context in contexts:
        context.__exit__(None, None, None)


def test_session_completes_requests_and_reports_their_cost(opened: Open) -> None:
    session = opened()
    assert [answer.status for answer in session.complete(requests(8))] == ["ok"] * 8
    metadata = session.metadata()
    assert (metadata["calls"], metadata["unpriced_calls"]) == (8, 0)
    assert metadata["models"] == ["m"]
    assert metadata["cost_usd"] == pytest.approx(8 * 0.00907)


def test_metadata_of_an_unknown_price_count_calls_but_hold_no_cost(
    server: FaultServer, opened: Open
) -> None:
    endpoint = {"model": "m", "base_url": server.url, "api_key_env": KEY_VARIABLE}
    session = opened(writer=endpoint)
    list(session.complete(requests(2)))
    metadata = session.metadata()
    assert "cost_usd" not in metadata
    assert (metadata["calls"], metadata["unpriced_calls"]) == (2, 2)


@pytest.mark.parametrize(("step", "status"), STEPS.items())
def test_too_large_a_share_of_unusable_answers_raises(
    server: FaultServer, opened: Open, step: str, status: str
) -> None:
    server.script = {f"row {n}": [step, step] for n in range(10)}
    session = opened()
    with pytest.raises(QuarantineError, match=rf"10 of 39 .*\({status} 10\)"):
        list(session.complete(requests(39)))
    assert len(list(session.complete(requests(40)))) == 40


@pytest.mark.parametrize("step", STEPS)
def test_share_of_unusable_answers_does_not_count_below_a_number_of_answers(
    server: FaultServer, opened: Open, step: str
) -> None:
    server.script = {f"row {n}": [step, step] for n in range(10)}
    assert len(list(opened().complete(requests(11)))) == 11


@pytest.mark.parametrize("step", STEPS)
def test_unusable_answers_of_an_evaluated_model_do_not_count(
    server: FaultServer, opened: Open, step: str
) -> None:
    server.script = {f"row {n}": [step, step] for n in range(10)}
    assert len(list(opened().complete(requests(39, "evaluation")))) == 39


def test_errors_raise_however_few_the_rows(server: FaultServer, opened: Open) -> None:
    server.script = {"row 0": ["500"]}
    with pytest.raises(EndpointError, match=r"1 of 3 .*error:server_error 1"):
        list(opened().complete(requests(3)))


def test_refusals_of_a_small_table_are_quoted(server: FaultServer, opened: Open) -> None:
    server.default = "400-odd"
    server.replies["400-odd"] = (400, {"error": {"message": "we \x1b[1mdo not serve\nthis"}})
    with pytest.raises(EndpointError, match=r'3 of 3 .*"HTTP 400: we \[1mdo not serve this"'):
        list(opened().complete(requests(3)))


def test_refused_parameter_is_told_in_report_and_metadata_and_known_to_the_next_session(
    server: FaultServer,
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.replies["400-limit"] = (400, {"error": {"message": "Unknown parameter: max_tokens"}})

    def step(message: str, body: dict[str, Any]) -> str:
        return "400-limit" if "max_tokens" in body else "ok"

    monkeypatch.setattr(server, "step", step)
    first = opened()
    assert "adaptations" not in first.metadata()
    list(first.complete(requests(1)))
    [line] = first.metadata()["adaptations"]
    assert "max_completion_tokens in place of max_tokens" in line
    assert '"Unknown parameter: max_tokens"' in line
    assert capsys.readouterr().out.count(line) == 1
    assert server.asked.total() == 2
    first._journal.close()
    second = opened()
    list(second.complete(requests(2)))
    assert server.asked.total() == 3
    assert second.metadata()["adaptations"] == [line]
    assert capsys.readouterr().out.count(line) == 1


@pytest.mark.parametrize("setting", ["run_budget", "backfill_budget"])
def test_caps_in_the_settings_hold(server: FaultServer, opened: Open, setting: str) -> None:
    session = opened(**{setting: "0.1"})
    with pytest.raises(BudgetReached, match=f"PERSONA_{setting.upper()}"):
        list(session.complete(requests(100)))
    assert 1 <= server.billed.total() <= 11


def test_session_embeds_by_base64_or_by_numbers(server: FaultServer, opened: Open) -> None:
    plain = [[3.0, 4.0], [0.0, 2.0]]
    packed = [base64.b64encode(struct.pack("<2f", *vector)).decode() for vector in plain]
    replies = iter([embeddings(plain), embeddings(packed)])
    server.reply = lambda message, body: next(replies)  # type: ignore[method-assign]
    session = opened()
    for texts in (["a", "b"], ["c", "d"]):
        np.testing.assert_allclose(session.embed(texts), [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)
    assert server.bodies[0]["encoding_format"] == "base64"


def test_long_texts_are_divided_among_calls_by_their_bytes(
    server: FaultServer, opened: Open
) -> None:
    def reply(message: str, body: dict[str, Any]) -> str:
        return embeddings([[float(len(text)), 1.0] for text in body["input"]])

    server.reply = reply  # type: ignore[method-assign]
    texts = ["é" * 40, "a" * 30, "b" * 90, "c" * 200, *(f"{number:03}" for number in range(80))]
    vectors = opened().embed(texts, batch_bytes=120)
    lengths = np.array([len(text) for text in texts])
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], lengths, rtol=1e-5)
    sizes = [sum(len(text.encode()) for text in body["input"]) for body in server.bodies]
    # A text above the limit has a call of its own.
    assert sorted(sizes) == [90, 110, 120, 120, 200]


def test_metadata_tell_repairs_other_models_and_unknown_finish_reasons(
    server: FaultServer, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = {"row 1": ["finish:tired"], "row 3": ["finish:tired"]}
    server.answer = lambda message: f'<think>hm</think>So: {{"persona": "{message}",}}'
    session = opened(max_quarantine_share=1)
    questions = [replace(question, format="json") for question in requests(5)]
    answers = list(session.complete(questions))
    assert [answer.status for answer in answers] == ["ok", "invalid", "ok", "invalid", "ok"]
    metadata = session.metadata()
    assert metadata["repaired"] == 3
    assert metadata["removed_or_repaired"] == {"thinking": 3, "prose": 3, "json": 3}
    assert metadata["answered_by"] == {"test-model-2026": 5}
    assert metadata["unknown_finish_reasons"] == {"tired": 2}
    lines = capsys.readouterr().out
    assert lines.count("writer: 'test-model-2026' answers in place of 'm'") == 1
    assert lines.count("unknown finish_reason 'tired'") == 1


def test_unknown_finish_reasons_that_empty_a_table_are_named(
    server: FaultServer, opened: Open
) -> None:
    server.default = "finish:tired"
    with pytest.raises(QuarantineError, match="finish_reason tired 20"):
        list(opened().complete(requests(20)))


def test_metadata_name_a_bounded_number_of_models(server: FaultServer, opened: Open) -> None:
    def reply(message: str, body: dict[str, Any]) -> str:
        return chat("an answer").replace("test-model-2026", f"model {message}")

    server.reply = reply  # type: ignore[method-assign]
    session = opened()
    list(session.complete(requests(30)))
    answered_by = session.metadata()["answered_by"]
    assert (len(answered_by), answered_by["others"]) == (21, 10)


def test_vectors_without_an_index_are_in_the_order_of_the_texts(
    server: FaultServer, opened: Open
) -> None:
    rows = [{"embedding": [3.0, 4.0]}, {"embedding": [0.0, 2.0]}]
    server.reply = lambda message, body: json.dumps({"data": rows})  # type: ignore[method-assign]
    np.testing.assert_allclose(opened().embed(["a", "b"]), [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)


def test_vectors_of_one_index_are_no_answer(server: FaultServer, opened: Open) -> None:
    rows = [{"index": 0, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [0.0, 2.0]}]
    server.reply = lambda message, body: json.dumps({"data": rows})  # type: ignore[method-assign]
    with pytest.raises(EndpointError, match="malformed"):
        opened().embed(["a", "b"])


def test_vectors_that_cannot_be_used_name_the_response_and_the_cure(
    server: FaultServer, opened: Open
) -> None:
    rows = [{"embedding": [3.0, 4.0]}, {"embedding": [0.0]}]
    server.reply = lambda message, body: json.dumps({"data": rows})  # type: ignore[method-assign]
    with pytest.raises(EndpointError, match=r"cannot be used: .*differ in length.*journal"):
        opened().embed(["a", "b"])
