"""A fine-tuned model is measured only at a server that lists the hash of its weights."""

import hashlib
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from persona_assets.generation import (
    Answer,
    CallRecord,
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
    Journal,
    Request,
    call_key,
)
from persona_assets.local_models.server import LocalServerError
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session
from persona_assets.resources.tuned_model import TunedModel, WrongWeightsError, server_command
from persona_assets.settings import Settings, SettingsError
from persona_assets.storage.storage import PROBE, Storage
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.sample_project import ROOT

Opened = tuple[Models, AbstractContextManager[Session]]
Open = Callable[..., Opened]
PROGRAM = ROOT / "persona_assets_tests" / "programs" / "tuned_server.py"
SERVE = f"{sys.executable} {PROGRAM} {{path}} {{name}} {{port}}"


class Solution(BaseModel):
    solution: str


def tuned(folder: Path, weights: str = "weights of size 8") -> TunedModel:
    """Write a model's file and return the model."""
    path = folder / "models" / hashlib.sha256(weights.encode()).hexdigest()[:4] / "model.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(weights)
    return TunedModel(path, hashlib.sha256(weights.encode()).hexdigest())


def problems(number: int) -> list[Request]:
    """Return requests to the fine-tuned model."""
    sampling = {"max_tokens": 9}
    return [
        Request(
            "evaluation", ({"role": "user", "content": f"row {n}"},), sampling, Solution, "text"
        )
        for n in range(number)
    ]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens the session of an evaluation, with settings of its endpoint."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made: list[Models] = []

    def open_session(model: TunedModel, asset: str = "math_accuracy", **endpoint: Any) -> Opened:
        values = {"api_key_env": None, "max_attempts": 1, "model": "tuned", **endpoint}
        settings = Settings.load(data_dir=tmp_path, max_quarantine_share=0, evaluation=values)
        models = (
            made[0]
            if made and made[0].settings == settings
            else Models(settings, Storage(tmp_path))
        )
        made.insert(0, models)
        return models, models.session(asset, "8", "run 1", print, model)

    yield open_session
    for models in made:
        models.close()


def solve(opened: Opened, number: int = 2) -> list[Answer]:
    with opened[1] as session:
        return list(session.complete(problems(number)))


def records(
    folder: Path, asset: str = "math_accuracy", shard: str | None = "8"
) -> list[CallRecord]:
    storage = Storage(folder)
    return list(Journal(storage.journal(asset, shard)).records())


def test_server_that_lists_the_weights_is_asked_by_their_name(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    model = tuned(tmp_path)
    name = f"tuned-{model.sha256[:12]}"
    server.models = ["another", name]
    assert [answer.status for answer in solve(opened(model, base_url=server.url))] == ["ok", "ok"]
    assert {body["model"] for body in (*server.bodies, *server.probes)} == {name}
    body = {k: v for k, v in server.bodies[0].items() if k != "model"}
    key = call_key(f"{name}@{model.sha256}/listed", "/chat/completions", body)
    assert key in {record.key for record in records(tmp_path)}
    # Settled answers need no server: nothing new is measured.
    server.models = []
    assert len(solve(opened(model, base_url=server.url))) == 2
    assert server.asked.total() == 2


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["tuned-ffffffffffff"], r'lists "tuned-ffffffffffff" and not \'tuned-[0-9a-f]{12}\''),
        (["tuned", "*"], r'lists "tuned", "\*" and not'),
        ([], r"does not list its models \(GET /models: no name\)"),
    ],
)
def test_false_server_is_refused_with_the_command_that_serves_the_right_weights(
    server: FaultServer, opened: Open, tmp_path: Path, models: list[str], sentence: str
) -> None:
    model = tuned(tmp_path)
    server.models = models
    with pytest.raises(EndpointRefused, match=sentence) as caught:
        solve(opened(model, base_url=server.url))
    port = server.url.rpartition(":")[2].partition("/")[0]
    command = (
        f"`llama-server --model {model.path} --alias tuned-{model.sha256[:12]} --host 127.0.0.1 "
        f"--port {port}`"
    )
    assert command in str(caught.value)
    assert (server.asked, server.probes) == ({}, [])
    assert records(tmp_path) == []
    assert records(tmp_path, PROBE, None) == []


def test_transformers_folder_is_served_by_vllm(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    folder = tmp_path / "models of today" / "model"
    folder.mkdir(parents=True)
    server.models = ["another"]
    with pytest.raises(EndpointRefused) as caught:
        solve(opened(TunedModel(folder, "0f1e2d3c4b5a" * 5), base_url=server.url))
    assert f"`vllm serve {shlex.quote(str(folder))} --served-model-name tuned-0f1e2d3c4b5a" in str(
        caught.value
    )


def test_server_that_is_away_is_told_with_the_command(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    server.refuse_connections()
    with pytest.raises(EndpointUnreachable, match=r"cannot be reached.*`llama-server --model"):
        solve(opened(tuned(tmp_path), base_url=server.url))


def test_answer_under_another_name_is_neither_used_nor_replayed(
    server: FaultServer, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tuned(tmp_path)
    name = f"tuned-{model.sha256[:12]}"
    server.models = [name]
    with monkeypatch.context() as patch:
        patch.setattr(server, "name_for", lambda body: "tuned-ffffffffffff")
        with pytest.raises(EndpointError, match=rf"'tuned-ffffffffffff' .*place of '{name}'"):
            solve(opened(model, base_url=server.url))
    answers = solve(opened(model, base_url=server.url))
    assert [answer.status for answer in answers] == ["ok", "ok"]


def test_answer_that_was_not_verified_is_not_replayed(
    server: FaultServer, opened: Open, tmp_path: Path
) -> None:
    model = tuned(tmp_path)
    server.models = [f"tuned-{model.sha256[:12]}"]
    solve(opened(model, base_url=server.url), 1)
    body = {k: v for k, v in server.bodies[0].items() if k != "model"}
    [record] = records(tmp_path)
    storage = Storage(tmp_path)
    storage.journal("math_accuracy", "8").unlink()
    # Keys of versions that sent the plain name, or this very name, to whatever server there was.
    for identity in (f"tuned@{model.sha256}", f"{server.models[0]}@{model.sha256}"):
        key = call_key(identity, "/chat/completions", body)
        with Journal(storage.journal("math_accuracy", "8")) as journal:
            journal.append(CallRecord(key=key, status_code=200, body=record.body, model="tuned"))
    solve(opened(model, base_url=server.url), 1)
    assert server.asked["row 0"] == 2


def test_run_starts_the_server_of_each_size_once_and_never_mixes_them(
    opened: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [tuned(tmp_path, f"weights of size {size}") for size in (8, 16)]
    for model in sizes:
        name = f"tuned-{model.sha256[:12]}"
        for asset in ("math_accuracy", "synthetic_accuracy"):
            _, context = opened(model, f"{asset}_{name}", serve=SERVE)
            with context as session:
                answers = list(session.complete(problems(3)))
                metadata = session.metadata()
            texts = [answer.value and answer.value["solution"] for answer in answers]
            assert texts == 3 * [rf"{name} says \boxed{{4}}"]
            assert metadata["models"] == [name]
            # Answers of a server on this machine cost nothing, and need no probe.
            assert (metadata["cost_usd"], metadata.get("probe_calls")) == (0.0, None)
        starts = model.path.with_name("model.gguf.starts").read_text()
        assert starts == f"{name}\n"
    assert capsys.readouterr().out.count("is served after") == 2
    models, _ = opened(sizes[1], serve=SERVE)
    models.close()


@pytest.mark.parametrize("mode", ["die", "other"])
def test_server_of_the_run_that_fails_sends_nothing(
    opened: Open, tmp_path: Path, mode: str
) -> None:
    with pytest.raises(LocalServerError, match=r"the server of tuned-[0-9a-f]{12} "):
        solve(opened(tuned(tmp_path), serve=f"{SERVE} {mode}"))
    assert records(tmp_path) == []


@pytest.mark.parametrize("weights", ["other weights", None])
def test_weights_that_changed_after_the_training_are_not_served(
    opened: Open, tmp_path: Path, weights: str | None
) -> None:
    model = tuned(tmp_path)
    model.path.unlink()
    if weights is not None:
        model.path.write_text(weights)
    with pytest.raises(WrongWeightsError, match="materialize fine_tuned_model of that size"):
        solve(opened(model, serve=SERVE))
    embedded = opened(model, embedded=True)
    with pytest.raises(WrongWeightsError, match="materialize fine_tuned_model of that size"):
        solve(embedded)


def test_program_of_the_command_is_looked_for_before_a_run(opened: Open, tmp_path: Path) -> None:
    models, _ = opened(tuned(tmp_path), serve="no-such-vllm {path} {name} {port}")
    with pytest.raises(LocalServerError, match="no program 'no-such-vllm'"):
        models.check({"evaluation"})
    models.check(set())


def test_vllm_is_started_where_it_is_installed_and_no_address_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = TunedModel(tmp_path / "model", "0f"), TunedModel(tmp_path / "model.gguf", "0f")
    monkeypatch.setenv("PATH", str(tmp_path))
    evaluation = Settings.load().evaluation
    assert server_command(evaluation, folder) is None
    for program in ("vllm", "llama-server"):
        (tmp_path / program).touch(mode=0o755)
    assert str(server_command(evaluation, folder)).startswith("vllm serve {path} ")
    assert str(server_command(evaluation, file)).startswith("llama-server --model {path} ")
    addressed = Settings.load(evaluation={"base_url": "http://127.0.0.1:8000/v1"}).evaluation
    assert server_command(addressed, folder) is None
    assert server_command(Settings.load(profile="demo").evaluation, file) is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"serve": "vllm serve {path} --port {port}"}, r"the command has no \{name\}"),
        ({"serve": "vllm {path} {name} {port} --api-key s3cret"}, "VLLM_API_KEY"),
        ({"serve": "vllm '{path} {name} {port}"}, "No closing quotation"),
        ({"serve": SERVE, "base_url": "http://127.0.0.1:1/v1"}, "BASE_URL to null"),
        ({"serve": SERVE, "embedded": True}, "EMBEDDED to false"),
        ({"transport": "batch"}, "no Batch API"),
    ],
)
def test_impossible_command_is_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        Settings.load(evaluation=values)
    assert "s3cret" not in str(caught.value)
