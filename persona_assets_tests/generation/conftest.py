"""Endpoints, calls and journals for the tests of this package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from persona_assets.generation import Call, Endpoint
from persona_assets_tests.generation.batch_sending import BatchRun, MakeEndpoint, OpenRun
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call

ADDRESSES = ("OPENAI_BASE_URL", "HTTP_PROXY", "ALL_PROXY")
"""Environment variables that would send calls elsewhere."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    for name in ADDRESSES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def endpoint() -> Callable[..., Endpoint]:
    """Return a function that makes an endpoint from a URL and settings other than the usual."""

    def make(url: str, **settings: Any) -> Endpoint:
        usual: dict[str, Any] = {"api_key_env": KEY_VARIABLE, "timeout": 5.0}
        return Endpoint(model="test-model", base_url=url, **(usual | settings))

    return make


@pytest.fixture
def calls() -> Callable[[int], list[Call]]:
    """Return a function that makes the calls "row 0", "row 1" ..."""
    return lambda number: [call(f"row {row}") for row in range(number)]


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / "journals" / "asset" / "shard.jsonl"


@pytest.fixture
def open_run(endpoint: MakeEndpoint, journal_path: Path) -> OpenRun:
    """Function that makes a run of batches over the test's journal."""

    def make(server: BatchServer, *, max_attempts: int = 3, **settings: Any) -> BatchRun:
        batched = endpoint(
            server.url, batch_poll=0.02, transport="batch", max_attempts=max_attempts
        )
        return BatchRun(batched, journal_path, **settings)

    return make
