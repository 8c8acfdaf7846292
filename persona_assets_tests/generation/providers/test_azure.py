"""Azure OpenAI is sent its key as `api-key`, by deployment or by the v1 API."""

from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.generation import (
    Call,
    Endpoint,
    EndpointRefused,
    Engine,
    Journal,
    call_key,
    check_endpoint,
)
from persona_assets.generation.batch.batch_api import open_client
from persona_assets_tests.generation.fault_server import embeddings
from persona_assets_tests.generation.providers.conversation import error, failure, received
from persona_assets_tests.generation.recording_server import RecordingServer, Reply
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call

Make = Callable[..., Endpoint]


@pytest.mark.parametrize(
    ("path", "api_version", "chat_path", "models_path"),
    [
        ("", None, "/openai/v1/chat/completions", "/openai/v1/models"),
        ("/", None, "/openai/v1/chat/completions", "/openai/v1/models"),
        ("/openai", None, "/openai/v1/chat/completions", "/openai/v1/models"),
        ("/openai/v1", None, "/openai/v1/chat/completions", "/openai/v1/models"),
        ("/openai/v1/", None, "/openai/v1/chat/completions", "/openai/v1/models"),
        (
            "",
            "preview",
            "/openai/v1/chat/completions?api-version=preview",
            "/openai/v1/models?api-version=preview",
        ),
        (
            "",
            "2024-10-21",
            "/openai/deployments/test-model/chat/completions?api-version=2024-10-21",
            "/openai/models?api-version=2024-10-21",
        ),
        (
            "/openai/deployments/of-mine",
            "2025-04-01-preview",
            "/openai/deployments/of-mine/chat/completions?api-version=2025-04-01-preview",
            "/openai/models?api-version=2025-04-01-preview",
        ),
        (
            "/models",
            "2024-05-01-preview",
            "/models/chat/completions?api-version=2024-05-01-preview",
            "/models/models?api-version=2024-05-01-preview",
        ),
    ],
)
def test_azure_is_reached_by_deployment_or_by_the_v1_api(
    endpoint: Make, path: str, api_version: str | None, chat_path: str, models_path: str
) -> None:
    with RecordingServer() as server:
        ready = endpoint(f"{server.origin}{path}", provider="azure", api_version=api_version)
        check_endpoint(ready)
        received(ready, server, call("a question"))
    assert [request.path for request in server.requests] == [models_path, chat_path]
    for request in server.requests:
        assert request.headers["api-key"] == CANARY
        assert "authorization" not in request.headers


def test_azure_embeds_by_deployment(endpoint: Make) -> None:
    body = {"input": ["a text"]}
    question = Call(call_key("test-model", "/embeddings", body), "/embeddings", body)
    with RecordingServer(Reply(body=embeddings([[1.0]]))) as server:
        ready = endpoint(server.origin, provider="azure", api_version="2024-10-21")
        request = received(ready, server, question)
    assert request.path == "/openai/deployments/test-model/embeddings?api-version=2024-10-21"


def test_azure_batches_are_reached_without_a_deployment(endpoint: Make) -> None:
    with RecordingServer(Reply(body='{"data": []}')) as server:
        ready = endpoint(
            f"{server.origin}/openai/deployments/mine", provider="azure", api_version="2024-10-21"
        )
        with open_client(ready) as client:
            client.get("/batches", cast_to=object)
    [request] = server.requests
    assert request.path == "/openai/batches?api-version=2024-10-21"
    assert request.headers["api-key"] == CANARY
    assert "authorization" not in request.headers


def test_azure_deployment_without_a_dated_api_version_is_refused_before_anything_is_sent(
    endpoint: Make, journal_path: Path
) -> None:
    with RecordingServer() as server, Journal(journal_path) as journal:
        ready = endpoint(f"{server.origin}/openai/deployments/mine", provider="azure")
        engine = Engine(ready, journal)
        for send in (engine.check, lambda: list(engine.send([call("a question")]))):
            with pytest.raises(EndpointRefused, match="needs an api_version"):
                send()
    assert server.requests == []


def test_azure_without_an_address_is_refused() -> None:
    with pytest.raises(EndpointRefused, match="has no default address"):
        check_endpoint(Endpoint(model="m", provider="azure", api_key_env=KEY_VARIABLE))


def test_azure_key_does_not_follow_a_redirect_to_another_host(endpoint: Make) -> None:
    with RecordingServer() as other:
        away = Reply(307, "{}", {"Location": f"{other.origin}/openai/v1/chat/completions"})
        with RecordingServer(away) as server:
            ready = endpoint(server.origin, provider="azure")
            assert failure(ready).status_code == 307
            check_endpoint(ready)
    assert other.requests == []


def test_azure_unknown_deployment_ends_the_run(endpoint: Make) -> None:
    with RecordingServer(Reply(400, error("DeploymentNotFound"))) as server:
        stop = failure(endpoint(server.origin, provider="azure")).stop
    assert "correct model or base_url" in stop


def test_azure_key_that_is_echoed_is_redacted(endpoint: Make) -> None:
    with RecordingServer(Reply(400, error("other", detail=f"your key was {CANARY}"))) as server:
        told = failure(endpoint(server.origin, provider="azure"))
    assert "[API key]" in str(told)
    assert CANARY not in str(told)


def test_azure_token_is_sent_as_authorization(
    endpoint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhenVyZSJ9.c2lnbmF0dXJl"
    monkeypatch.setenv(KEY_VARIABLE, token)
    with RecordingServer() as server:
        request = received(endpoint(server.origin, provider="azure"), server, call("a question"))
    assert request.headers["authorization"] == f"Bearer {token}"
    assert "api-key" not in request.headers


def test_azure_takes_its_address_from_the_variable_of_the_openai_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RecordingServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.origin}/openai/v1")
        check_endpoint(Endpoint(model="m", provider="azure", api_key_env=KEY_VARIABLE))
    assert [request.path for request in server.requests] == ["/openai/v1/models"]
