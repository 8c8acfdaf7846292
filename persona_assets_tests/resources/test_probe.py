"""Each endpoint, model and shape of request gets a tiny call before its first real one.

It is made once a project and again after a refusal; its answer is in the accounts, and its failure
stops the table.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import (
    BudgetReached,
    CallRecord,
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
    Journal,
    Request,
)
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session
from persona_assets.settings import Settings
from persona_assets.storage.storage import PROBE, Storage
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import CANARY

KEY_VARIABLE = "KEY_OF_A_PROBE"
SAMPLING = {"max_tokens": 500, "temperature": 0.7}

Open = Callable[..., AbstractContextManager[Session]]
Body = dict[str, Any]


class Persona(BaseModel):
    persona: str


def request(text: str, form: str = "text", role: str = "writer", **sampling: Any) -> Request:
    message = ({"role": "user", "content": text},)
    return Request(role, message, SAMPLING | sampling, Persona, form)  # type: ignore[arg-type]


def unsupported(parameter: str) -> tuple[int, Body]:
    message = f"Unsupported parameter: {parameter}"
    return 400, {"error": {"message": message, "code": "unsupported_parameter"}}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(answer=lambda message: '{"persona": "a beekeeper"}') as server:
        yield server


@pytest.fixture
def opened(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return a function that opens the session of a table at the server."""
    monkeypatch.setenv(KEY_VARIABLE, CANARY)

    def open_session(asset: str = "an_asset", **changes: Any) -> AbstractContextManager[Session]:
        endpoint = {
            "model": "m",
            "base_url": server.url,
            "api_key_env": KEY_VARIABLE,
            "max_attempts": 1,
            "structured_output": "json_schema",
            "price": {"input": 10, "output": 3000},
            **changes,
        }
        roles: dict[str, Any] = dict.fromkeys(("writer", "solver", "embedder"), endpoint)
        settings = Settings.load(data_dir=tmp_path, max_quarantine_share=0, run_budget=5, **roles)
        return Models(settings, Storage(tmp_path)).session(asset, None, "run 1", print)

    return open_session


def probe_records(folder: Path) -> list[CallRecord]:
    storage = Storage(folder)
    files = storage.journal(PROBE, None), storage.completions(PROBE, None)
    return list(Journal(*files).records())


def test_first_call_of_a_shape_is_probed_with_its_sampling_and_few_tokens(
    server: FaultServer, opened: Open
) -> None:
    with opened() as session:
        list(session.complete([request("row 0"), request("row 1"), request("row 2", "json")]))
        session.embed(["a text"])
    text, schema, embedding = server.probes
    assert (text["max_tokens"], text["temperature"], text["model"]) == (16, 0.7, "m")
    assert "response_format" not in text
    assert schema["response_format"]["json_schema"]["name"] == "probe"
    assert (len(embedding["input"]), embedding["encoding_format"]) == (1, "base64")
    assert server.asked.total() == 4


def test_probed_shape_is_known_to_other_tables_roles_and_runs(
    server: FaultServer, opened: Open
) -> None:
    with opened() as session:
        list(session.complete([request("row 0"), request("row 1", role="solver")]))
    with opened("another_asset") as session:
        list(session.complete([request("row 2", max_tokens=9)]))
    assert len(server.probes) == 1
    with opened("another_asset", model="another-model") as session:
        list(session.complete([request("row 3")]))
    assert [body["model"] for body in server.probes] == ["m", "another-model"]


def test_session_that_replays_everything_probes_nothing(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    with opened() as session:
        list(session.complete([request("row 0")]))
    Storage(tmp_path).endpoints.unlink()
    with opened() as session:
        list(session.complete([request("row 0")]))
    assert len(server.probes) == 1


def test_answer_to_a_probe_is_told_journaled_and_in_the_ledger_and_the_catalog(
    opened: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened() as session:
        list(session.complete([request("row 0")]))
        metadata = session.metadata()
    cost = Decimal("0.00907")
    assert (metadata["calls"], metadata["probe_calls"]) == (1, 1)
    assert metadata["probe_cost_usd"] == pytest.approx(float(cost))
    assert "text with max_tokens temperature (1 calls, 0.009070 US dollars)" in (
        capsys.readouterr().out
    )
    [record] = probe_records(tmp_path)
    assert (record.cost, record.run_id, record.prompt_version) == (cost, "run 1", "probe")
    catalog = Catalog(Storage(tmp_path), {})
    catalog.rebuild()
    usage = {row["asset"]: row["cost_usd"] for row in catalog.usage().iter_rows(named=True)}
    assert usage == {PROBE: cost, "an_asset": cost}


def test_probe_is_held_by_a_cap(server: FaultServer, opened: Open) -> None:
    with opened(price={"input": 10, "output": 1_000_000}) as session, pytest.raises(BudgetReached):
        list(session.complete([request("row 0")]))
    assert server.probes == []


def test_truncated_answer_to_a_probe_is_a_success(server: FaultServer, opened: Open) -> None:
    server.meets_probe = lambda body: "length"
    with opened() as session:
        assert [answer.status for answer in session.complete([request("row 0")])] == ["ok"]


def test_probe_whose_few_tokens_are_refused_has_the_limit_of_the_request(
    server: FaultServer, opened: Open
) -> None:
    message = "max_tokens must be greater than thinking.budget_tokens"
    server.replies["400-few"] = (400, {"error": {"message": message}})
    server.meets_probe = lambda body: "400-few" if body["max_tokens"] < 100 else "ok"
    with opened() as session:
        list(session.complete([request("row 0")]))
    assert [body["max_tokens"] for body in server.probes] == [16, 500]


def test_refused_parameter_is_learnt_by_the_probe_and_never_sent_again(
    server: FaultServer, opened: Open
) -> None:
    server.replies["400-form"] = unsupported("response_format")
    server.meets_probe = lambda body: "400-form" if "response_format" in body else "ok"
    with opened() as session:
        list(session.complete([request("row 0", "json"), request("row 1", "json")]))
    # A schema, any object, and neither.
    assert len(server.probes) == 3
    assert server.asked.total() == 2
    assert all("response_format" not in body for body in server.bodies)
    with opened("another_asset") as session:
        list(session.complete([request("row 2", "json")]))
    assert len(server.probes) == 3


def test_unknown_model_stops_before_any_call_and_names_the_nearest(
    server: FaultServer, opened: Open
) -> None:
    server.models = ["openai/gpt-4o", "gpt-4o-mini", "whisper-1"]
    server.replies["404-model"] = (404, {"error": {"message": "what is gtp-4o?"}})
    server.meets_probe = lambda body: "404-model"
    with opened(model="gtp-4o") as session, pytest.raises(EndpointRefused) as caught:
        list(session.complete([request("row 0")]))
    message = str(caught.value)
    assert "probe of the model 'gtp-4o' at 127.0.0.1" in message
    assert "correct model or base_url" in message
    assert "what is gtp-4o?" in message
    assert message.endswith("does not list that model among its 3; nearest: openai/gpt-4o")
    assert server.asked.total() == 0


def test_answer_counts_more_than_a_list_without_the_model(
    server: FaultServer, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    server.models = ["another-model"]
    with opened() as session:
        assert [answer.status for answer in session.complete([request("row 0")])] == ["ok"]
    assert "nearest: another-model" in capsys.readouterr().out


@pytest.mark.parametrize("listed", ["m", "models/M", "m:latest", "m-2026-01-31"])
def test_listed_model_may_have_a_provider_a_tag_or_a_date(
    server: FaultServer, opened: Open, capsys: pytest.CaptureFixture[str], listed: str
) -> None:
    server.models = [listed]
    with opened() as session:
        list(session.complete([request("row 0")]))
    assert "does not list" not in capsys.readouterr().out


def test_failed_probe_is_repeated_by_the_next_run(server: FaultServer, opened: Open) -> None:
    server.meets_probe = lambda body: "500"
    with opened() as session, pytest.raises(EndpointError, match=r"HTTP 500.*Run again"):
        list(session.complete([request("row 0")]))
    server.meets_probe = lambda body: "ok"
    with opened() as session:
        list(session.complete([request("row 0")]))
    assert (len(server.probes), server.asked.total()) == (2, 1)


def test_run_that_the_endpoint_refuses_is_followed_by_a_new_probe(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    with opened() as session:
        list(session.complete([request("row 0")]))
    server.default = "401"
    with opened("another_asset") as session, pytest.raises(EndpointRefused, match=KEY_VARIABLE):
        list(session.complete([request("row 1")]))
    server.default = "ok"
    with opened("another_asset") as session:
        list(session.complete([request("row 1")]))
    assert len(server.probes) == 2
    assert len({record.key for record in probe_records(tmp_path)}) == 2


def test_missing_key_and_unreachable_endpoint_send_no_probe(
    server: FaultServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with opened() as session, pytest.raises(EndpointRefused, match=f"{KEY_VARIABLE} is not set"):
        list(session.complete([request("row 0")]))
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    server.refuse_connections()
    with opened() as session, pytest.raises(EndpointUnreachable, match=r"probe.*cannot be reached"):
        list(session.complete([request("row 0")]))
    assert server.probes == []


def test_endpoint_that_answered_a_probe_of_an_earlier_run_is_waited_for(
    server: FaultServer, opened: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened() as session:
        list(session.complete([request("row 0")]))
    server.go_away()
    timer = threading.Timer(4.0, server.come_back)
    timer.start()
    with opened("another_asset", outage=60) as session:
        # One shape is known, the other is probed once the endpoint is back.
        rows = [request("row 1"), request("row 2", "json")]
        assert [answer.status for answer in session.complete(rows)] == ["ok", "ok"]
    timer.join()
    assert set(server.billed.values()) == {1}
    assert "is away since" in capsys.readouterr().out


def test_answer_that_a_kill_left_unrecorded_is_not_paid_for_again(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    with opened() as session:
        list(session.complete([request("row 0")]))
    Storage(tmp_path).endpoints.unlink()
    with opened("another_asset") as session:
        list(session.complete([request("row 1")]))
    assert len(server.probes) == 1
    [line] = map(json.loads, Storage(tmp_path).endpoints.read_text().splitlines())
    assert line["probed"] == "text with max_tokens temperature"


def test_probe_waits_for_that_of_another_process(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    storage = Storage(tmp_path)
    held = Journal(storage.journal(PROBE, None)).__enter__()
    release = threading.Timer(0.3, held.close)
    release.start()
    with opened() as session:
        list(session.complete([request("row 0")]))
    release.join()
    assert len(server.probes) == 1
