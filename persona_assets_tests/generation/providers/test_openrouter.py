"""The metadata of an OpenRouter error decide its meaning."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.generation import (
    CallRecord,
    Endpoint,
    EndpointRefused,
    Engine,
    Journal,
    check_endpoint,
)
from persona_assets_tests.generation.fault_server import chat
from persona_assets_tests.generation.providers.conversation import error, failure, post
from persona_assets_tests.generation.recording_server import RecordingServer, Reply
from persona_assets_tests.generation.sample_calls import KEY_VARIABLE, call

Make = Callable[..., Endpoint]


def test_openrouter_key_is_checked_where_it_is_needed(endpoint: Make) -> None:
    """OpenRouter lists its models to anybody."""
    with (
        RecordingServer(Reply(401, error(401))) as server,
        pytest.raises(EndpointRefused, match=KEY_VARIABLE),
    ):
        check_endpoint(endpoint(f"{server.origin}/api/v1", provider="openrouter"))
    assert [request.path for request in server.requests] == ["/api/v1/key"]


def test_openrouter_moderation_filters_a_prompt_and_the_run_goes_on(endpoint: Make) -> None:
    metadata = {"reasons": ["violence"], "flagged_input": "..."}
    with RecordingServer(Reply(403, error(403, metadata=metadata))) as server:
        moderated = failure(endpoint(f"{server.origin}/v1", provider="openrouter"))
    assert (moderated.code, moderated.stop) == ("content_filter", "")


def test_openrouter_403_without_moderation_ends_the_run(endpoint: Make) -> None:
    with RecordingServer(Reply(403, error(403, metadata={}))) as server:
        stop = failure(endpoint(f"{server.origin}/v1", provider="openrouter")).stop
    assert "give it access to the model" in stop


def test_openrouter_budget_of_calls_in_flight_is_waited_for(
    endpoint: Make, journal_path: Path
) -> None:
    metadata = {"reason": "in_flight_budget_exhausted"}
    busy = Reply(402, error(402, metadata=metadata), {"Retry-After": "0.2"})
    with RecordingServer(busy, Reply()) as server, Journal(journal_path) as journal:
        ready = endpoint(f"{server.origin}/v1", provider="openrouter", max_attempts=1)
        [record] = Engine(ready, journal).send([call("a question")])
    assert (record.failure, record.attempt) == (None, 2)


def test_openrouter_402_for_want_of_credit_ends_the_run(endpoint: Make) -> None:
    metadata = {"reason": "weight_exceeds_budget", "limit_source": "openrouter_credits"}
    with RecordingServer(Reply(402, error(402, metadata=metadata))) as server:
        stop = failure(endpoint(f"{server.origin}/v1", provider="openrouter")).stop
    assert "no quota left" in stop


@pytest.mark.parametrize(("remaining", "least", "most"), [("0", 50.0, 60.0), ("3", None, None)])
def test_openrouter_spent_limit_is_waited_for_until_its_reset(
    endpoint: Make, remaining: str, least: float | None, most: float | None
) -> None:
    headers = {
        "X-RateLimit-Limit": "20",
        "X-RateLimit-Remaining": remaining,
        "X-RateLimit-Reset": str(int((time.time() + 60) * 1000)),
    }
    with RecordingServer(Reply(429, error(429), headers)) as server:
        limited = failure(endpoint(f"{server.origin}/v1", provider="openrouter"))
    assert limited.code == "rate_limit"
    if least is None or most is None:
        assert limited.wait is None
    else:
        assert limited.wait is not None
        assert least < limited.wait <= most


def test_openrouter_limit_of_the_day_ends_the_run(endpoint: Make) -> None:
    tomorrow = str(int((time.time() + 20_000) * 1000))
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": tomorrow}
    with RecordingServer(Reply(429, error(429), headers)) as server:
        stop = failure(endpoint(f"{server.origin}/v1", provider="openrouter")).stop
    assert "longer than the call's deadline" in stop


def test_openrouter_answer_that_broke_off_is_paid_and_settles_nothing(endpoint: Make) -> None:
    with RecordingServer(Reply(body=chat("half an ans", finish="error"))) as server:
        broken = post(endpoint(f"{server.origin}/v1", provider="openrouter"), call("a question"))
    assert isinstance(broken, CallRecord)
    assert (broken.failure, broken.answered, broken.usage != {}) == ("unfinished", False, True)
