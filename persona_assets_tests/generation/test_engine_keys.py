"""The API key is checked before anything is sent, and never leaves the request."""

import logging
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.generation import (
    Call,
    Endpoint,
    EndpointRefused,
    EndpointUnreachable,
    Engine,
    Journal,
)
from persona_assets_tests.generation.child_programs import command
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import CANARY, KEY_VARIABLE, call

Make = Callable[..., Endpoint]
Calls = Callable[[int], list[Call]]


@pytest.mark.parametrize("value", ["", "  ", "sk-with\nbreak", "sk-ключ"])
def test_missing_or_broken_key_ends_the_run_before_anything_is_sent(
    endpoint: Make, calls: Calls, journal_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, value)
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url), journal)
        for send in (engine.check, lambda: list(engine.send(calls(3)))):
            with pytest.raises(EndpointRefused, match=KEY_VARIABLE) as caught:
                send()
            assert "sk-" not in str(caught.value)
    assert server.asked.total() == 0


def test_endpoint_without_a_key_variable_needs_no_key(
    endpoint: Make, calls: Calls, journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with FaultServer() as server, Journal(journal_path) as journal:
        engine = Engine(endpoint(server.url, api_key_env=None), journal)
        assert len(list(engine.send(calls(2)))) == 2
    assert server.authorizations == {"Bearer none"}


def test_check_costs_nothing(endpoint: Make, journal_path: Path) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        Engine(endpoint(server.url), journal).check()
    assert server.asked.total() == 0


def test_check_passes_a_server_that_cannot_list_its_models(
    endpoint: Make, journal_path: Path
) -> None:
    with FaultServer() as server, Journal(journal_path) as journal:
        Engine(endpoint(server.url + "/elsewhere"), journal).check()
    assert server.asked.total() == 0


def test_check_refuses_a_key_that_the_endpoint_does_not_accept(
    endpoint: Make, journal_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-expired-key")
    with (
        FaultServer() as server,
        Journal(journal_path) as journal,
        pytest.raises(EndpointRefused, match=KEY_VARIABLE),
    ):
        Engine(endpoint(server.url), journal).check()
    assert server.asked.total() == 0


def test_check_names_a_server_that_cannot_be_reached(endpoint: Make, journal_path: Path) -> None:
    with FaultServer() as server:
        url = server.url
    with (
        Journal(journal_path) as journal,
        pytest.raises(EndpointUnreachable, match=r"127\.0\.0\.1"),
    ):
        Engine(endpoint(url), journal).check()


def test_api_key_is_in_no_file_no_message_and_no_log(
    endpoint: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Each step has an error body that repeats the key; the client logs all that it can.
    logging.getLogger("openai").setLevel(logging.DEBUG)
    stream = logging.StreamHandler()
    logging.getLogger().addHandler(stream)
    output = ""
    try:
        with FaultServer() as server:
            for step in ("400", "500", "401", "403", "404", "ok"):
                server.default = step
                with Journal(tmp_path / f"{step}.jsonl") as journal:
                    engine = Engine(endpoint(server.url, max_attempts=1), journal)
                    try:
                        output += str(list(engine.send([call(step)])))
                    except EndpointRefused as error:
                        output += "".join(traceback.format_exception(error))
            assert server.authorizations == {f"Bearer {CANARY}"}
    finally:
        logging.getLogger().removeHandler(stream)
        logging.getLogger("openai").setLevel(logging.NOTSET)
    assert "your key was Bearer [API key]" in output
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"your key was" in files
    output += "".join(capfd.readouterr())
    assert "HTTP Response: POST" in output or "Sending HTTP Request" in output
    assert CANARY not in output
    assert CANARY.encode() not in files


def test_import_of_the_package_loads_no_client() -> None:
    done = subprocess.run(command("import_generation"), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
