"""Ollama is sent the limit of an answer by the name that it supports."""

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from persona_assets.generation import (
    Endpoint,
    Engine,
    Journal,
    Request,
    complete,
    to_call,
)
from persona_assets_tests.generation.recording_server import RecordingServer

Make = Callable[..., Endpoint]


def test_ollama_is_sent_max_tokens_since_it_ignores_max_completion_tokens(
    endpoint: Make, journal_path: Path
) -> None:
    class Text(BaseModel):
        text: str

    request = Request(
        "writer",
        ({"role": "user", "content": "row"},),
        {"max_completion_tokens": 64},
        Text,
        "text",
    )
    with RecordingServer() as server, Journal(journal_path) as journal:
        ready = endpoint(f"{server.origin}/v1", provider="ollama")
        [answer] = complete([request], Engine(ready, journal))
        [sent] = server.requests
    assert json.loads(sent.body) == {
        "model": "test-model",
        "messages": [{"role": "user", "content": "row"}],
        "max_tokens": 64,
    }
    # The key is that of the request as the prompt states it, whichever provider answers.
    assert answer.completion_id == to_call(request, Endpoint(model="test-model")).key
