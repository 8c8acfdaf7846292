"""Equality of mathematical answers, with computer algebra in child processes.

`persona_assets.grading` reads and compares most pairs in this process, in bounded time. The rest
needs sympy, which may take any amount of time on untrusted text. A child program
(`grader_worker.py`) can be killed, and distinguishes a time-out from "not equal".
"""

import json
import os
import selectors
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from persona_assets.grading.comparison import MAX_CHARACTERS, Comparison
from persona_assets.resources.worker_environment import worker_environment

__all__ = ["MAX_CHARACTERS", "STARTUP_SECONDS", "Grader"]

STARTUP_SECONDS = 120.0
"""Seconds within which a worker must have imported sympy, on a busy machine."""

_PROGRAM = "persona_assets.resources.grader_worker"
_VERDICTS: dict[bytes, bool | None] = {b"true\n": True, b"false\n": False, b"null\n": None}


class Grader:
    """Comparison of pairs of answers in worker processes.

    The workers start with the first pair that needs algebra. They end with `close()`, with this
    object or with this process, whichever is first. Calls from several threads run one after the
    other.

    Args:
        workers: Number of worker processes.
        timeout: Seconds per pair.

    Example:
        >>> with Grader() as grader:
        ...     grader.equal([(r"\\frac{1}{2}", "0.5"), ("7", "8")])
        [True, False]
    """

    def __init__(self, workers: int = 1, timeout: float = 5.0) -> None:
        if workers < 1 or timeout <= 0:
            raise ValueError("a grader needs at least one worker and a time limit above 0 seconds")
        self._turn = threading.Lock()
        self._workers = [_Worker(timeout) for _ in range(workers)]
        weakref.finalize(self, _stop_all, self._workers)

    def equal(self, pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        """Decide which answers equal their gold answers.

        The conventions are those of `persona_assets.grading.comparison`. The order within a pair
        matters only if one of the texts is empty: an empty gold answer is undecided, an empty
        answer is wrong.

        Args:
            pairs: Gold answer and answer of each pair.

        Returns:
            A verdict per pair, in order. None is undecided: an empty gold answer, an answer without
            a value such as 1/0, a text over `MAX_CHARACTERS`, or a comparison that failed,
            exhausted its time or memory, or crashed its worker.

        Raises:
            RuntimeError: A worker cannot start.
        """
        verdicts: list[bool | None] = []
        waiting: deque[int] = deque()
        for index, (gold, answer) in enumerate(pairs):
            comparison = Comparison()
            verdicts.append(comparison.answers(gold, answer))
            if verdicts[-1] is None and comparison.unsolved:
                waiting.append(index)

        def drain(worker: _Worker) -> None:
            while waiting:
                try:
                    index = waiting.popleft()
                except IndexError:  # another thread took the last pair
                    return
                verdicts[index] = worker.ask(*pairs[index])

        if waiting:
            with self._turn:
                workers = self._workers[: len(waiting)]
                with ThreadPoolExecutor(len(workers)) as threads:
                    try:
                        list(threads.map(drain, workers))
                    finally:
                        waiting.clear()  # after an interrupt, no thread starts another pair
        return verdicts

    def close(self) -> None:
        """End the workers. A later call of `equal` starts new workers."""
        with self._turn:
            _stop_all(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Worker:
    """Child process, started on first use and again after it died or was killed."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, gold: str, answer: str) -> bool | None:
        """Return the child's verdict; kill the child and return None after twice the time limit."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._start()
        reply = b""
        try:
            self._send(json.dumps([gold, answer]).encode() + b"\n")
            reply = self._receive(2 * self._timeout)
        except BrokenPipeError:
            pass
        finally:
            if reply not in _VERDICTS:
                self.stop()  # otherwise the next pair would read the late verdict of this pair
        return _VERDICTS.get(reply)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _PROGRAM, str(self._timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=worker_environment(),
            start_new_session=True,  # the parent handles Ctrl-C
        )
        greeting = b""
        try:
            greeting = self._receive(STARTUP_SECONDS)
        finally:
            if greeting != b"ready\n":
                self.stop()
        if greeting != b"ready\n":
            reason = greeting.decode(errors="replace").strip() or "it ended or hung"
            raise RuntimeError(f"a grading worker did not start: {reason}")

    def _send(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line)

    def _receive(self, seconds: float) -> bytes:
        """Return the next line of the child, which is short enough to arrive whole."""
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return os.read(self._process.stdout.fileno(), 4096) if selector.select(seconds) else b""


def _stop_all(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.stop()
