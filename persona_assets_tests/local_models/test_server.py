"""A local server answers OpenAI clients with a real model, and ends with its parent process."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from openai.types.chat import ChatCompletion

from persona_assets.local_models import server_child
from persona_assets.local_models.server import LocalServer, LocalServerError, default_threads
from persona_assets.local_models.weights import fetch

CONTEXT = 512
PATIENCE_SECONDS = 60.0
ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "programs" / "serve_until_killed.py"


@pytest.fixture(scope="module")
def model_path() -> Path:
    return fetch("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "server.log"


@pytest.fixture(scope="module")
def server(model_path: Path, log: Path) -> Iterator[LocalServer]:
    with LocalServer(model_path, "small", slots=2, context_tokens=CONTEXT, log=log) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[openai.OpenAI]:
    with client_of(server) as connected:
        yield connected


def client_of(server: LocalServer, api_key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=server.base_url, api_key=api_key or server.api_key, max_retries=0, timeout=120
    )


def ask(client: openai.OpenAI, text: str, **options: Any) -> ChatCompletion:
    messages: Any = [{"role": "user", "content": text}]
    options = {"max_tokens": 16, "seed": 1, **options}
    completion: ChatCompletion = client.chat.completions.create(
        model="small", messages=messages, **options
    )
    return completion


def ask_for(client: openai.OpenAI, text: str, properties: dict[str, Any], **options: Any) -> Any:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    wrapped = {"name": "answer", "strict": True, "schema": schema}
    response_format = {"type": "json_schema", "json_schema": wrapped}
    answer = ask(client, text, response_format=response_format, **{"max_tokens": 120, **options})
    return json.loads(answer.choices[0].message.content or "")


def test_server_answers_a_chat_completion(client: openai.OpenAI) -> None:
    answer = ask(client, "Say hello.", max_tokens=5)
    assert answer.model == "small"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 5


def test_answer_obeys_a_schema(client: openai.OpenAI) -> None:
    properties = {
        "persona": {"type": "string", "pattern": "^A [a-z ]{5,40}\\.$"},
        "age": {"type": "integer", "enum": [17, 71]},
    }
    answer = ask_for(client, "What is two plus two?", properties)
    assert list(answer) == ["persona", "age"]
    assert answer["persona"].startswith("A ")
    assert answer["persona"].endswith(".")
    assert answer["age"] in (17, 71)


def test_unicode_survives_in_prompt_and_answer(client: openai.OpenAI) -> None:
    text = 'Zürich 北京 👩🏽‍🔬 "quoted" \\ back\nslash'
    assert ask_for(client, text, {"same": {"const": text}}) == {"same": text}
    plain, accented = ask(client, "a" * 30), ask(client, "北" * 30)
    assert plain.usage is not None
    assert accented.usage is not None
    assert accented.usage.prompt_tokens > plain.usage.prompt_tokens


def test_invalid_schema_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="unrecognized type"):
        ask_for(client, "Hello.", {"answer": {"type": "no such type"}})


def test_prompt_beyond_the_context_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
        ask(client, "word " * CONTEXT)
    assert ask(client, "Still there?").choices[0].message.content


def test_each_slot_has_the_whole_context(client: openai.OpenAI) -> None:
    answer = ask(client, "word " * (CONTEXT * 3 // 4))
    assert answer.usage is not None
    assert CONTEXT * 3 // 4 < answer.usage.prompt_tokens < CONTEXT


def test_answer_ends_with_the_context(client: openai.OpenAI) -> None:
    answer = ask(client, "word " * (CONTEXT - 60), max_tokens=400, extra_body={"ignore_eos": True})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.total_tokens <= CONTEXT


def test_requests_beyond_the_slots_wait(client: openai.OpenAI) -> None:
    def numbered(number: int) -> Any:
        return ask_for(client, f"Count to {number}.", {"number": {"const": number}}, max_tokens=30)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(numbered, range(6)))
    assert answers == [{"number": number} for number in range(6)]


def test_seed_repeats_an_answer_with_a_single_slot_and_no_prompt_cache(model_path: Path) -> None:
    def story(client: openai.OpenAI, seed: int) -> str | None:
        options = {"seed": seed, "temperature": 1.0, "extra_body": {"cache_prompt": False}}
        return ask(client, "Tell a story.", **options).choices[0].message.content

    with (
        LocalServer(model_path, "small", context_tokens=CONTEXT) as server,
        client_of(server) as client,
    ):
        first, other, again = story(client, 1), story(client, 2), story(client, 1)
    assert first == again
    assert first != other


def test_wrong_key_is_refused(server: LocalServer) -> None:
    with client_of(server, "wrong") as client, pytest.raises(openai.AuthenticationError):
        ask(client, "Hello.")


def command_line(pid: int) -> str:
    if (arguments := Path(f"/proc/{pid}/cmdline")).exists():
        return arguments.read_text()
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_key_is_on_no_command_line_and_in_no_log(
    server: LocalServer, client: openai.OpenAI, log: Path
) -> None:
    ask(client, "Hello.")
    with client_of(server, "wrong") as stranger, pytest.raises(openai.AuthenticationError):
        ask(stranger, "Hello.")
    assert server.pid is not None
    arguments = command_line(server.pid)
    assert "server_child.py" in arguments
    assert server.api_key not in arguments
    assert "Invalid API Key" in log.read_text()
    assert server.api_key not in log.read_text()


def test_server_listens_on_this_machine_only(server: LocalServer) -> None:
    assert urlsplit(server.base_url).hostname == "127.0.0.1"


def answers(base_url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_server_starts_again_after_a_stop(model_path: Path) -> None:
    server = LocalServer(model_path, "small", context_tokens=CONTEXT)
    with pytest.raises(LocalServerError, match="not running"):
        _ = server.base_url
    for _ in range(2):
        server.start()
        url, pid = server.base_url, server.pid
        assert answers(url)
        assert server.start().pid == pid
        server.stop()
        server.stop()
        assert not server.running
        assert not answers(url)


def test_killed_server_is_reported_and_starts_again(model_path: Path) -> None:
    with LocalServer(model_path, "small", context_tokens=CONTEXT) as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(LocalServerError, match="not running"):
            _ = server.base_url
        assert answers(server.start().base_url)


def test_failed_start_reports_the_end_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(b"hello")
    with pytest.raises(LocalServerError, match="'hell', expected 'GGUF'"):
        LocalServer(path, "small").start()


def test_missing_model_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="no model file at"):
        LocalServer(tmp_path / "absent.gguf", "small").start()


def test_start_has_a_deadline(model_path: Path) -> None:
    server = LocalServer(model_path, "small", start_seconds=0.001)
    with pytest.raises(LocalServerError, match=r"took over 0\.001 s"):
        server.start()
    assert not server.running


@pytest.mark.parametrize("numbers", [(0, 512, 1), (1, 0, 1), (1, 512, 0)])
def test_numbers_below_1_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LocalServer(Path("model.gguf"), "small", *numbers)


def test_default_threads_leave_a_core_to_a_busy_machine() -> None:
    assert default_threads(cores=8, busy=0.4) == 8
    assert default_threads(cores=8, busy=1.2) == 7
    assert default_threads(cores=1, busy=5.0) == 1
    assert 1 <= default_threads() <= (os.cpu_count() or 1)


def test_child_ends_when_its_input_closes(model_path: Path) -> None:
    program = [sys.executable, server_child.__file__]
    with subprocess.Popen(
        [*program, str(model_path), "small", "1", "256", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={server_child.KEY_VARIABLE: "key"},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert answers(child.stdout.readline().strip())
        child.stdin.close()
        try:
            assert child.wait(PATIENCE_SECONDS) == 0
        finally:
            child.kill()


@pytest.mark.parametrize("fork", ["fork", "no fork"])
def test_server_ends_with_a_killed_parent(model_path: Path, fork: str) -> None:
    """Also if a process forked from the parent survives and holds the pipe to the server open."""
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, PROGRAM, model_path, fork]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        url, forked = parent.stdout.readline().split()
        assert answers(url)
        parent.kill()
        parent.wait()
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while answers(url) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not answers(url)
        finally:
            if forked != "0":
                os.kill(int(forked), signal.SIGKILL)
