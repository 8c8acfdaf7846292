"""A local OpenAI-compatible server that a command of the user starts, vLLM's for instance.

    command = shlex.split("vllm serve weights --served-model-name tuned --port 8123")
    with CommandServer(command, "tuned", 8123, Path("server.log"), print) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=server.api_key)

The server ends, with all processes that it started, when `stop()` is called and when the process
that started it ends, even by SIGKILL. POSIX only.
"""

import http.client
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from persona_assets.generation import Endpoint, EndpointError
from persona_assets.generation.calls.free_requests import in_words, served_models
from persona_assets.local_models import command_guard
from persona_assets.local_models.server import LocalServerError

HOST = "127.0.0.1"
"""Address at which the server is expected."""

KEY_VARIABLES = ("VLLM_API_KEY", "LLAMA_API_KEY")
"""Environment variables that hold the server's API key, which belongs on no command line."""

STOP_SECONDS = 15.0
"""Seconds that the processes of the server have to end before they are killed."""

LOG_TAIL_BYTES = 2000
"""Bytes of the log's end in the message of a failed start."""

POLL = 0.25
"""Seconds between two looks at a server that starts."""

REPORT = 10.0
"""Seconds between two reports of a start."""


class CommandServer:
    """Server of a command between `start()` and `stop()`.

    Args:
        command: Words of the command, which makes the server listen at `port` of 127.0.0.1.
        name: Name of the model that the server must list.
        port: Port at which the server is expected.
        log: File for the output of the command; that of an earlier start is replaced.
        report: Called with a line of progress while the server starts.
        start_seconds: Seconds within which the server must list the model.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        port: int,
        log: Path,
        report: Callable[[str], None],
        start_seconds: float = 1800.0,
    ) -> None:
        self.command = tuple(command)
        self.name = name
        self.log = log
        self.start_seconds = start_seconds
        self.api_key = secrets.token_urlsafe(32)
        self.base_url = f"http://{HOST}:{port}/v1"
        self._port = port
        self._report = report
        self._guard: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """True if the server's processes are alive."""
        return self._guard is not None and not _has_ended(self._guard)

    @property
    def pid(self) -> int | None:
        """Process id of the guard, which is also the id of the group; None if not started."""
        return None if self._guard is None else self._guard.pid

    def start(self) -> Self:
        """Start the command and wait until the server lists the model.

        Raises:
            LocalServerError: The program does not exist, the command ended or was too slow, or the
                server lists other models; the message has the end of its log.
        """
        self.stop()
        require_program(self.command[0])
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # By file name, because this package need not be on the child's search path.
        program = [sys.executable, "-P", command_guard.__file__, str(STOP_SECONDS)]
        with self.log.open("wb") as log:
            self._guard = subprocess.Popen(
                [*program, *self.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | dict.fromkeys(KEY_VARIABLES, self.api_key),
                # The group of all processes of the server, which Ctrl-C in a terminal spares.
                start_new_session=True,
            )
        try:
            self._wait(self._guard)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server: close the guard's standard input, then kill all processes."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        assert guard.stdin is not None
        assert guard.stdout is not None
        guard.stdin.close()
        deadline = time.monotonic() + STOP_SECONDS + 5
        try:
            while not _has_ended(guard) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()
            guard.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self, guard: subprocess.Popen[str]) -> None:
        """Return once the server lists the model."""
        assert guard.stdout is not None
        began = reported = time.monotonic()
        self._report(f"starting the server of {self.name}; its log is {self.log}")
        while (obstacle := self._obstacle()) is not None:
            if not self.running:
                status = guard.stdout.readline().strip() or "unknown"
                raise self._failure(f"ended with status {status} before it listed the model")
            now = time.monotonic()
            if now - began >= self.start_seconds:
                limit = f"within {self.start_seconds:g} s"
                raise self._failure(f"did not list the model {limit} ({obstacle})")
            if now - reported >= REPORT:
                reported = now
                spent = f"{now - began:.0f} of at most {self.start_seconds:g} s"
                self._report(f"starting the server of {self.name}: {spent} ({obstacle})")
            time.sleep(POLL)
        self._report(f"{self.name} is served after {time.monotonic() - began:.0f} s")

    def _obstacle(self) -> str | None:
        """Return why the server is not ready; None once it lists the model and has loaded it.

        Raises:
            LocalServerError: It lists other models alone.
        """
        try:
            # Some servers list a model that they still load.
            if _status_of(self._port, "/health") == HTTPStatus.SERVICE_UNAVAILABLE:
                return "it is loading"
            endpoint = Endpoint(
                model=self.name, base_url=self.base_url, api_key_env=KEY_VARIABLES[0]
            )
            names = served_models(endpoint, self.api_key)
        except (OSError, http.client.HTTPException):
            return "no connection"
        except EndpointError as error:
            return str(error).rstrip(".")
        if self.name not in names:
            raise self._failure(f"lists {in_words(names)} and no model of that name")
        return None

    def _failure(self, what: str) -> LocalServerError:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            tail = file.read().decode(errors="replace").replace(self.api_key, "[key]").strip()
        return LocalServerError(
            f"the server of {self.name} {what}: correct the command "
            f"`{shlex.join(self.command)}`; the end of {self.log}:\n{tail or '(empty)'}"
        )


def require_program(program: str) -> None:
    """Make sure that the program of a command exists.

    Raises:
        LocalServerError: It does not.
    """
    if shutil.which(program) is None:
        raise LocalServerError(
            f"no program {program!r} on this machine to serve fine-tuned models: install it, or "
            "correct PERSONA_EVALUATION__SERVE"
        )


def _has_ended(guard: subprocess.Popen[str]) -> bool:
    """Return True if a process has ended; it stays a zombie, so that no other gets its id."""
    return os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _status_of(port: int, path: str) -> int:
    # http.client, because it never uses a proxy from the environment.
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def free_port() -> int:
    """Return a port of 127.0.0.1 at which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
