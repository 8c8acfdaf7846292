"""Sandbox of a full Python with sympy and numpy, isolated by the kernel.

Each program runs in a fork of a warm worker (`isolated_worker.py`), confined by `confinement.py`.
"""

import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from persona_assets.resources.cpu_clock import WALL_FACTOR, cpu_seconds
from persona_assets.resources.program_answers import (
    MAX_OUTPUT,
    MAX_SOURCE,
    OUT_OF_TIME,
    TOO_LONG_SOURCE,
    TOO_MUCH_OUTPUT,
    ProgramResult,
    encodable,
    ended_program,
    failed_program,
)
from persona_assets.resources.worker_environment import worker_environment

STARTUP_SECONDS = 120.0
"""Seconds within which a worker must have imported sympy, on a busy machine."""

MAX_RESULT = 65_536
"""Longest message with a program's answer, in bytes."""

_WORKER = "persona_assets.resources.isolated_worker"
_GAVE_UP = "the sandbox gave up: its worker ended"
# Threads would be refused in the fork; hashes decide the order of sets.
_VARIABLES = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class NotIsolated(RuntimeError):
    """This machine cannot isolate programs; the message is the reason."""


class IsolatedSandbox:
    """Sandbox that runs each program in a confined fork of a worker.

    The worker starts with the first program and ends with `close()`, with this object or with this
    process. Several threads may run programs at the same time.

    Args:
        seconds: CPU time limit per program; its wall time is limited to `WALL_FACTOR` times that.
        memory_mb: Memory limit per program, in MiB, besides what the worker has.
    """

    def __init__(self, seconds: float, memory_mb: int) -> None:
        self._seconds = seconds
        self._bytes = memory_mb * 1024 * 1024
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []  # at most one; a list, so that the finalizer sees changes
        self._unavailable: str | None = None
        weakref.finalize(self, _stop_all, self._workers)

    def run(self, source: str) -> ProgramResult:
        """Run a program; every failure of the program is a result, not an exception.

        Raises:
            NotIsolated: This machine cannot isolate programs.
        """
        if len(source) > MAX_SOURCE:
            return failed_program(TOO_LONG_SOURCE)
        try:
            worker = self._running()
            with _started(worker) as program:
                return program.result(encodable(source), self._seconds)
        except _WorkerEnded:
            self.close()
            return failed_program(_GAVE_UP)

    def close(self) -> None:
        """End the worker and its programs. A later call of `run` starts a new worker."""
        with self._lock:
            _stop_all(self._workers)

    def _running(self) -> "_Worker":
        with self._lock:
            if self._unavailable is not None:
                raise NotIsolated(self._unavailable)
            if not self._workers:
                try:
                    self._workers.append(_Worker(math.ceil(self._seconds) + 1, self._bytes))
                except NotIsolated as error:
                    self._unavailable = str(error)
                    raise
            return self._workers[0]


class _WorkerEnded(Exception):
    """The worker ended or was killed, as by a machine without memory."""


class _Worker:
    """Worker process, and the socket to it."""

    def __init__(self, seconds: int, memory: int) -> None:
        if sys.platform != "linux":
            raise NotIsolated(f"programs are isolated on Linux alone, and this is {sys.platform}")
        self._turn = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    _WORKER,
                    *map(str, (theirs.fileno(), seconds, memory)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=worker_environment() | _VARIABLES,
                start_new_session=True,  # the parent handles Ctrl-C
            )
        reason = "the worker of the isolated sandbox did not start"
        try:
            self._channel.settimeout(STARTUP_SECONDS)
            with suppress(_WorkerEnded, TimeoutError):
                reason = self._receive()["error"]
            self._channel.settimeout(None)
        finally:
            if reason is not None:
                self.stop()
        if reason is not None:
            raise NotIsolated(reason)

    def start(self, descriptors: list[int]) -> int:
        """Start a program and return the id of its process."""
        return int(self._ask({}, descriptors)["pid"])

    def end(self, pid: int) -> int:
        """End a program and return the status of its process."""
        return int(self._ask({"end": pid}, [])["status"])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def _ask(self, message: dict[str, int], descriptors: list[int]) -> dict[str, Any]:
        with self._turn:
            try:
                socket.send_fds(self._channel, [json.dumps(message).encode()], descriptors)
            except OSError:
                raise _WorkerEnded from None
            return self._receive()

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._channel.recv(4096)
        except ConnectionError:
            message = b""
        if not message:
            raise _WorkerEnded
        received: dict[str, Any] = json.loads(message)
        return received


class _RunningProgram:
    """Process of a program, and this side's ends of its pipes."""

    def __init__(self, worker: _Worker, source: int, output: int, result: int, pid: int) -> None:
        self._worker = worker
        self._pipes = {source, output, result}
        self._source, self._output, self._result = source, output, result
        self._pid = pid
        self._status: int | None = None

    def result(self, source: str, seconds: float) -> ProgramResult:
        """Run a program to its end or to a limit."""
        with suppress(BrokenPipeError):  # the process was killed
            _write(self._source, source.encode())
        self._close(self._source)
        texts, reason = self._read(seconds)
        output = texts[self._output][:MAX_OUTPUT]
        status = self.end()
        if reason is not None:
            return failed_program(reason, output)
        answer, error = _read_result(texts[self._result], status)
        return failed_program(error, output) if error else ended_program(answer, output)

    def _read(self, seconds: float) -> tuple[dict[int, str], str | None]:
        """Read output and result until both end; return them, and the limit that was reached."""
        decoder = getincrementaldecoder("utf-8")
        decoders = {pipe: decoder("replace") for pipe in (self._output, self._result)}
        texts = dict.fromkeys(decoders, "")
        most = {self._output: MAX_OUTPUT, self._result: MAX_RESULT}
        deadline = time.monotonic() + WALL_FACTOR * seconds
        with selectors.DefaultSelector() as selector:
            for pipe in decoders:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                left = min(seconds - _cpu_seconds(self._pid), deadline - time.monotonic())
                if left <= 0:
                    return texts, OUT_OF_TIME
                for key, _ in selector.select(left):
                    data = os.read(key.fd, MAX_OUTPUT)
                    texts[key.fd] += decoders[key.fd].decode(data, final=not data)
                    if not data:
                        selector.unregister(key.fd)
                    elif len(texts[key.fd]) > most[key.fd]:
                        return texts, TOO_MUCH_OUTPUT
        return texts, None

    def end(self) -> int:
        """End the process, if it runs, and return its status."""
        if self._status is None:
            self._status = self._worker.end(self._pid)
        return self._status

    def close(self) -> None:
        for pipe in [*self._pipes]:
            self._close(pipe)

    def _close(self, pipe: int) -> None:
        self._pipes.remove(pipe)
        os.close(pipe)


@contextmanager
def _started(worker: _Worker) -> Iterator[_RunningProgram]:
    """Start a process for a program; end it, and close its pipes, whatever happens."""
    theirs_source, source = os.pipe()
    output, theirs_output = os.pipe()
    result, theirs_result = os.pipe()
    theirs = [theirs_source, theirs_output, theirs_result]
    try:
        pid = worker.start(theirs)
    except BaseException:
        for pipe in (source, output, result):
            os.close(pipe)
        raise
    finally:
        for pipe in theirs:
            os.close(pipe)
    program = _RunningProgram(worker, source, output, result, pid)
    try:
        yield program
    finally:
        program.close()
        program.end()


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process that has not been waited for."""
    try:
        return cpu_seconds(pid)
    except OSError:
        raise _WorkerEnded from None


def _read_result(message: str, status: int) -> tuple[str | None, str | None]:
    """Return answer and error of a program, whose process may have written anything."""
    try:
        read = json.loads(message)
        answer, error = read["answer"], read["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None, _death(status)
    if isinstance(answer, str | None) and isinstance(error, str | None):
        return answer, error
    return None, _death(status)


def _death(status: int) -> str:
    """Return why a process ended without a result."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGKILL, signal.SIGXCPU):
            return OUT_OF_TIME
        return f"the program crashed with {signal.Signals(number).name}"
    return "the program ended its process"


def _stop_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().stop()
