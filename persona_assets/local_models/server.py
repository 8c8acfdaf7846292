"""A local OpenAI-compatible server of a GGUF file: llama.cpp's server in a child process.

    with LocalServer(Path("model.gguf"), "writer") as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=server.api_key)
        client.chat.completions.create(model="writer", messages=[...], max_tokens=200)

The server binds 127.0.0.1 on a random port with a random key. It ends with the process that started
it, even if that process is killed. POSIX only.
"""

import http.client
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from persona_assets.local_models import server_child

STOP_SECONDS = 5.0
"""Seconds that the child may need to end before it is terminated, and then killed."""

LOG_TAIL_BYTES = 2000
"""Bytes of the log's end in the message of a failed start."""

BUSY_SAMPLE_SECONDS = 0.3
"""Seconds over which the load of the machine is measured."""


class LocalServerError(RuntimeError):
    """The server did not start, or is not running; the message contains the reason."""


def default_threads(cores: int | None = None, busy: float | None = None) -> int:
    """Return all cores if the machine is idle (less than half a core is busy), else one fewer.

    llama.cpp's threads wait for each other at every layer, so a thread that shares its core with
    another process delays all threads.

    Args:
        cores: Number of cores; by default those that this process may use.
        busy: Number of cores at work; measured by default.

    Example:
        >>> default_threads(cores=8, busy=0.4), default_threads(cores=8, busy=1.2)
        (8, 7)
    """
    if cores is None:
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if busy is None:
        busy = _busy_cores()
    return cores if round(busy) == 0 else max(1, cores - 1)


def _busy_cores() -> float:
    """Measure the number of busy cores; the load average still counts finished processes."""
    if sys.platform != "linux":
        return os.getloadavg()[0]
    before = _core_times()
    time.sleep(BUSY_SAMPLE_SECONDS)
    after = _core_times()
    total, idle = (b - a for a, b in zip(before, after, strict=True))
    return (os.cpu_count() or 1) * (1 - idle / total) if total else 0.0


def _core_times() -> tuple[int, int]:
    """Return ticks of all cores since boot: all ticks, and ticks spent idle or on disk waits."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(ticks), ticks[3] + ticks[4]


class LocalServer:
    """Server of a GGUF file between `start()` and `stop()`.

    The prompt cache is on: a seed repeats an answer exactly only with a single slot and
    `cache_prompt: false` in the request.

    A schema's `pattern` is obeyed only if it begins with `^` and ends with `$`. A pattern that
    admits a quote, backslash or line break, as `.` does, can end in status 500.

    Args:
        model_path: GGUF file.
        alias: Name of the model in requests.
        slots: Number of requests that are answered at the same time; further requests wait.
        context_tokens: Tokens per slot for prompt and answer together, at most the context that the
            model was trained on. A longer prompt is refused with status 400, a longer answer is cut
            with finish_reason "length".
        threads: Number of threads; by default `default_threads()` at the start.
        log: File to which warnings and errors of the child are appended; without it they serve only
            for the message of a failed start.
        start_seconds: Seconds within which the server must answer.
    """

    def __init__(
        self,
        model_path: Path,
        alias: str,
        slots: int = 1,
        context_tokens: int = 4096,
        threads: int | None = None,
        *,
        log: Path | None = None,
        start_seconds: float = 120.0,
    ) -> None:
        if min(slots, context_tokens) < 1 or (threads is not None and threads < 1):
            raise ValueError("slots, context_tokens and threads must be at least 1")
        self.model_path = model_path
        self.alias = alias
        self.slots = slots
        self.context_tokens = context_tokens
        self.threads = threads
        self.log = log
        self.start_seconds = start_seconds
        self.api_key = secrets.token_urlsafe(32)
        self._address: str = ""
        self._child: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """True if the child process is alive."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the child, None if it was not started."""
        return None if self._child is None else self._child.pid

    @property
    def base_url(self) -> str:
        """URL for an OpenAI client, ending in `/v1`; the port differs after every start.

        Raises:
            LocalServerError: The server is not running.
        """
        if not self.running:
            raise LocalServerError(f"the server of {self.alias} is not running; call start()")
        return f"{self._address}/v1"

    def start(self) -> Self:
        """Start the child and wait until it answers; do nothing if the child is running.

        Raises:
            LocalServerError: The child ended or was too slow; the message has the end of its log.
        """
        if self.running:
            return self
        self.stop()
        if not self.model_path.is_file():
            raise LocalServerError(f"no model file at {self.model_path}")
        if find_spec("xllamacpp") is None:
            raise LocalServerError("the local server needs: pip install 'persona_assets[local]'")
        threads = self.threads or default_threads()
        # By file name, because this package need not be on the child's search path.
        program = [sys.executable, "-P", server_child.__file__]
        arguments = (self.model_path, self.alias, self.slots, self.context_tokens, threads)
        with tempfile.TemporaryFile() if self.log is None else self.log.open("a+b") as log:
            child = subprocess.Popen(
                [*program, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, server_child.KEY_VARIABLE: self.api_key},
            )
            try:
                self._address = self._address_once_ready(child, log.fileno())
            except BaseException:
                _end(child)
                raise
        self._child = child
        return self

    def stop(self) -> None:
        """End the child: close its standard input, then terminate the child, then kill it."""
        child, self._child = self._child, None
        if child is not None:
            _end(child)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _address_once_ready(self, child: subprocess.Popen[str], log: int) -> str:
        assert child.stdout is not None
        deadline = time.monotonic() + self.start_seconds
        killer = threading.Timer(self.start_seconds, child.kill)
        killer.start()
        try:
            address = child.stdout.readline().strip()  # empty once the child has ended
            while child.poll() is None:
                if address and _healthy(address):
                    return address
                time.sleep(0.05)
        finally:
            killer.cancel()
        late = time.monotonic() >= deadline
        failure = f"took over {self.start_seconds:g} s" if late else f"ended ({child.returncode})"
        # Not seek(), because the child writes at the same file position.
        tail = os.pread(log, LOG_TAIL_BYTES, max(0, os.fstat(log).st_size - LOG_TAIL_BYTES))
        raise LocalServerError(
            f"the server of {self.model_path} {failure} before it was ready; the end of its log:\n"
            + tail.decode(errors="replace")
        )


def _healthy(address: str) -> bool:
    # http.client, because it never uses a proxy from the environment.
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    for signal_child in (child.terminate, child.kill):
        try:
            child.wait(STOP_SECONDS)
            break
        except subprocess.TimeoutExpired:
            signal_child()
    child.wait()
    child.stdout.close()
