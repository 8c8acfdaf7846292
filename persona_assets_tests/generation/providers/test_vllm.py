"""A vLLM server names errors by exceptions and has no account."""

import json
from collections.abc import Callable

from persona_assets.generation import (
    Endpoint,
)
from persona_assets_tests.generation.providers.conversation import error, failure
from persona_assets_tests.generation.recording_server import RecordingServer, Reply

Make = Callable[..., Endpoint]


def test_vllm_unknown_model_ends_the_run(endpoint: Make) -> None:
    body = json.dumps({"object": "error", "message": "no", "type": "NotFoundError", "code": 404})
    with RecordingServer(Reply(404, body)) as server:
        stop = failure(endpoint(f"{server.origin}/v1", provider="vllm")).stop
    assert "knows no model 'test-model'" in stop


def test_vllm_server_has_no_account_that_could_lack_credit(endpoint: Make) -> None:
    with RecordingServer(Reply(429, error("insufficient_quota"))) as server:
        own = failure(endpoint(f"{server.origin}/v1", provider="vllm"))
        other = failure(endpoint(f"{server.origin}/v1"))
    assert (own.code, own.stop) == ("rate_limit", "")
    assert "no quota left" in other.stop
