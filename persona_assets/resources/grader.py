"""Equality of mathematical answers, decided by math-verify in child processes.

math-verify turns LaTeX into sympy and may need any amount of time on untrusted text. Its own time
limits are Unix alarms, which raise in threads and otherwise report a time-out as "not equal". So it
runs in a child program (`grader_worker.py`) that can be killed, and a time-out is told apart.
"""

import json
import os
import re
import selectors
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

MAX_CHARACTERS = 2_000
"""A longer text is not a final answer; it is left undecided."""

STARTUP_SECONDS = 120.0
"""Time for a worker to import sympy on a busy machine."""

_PROGRAM = Path(__file__).with_name("grader_worker.py")
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
_VERDICTS: dict[bytes, bool | None] = {b"true\n": True, b"false\n": False, b"null\n": None}

_SPACE = re.compile(r"(\\\\)|\\[,;: ]|~|\s+")
_TYPOGRAPHY = re.compile(r"\\(?:left|right)(?![A-Za-z])|\\!|\\?\$")
_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")
_LOOSE_SPACE = re.compile(r"(?<![0-9A-Za-z,]) +| +(?![0-9A-Za-z ])")
_INTEGER = re.compile(r"[+-]?(?:[0-9]{1,300}|[0-9]{1,3}(?:,[0-9]{3})+)", re.ASCII)


class Grader:
    """Compares pairs of answers in `workers` processes, `timeout` seconds at most for each pair.

    Workers start with the first pair that needs one and end with `close()`, with this object or
    with this process, whichever comes first. Calls from several threads take turns.

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
        """Whether each (gold answer, answer) is equal, in order; None where that is undecided.

        Undecided is an empty or unreadable gold answer, a text over `MAX_CHARACTERS`, and a
        comparison that failed, ran out of time or memory, or took its worker down. Order matters:
        the gold answer `x < 3` accepts the interval, not the other way round.

        Without a worker: answers that differ only in spaces, dollar signs, `\\left`, `\\right`,
        `\\dfrac` for `\\frac` or a trailing full stop are equal, and two integers (also written
        `1,000`) are compared as integers.

        Raises RuntimeError if a worker cannot start.
        """
        verdicts = [_at_sight(gold, answer) for gold, answer in pairs]
        waiting = deque(
            index
            for index, (gold, answer) in enumerate(pairs)
            if verdicts[index] is None
            and gold.strip()
            and max(len(gold), len(answer)) <= MAX_CHARACTERS
        )

        def drain(worker: _Worker) -> None:
            while waiting:
                try:
                    index = waiting.popleft()
                except IndexError:  # another thread took the last one
                    return
                verdicts[index] = worker.ask(*pairs[index])

        if waiting:
            with self._turn:
                workers = self._workers[: len(waiting)]
                with ThreadPoolExecutor(len(workers)) as threads:
                    try:
                        list(threads.map(drain, workers))
                    finally:
                        waiting.clear()  # after an interrupt, no thread takes another pair
        return verdicts

    def close(self) -> None:
        """End the workers. A later call of `equal` starts new ones."""
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
    """One child process, started when first asked and again after it died or was killed."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, gold: str, answer: str) -> bool | None:
        """The child's verdict; None, and no child, if it does not answer in twice its time."""
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
                self.stop()  # or the next pair would read this one's late verdict
        return _VERDICTS.get(reply)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), str(self._timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,  # Ctrl-C is for the parent to handle
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
        """The child's next line: it writes one at a time, each short enough to arrive whole."""
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return os.read(self._process.stdout.fileno(), 4096) if selector.select(seconds) else b""


def _stop_all(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.stop()


def _at_sight(gold: str, answer: str) -> bool | None:
    """The verdict where it needs no algebra, else None."""
    expected, given = _plain(gold), _plain(answer)
    if _INTEGER.fullmatch(expected) and _INTEGER.fullmatch(given):
        return int(expected.replace(",", "")) == int(given.replace(",", ""))
    return True if expected and expected == given else None


def _plain(answer: str) -> str:
    """`answer` without typography. Spaces stay where they mean something: `1 1/2`, `4, 100`."""
    if len(answer) > MAX_CHARACTERS:
        return ""
    text = _SPACE.sub(lambda found: found[1] or " ", answer)
    text = _FRACTION.sub(r"\\frac", _TYPOGRAPHY.sub("", text))
    return _LOOSE_SPACE.sub("", text).strip().removesuffix(".")
