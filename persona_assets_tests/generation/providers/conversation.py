"""A call sent to a recording server, and its outcome."""

import asyncio
import json
from typing import Any

from persona_assets.generation import Call, CallRecord, Client, Endpoint
from persona_assets.generation.calls.attempt_failure import AttemptFailure
from persona_assets_tests.generation.recording_server import Received, RecordingServer
from persona_assets_tests.generation.sample_calls import call


def error(code: object = None, **members: Any) -> str:
    return json.dumps({"error": {"message": "no", "code": code, **members}})


def post(endpoint: Endpoint, call: Call) -> CallRecord | AttemptFailure:
    """Send a call once and return its outcome."""

    async def send() -> CallRecord | AttemptFailure:
        async with Client(endpoint) as client:
            outcome, _ = await client.post(call, 5.0)
            return outcome

    return asyncio.run(send())


def failure(endpoint: Endpoint) -> AttemptFailure:
    """Send a call whose attempt fails."""
    outcome = post(endpoint, call("a question"))
    assert isinstance(outcome, AttemptFailure)
    return outcome


def received(endpoint: Endpoint, server: RecordingServer, call: Call) -> Received:
    """Send a call and return the request that arrived."""
    assert isinstance(post(endpoint, call), CallRecord)
    return server.requests[-1]
