"""A server that a command starts is waited for, refused if it is another, and leaves no process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.generation import Endpoint, EndpointRefused, EndpointUnreachable
from persona_assets.generation.calls.free_requests import served_models
from persona_assets.local_models.command_server import CommandServer, free_port
from persona_assets.local_models.server import LocalServerError
from persona_assets_tests.sample_project import ROOT

NAME = "tuned-0f1e2d3c4b5a"
PROGRAM = ROOT / "persona_assets_tests" / "programs" / "tuned_server.py"
KILLED = Path(__file__).parent / "programs" / "command_until_killed.py"
PATIENCE_SECONDS = 60.0

Make = Callable[..., CommandServer]


def words(folder: Path, port: int, mode: str = "") -> list[str]:
    """Return the command of a test's server, whose grandchild answers: vLLM has several processes.

    The shell passes no signal on, so only the end of the whole group ends the server.
    """
    program = [sys.executable, str(PROGRAM), str(folder / "weights"), NAME, str(port)]
    return ["sh", "-c", '"$@" & wait $!', "sh", *program, *([mode] if mode else [])]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a server, not started, whose lines are on standard output."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def make_server(mode: str = "", seconds: float = PATIENCE_SECONDS) -> CommandServer:
        port, log = free_port(), tmp_path / "servers" / "tuned.log"
        return CommandServer(words(tmp_path, port, mode), NAME, port, log, print, seconds)

    return make_server


def answers(server: CommandServer) -> bool:
    """Return True if the server lists its models to the key that it was given."""
    try:
        endpoint = Endpoint(model=NAME, base_url=server.base_url)
        return served_models(endpoint, server.api_key) == [NAME]
    except EndpointUnreachable:
        return False


def test_server_is_ready_once_it_lists_the_model_and_leaves_no_process(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    with make() as server:
        assert server.running
        assert answers(server)
        wrong = Endpoint(model=NAME, base_url=server.base_url)
        with pytest.raises(EndpointRefused, match="key"):
            served_models(wrong, "another key")
    assert not server.running
    assert not answers(server)
    assert server.log.read_text() == f"serving {NAME}\n"
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"starting the server of {NAME}; its log is {server.log}"
    assert last.startswith(f"{NAME} is served after ")
    assert server.api_key not in str(server.command)


def test_server_that_loads_is_waited_for(make: Make) -> None:
    with make("loading") as server:
        assert answers(server)


@pytest.mark.parametrize(
    ("mode", "seconds", "sentence"),
    [
        ("die", PATIENCE_SECONDS, r"ended with status 1 before .*(?s:.)*no kernel image"),
        (
            "silent",
            1.0,
            r"did not list the model within 1 s \(no connection\): correct the ",
        ),
        ("other", PATIENCE_SECONDS, r'lists "tuned-ffffffffffff" and no model of that name'),
        ("unlisted", 8.0, r"within 8 s \(.*does not list its models \(GET /models: no name\)\)"),
    ],
)
def test_failed_start_is_a_sentence_with_command_and_log_and_leaves_no_process(
    make: Make, mode: str, seconds: float, sentence: str
) -> None:
    server = make(mode, seconds)
    with pytest.raises(LocalServerError, match=sentence) as caught:
        server.start()
    assert f"{PROGRAM.name} " in str(caught.value)
    assert str(server.log) in str(caught.value)
    assert not server.running
    assert not answers(server)


def test_missing_program_is_named(tmp_path: Path) -> None:
    server = CommandServer(["no-such-vllm", "serve"], NAME, 1, tmp_path / "log", print)
    with pytest.raises(LocalServerError, match=r"no program 'no-such-vllm'.*EVALUATION__SERVE"):
        server.start()


def test_interrupted_start_leaves_no_process(tmp_path: Path, make: Make) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    waiting = make("silent")
    server = CommandServer(waiting.command, NAME, 1, tmp_path / "log", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert not server.running


def test_server_whose_guard_was_killed_ends_and_starts_again(make: Make) -> None:
    server = make().start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
    assert not server.running
    assert answers(server)
    server.stop()
    assert not answers(server)
    with server:
        assert answers(server)


def test_server_ends_with_a_killed_parent(tmp_path: Path, make: Make) -> None:
    port = free_port()
    command = [sys.executable, str(KILLED), str(tmp_path / "log"), NAME, str(port)]
    with subprocess.Popen(
        [*command, *words(tmp_path, port)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == f"http://127.0.0.1:{port}/v1\n"
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _listens(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _listens(port)


def _listens(port: int) -> bool:
    endpoint = Endpoint(model=NAME, base_url=f"http://127.0.0.1:{port}/v1")
    try:
        served_models(endpoint, "any")
    except EndpointUnreachable:
        return False
    except EndpointRefused:
        return True
    return True
