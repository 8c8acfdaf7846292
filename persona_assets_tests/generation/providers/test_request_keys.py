"""Keys and bodies of calls are the same for all providers, but for documented translations."""

from collections.abc import Callable

import pytest
from pydantic import BaseModel, ValidationError

from persona_assets.generation import (
    Call,
    Endpoint,
    Request,
    to_call,
)
from persona_assets_tests.generation.providers.conversation import received
from persona_assets_tests.generation.recording_server import RecordingServer
from persona_assets_tests.generation.sample_calls import CANARY, call

Make = Callable[..., Endpoint]


BUILT_IN = [
    "openai",
    "azure",
    "openrouter",
    "ollama",
    "vllm",
    "gemini",
    "zhipu",
    "compatible",
]


class Trade(BaseModel):
    name: str
    years: int | None = None


@pytest.mark.parametrize("name", [None, *BUILT_IN])
def test_provider_and_api_version_are_no_part_of_a_key(name: str | None) -> None:
    """Keys that change make every user pay again for the answers in their journals."""
    messages = (
        {"role": "system", "content": "Sei kurz. 你好"},
        {"role": "user", "content": "Wer bist du?"},
    )
    sampling = {"temperature": 0.7, "max_tokens": 9, "seed": 3}
    request = Request("writer", messages, sampling, Trade, "json", index=2)
    endpoint = Endpoint(
        model="golden-model",
        provider=name,
        api_version="2024-10-21",
        sampling={"top_p": 0.5, "max_tokens": None},
    )
    assert to_call(request, endpoint).key == "7c67509df8d24fdf9d9c49decf3d0ede"


@pytest.mark.parametrize("name", [None, "openai", "vllm", "openrouter", "azure"])
def test_body_is_sent_byte_for_byte_as_the_default_sends_it(
    endpoint: Make, name: str | None
) -> None:
    body = {
        "messages": [{"role": "user", "content": "你好"}],
        "temperature": 1.0,
        "max_completion_tokens": 64,
    }
    question = Call("key", "/chat/completions", body)
    with RecordingServer() as server:
        ready = endpoint(f"{server.origin}/v1", provider=name)
        request = received(ready, server, question)
    assert request.body == (
        b'{"model": "test-model", "messages": [{"role": "user", "content": "\\u4f60\\u597d"}], '
        b'"temperature": 1.0, "max_completion_tokens": 64}'
    )


@pytest.mark.parametrize("name", [None, "openai", "vllm", "ollama", "openrouter", "compatible"])
def test_default_request_has_the_key_as_bearer_and_no_query(
    endpoint: Make, name: str | None
) -> None:
    with RecordingServer() as server:
        ready = endpoint(f"{server.origin}/v1", provider=name)
        request = received(ready, server, call("a question"))
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {CANARY}"
    assert request.headers["content-type"] == "application/json"
    assert "api-key" not in request.headers


def test_api_version_is_sent_by_any_provider(endpoint: Make) -> None:
    with RecordingServer() as server:
        ready = endpoint(f"{server.origin}/v1", api_version="2024-10-21")
        request = received(ready, server, call("a question"))
    assert request.path == "/v1/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize("value", ["", "2024&key=1", "2024 10", "a/b"])
def test_api_version_that_is_no_plain_word_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="api_version"):
        Endpoint(model="m", api_version=value)
