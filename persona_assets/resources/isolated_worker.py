"""Worker of `IsolatedSandbox`: a Python that has imported sympy once, and forks for each program.

Run as `python -m persona_assets.resources.isolated_worker DESCRIPTOR SECONDS MEMORY`, where the
descriptor is a socket of messages in JSON. The worker first sends `{"error": null}`, or the reason
why it cannot isolate programs. Then it answers two messages, until the socket closes:

- `{}` with three file descriptors (pipes of source, output and result) starts a program in a fork
  and returns its `pid`;
- `{"end": pid}` kills what is left of it and returns its `status`.

A program's text and its result pass between the fork and the owner of the pipes alone. So no
program finds anything of an earlier one in its memory, and none can write another's result. A fork
ends with the worker, and the worker with its owner.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import random
import resource
import signal
import socket
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any, NoReturn

from persona_assets.resources.confinement import ConfinementError, check_system, confine
from persona_assets.resources.program_answers import MAX_ANSWER

MODULES = (
    *("abc", "array", "base64", "bisect", "calendar", "cmath", "collections", "contextlib", "copy"),
    *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "graphlib"),
    *("hashlib", "heapq", "io", "itertools", "json", "math", "numbers", "operator", "pprint"),
    *("queue", "random", "re", "secrets", "statistics", "string", "textwrap", "time", "timeit"),
    *("traceback", "typing", "unicodedata", "warnings", "mpmath", "numpy", "sympy"),
)
"""Modules that programs may import, besides those that these import themselves."""

SYMPY = (
    *("abc", "algebras", "assumptions", "calculus", "codegen.ast", "combinatorics", "concrete"),
    *(
        "discrete",
        "functions",
        "geometry",
        "holonomic",
        "integrals",
        "logic",
        "matrices",
        "ntheory",
    ),
    *("parsing.sympy_parser", "physics.units", "polys", "printing.latex", "printing.numpy"),
    *("printing.pretty", "printing.repr", "series", "sets", "simplify", "solvers", "stats"),
    *("strategies", "tensor", "unify", "utilities.iterables", "utilities.lambdify", "vector"),
)
"""Parts of sympy that are imported whole: a fork opens no file, so that it can import nothing."""

NUMPY = ("fft", "linalg", "ma", "matlib", "polynomial", "random")
"""Parts of numpy that are imported on demand."""

MAX_MESSAGE = 1_000
"""Longest text of an exception that leaves the fork, in characters."""

DESCRIPTORS = 64
"""Number of file descriptors that the worker may have open."""

_SKIPPED = frozenset({"tests", "benchmarks", "sampling"})
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> int:
    """Serve programs until the socket closes."""
    descriptor, seconds, memory = map(int, sys.argv[1:])
    channel = socket.socket(fileno=descriptor)
    try:
        check_system()
        _prepare()
        _try_confinement()
    except (ConfinementError, ImportError) as error:
        _send(channel, error=str(error))
        return 1
    memory += _address_space()
    _send(channel, error=None)
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 4096, 3)
        if not message:
            return 0
        ended = json.loads(message).get("end")
        if ended is not None:
            os.kill(ended, signal.SIGKILL)
            _send(channel, status=os.waitpid(ended, 0)[1])
            continue
        worker = os.getpid()
        pid = os.fork()
        if pid == 0:
            # Its number may be above DESCRIPTORS: the owner chose it.
            channel.close()
            _run_confined(descriptors, worker, seconds, memory)
        for descriptor in descriptors:
            os.close(descriptor)
        _send(channel, pid=pid)


def _send(channel: socket.socket, **message: object) -> None:
    channel.send(json.dumps(message).encode())


def _prepare() -> None:
    """Import what programs may import, and leave nothing of this machine in the process."""
    warnings.simplefilter("ignore")
    for name in MODULES:
        importlib.import_module(name)
    for name in NUMPY:
        importlib.import_module(f"numpy.{name}")
    for name in SYMPY:
        _import_all(f"sympy.{name}")
    numpy = importlib.import_module("numpy")
    numpy.set_printoptions(legacy="1.25")  # a number in a list is 0.5, not np.float64(0.5)
    # Programs have the same random numbers whenever they run.
    numpy.random.seed(0)
    importlib.import_module("sympy.core.random").seed(0)
    time.sleep = lambda seconds: None  # as in the light sandbox
    os.environ.clear()
    sys.argv[:] = [""]
    sys.path.clear()
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    # A collection in a fork would copy all pages of the worker.
    gc.collect()
    gc.freeze()


def _import_all(name: str) -> None:
    module = importlib.import_module(name)
    for part in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if part.name not in _SKIPPED:
            _import_all(f"{name}.{part.name}")


def _try_confinement() -> None:
    """Confine a fork and see that it opens no file.

    Raises:
        ConfinementError: It cannot be confined, or opens one.
    """
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        reason = ""
        try:
            confine(10, 1 << 40)
            os.close(os.open("/", os.O_RDONLY))
            reason = "the kernel does not enforce its filter of system calls"
        except ConfinementError as error:
            reason = str(error)
        except PermissionError:
            pass
        finally:
            os.write(sender, reason.encode())
            os._exit(0)
    os.close(sender)
    with open(receiver, "rb") as pipe:
        reason = pipe.read().decode()
    if os.waitpid(pid, 0)[1] or reason:
        raise ConfinementError(reason or "the kernel kills a process that is to be isolated")


def _address_space() -> int:
    """Return the bytes of address space that the worker has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _run_confined(descriptors: list[int], worker: int, seconds: int, memory: int) -> NoReturn:
    """Run a program in this process, confined, and end the process."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == worker:
            source, output, result = descriptors
            with open(source, "rb") as pipe:
                text = pipe.read().decode()
            os.dup2(output, 1)
            random.seed(0)  # Python seeds it anew in a fork
            os.closerange(3, result)
            os.closerange(result + 1, DESCRIPTORS)
            confine(seconds, memory)
            os.write(result, json.dumps(_run(text)).encode())
            status = 0
    finally:
        os._exit(status)


def _run(source: str) -> dict[str, str | None]:
    """Run a program; return its `answer` as text, and its `error`."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    answer: str | None = None
    error: str | None = None
    try:
        with contextlib.suppress(SystemExit):
            exec(compile(source, "<program>", "exec"), module.__dict__)
        value: Any = getattr(module, "answer", None)
        answer = None if value is None else str(value)[: MAX_ANSWER + 1]
    except BaseException as raised:
        error = _described(raised)
    # A program may have closed or replaced it.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    return {"answer": answer, "error": error}


def _described(raised: BaseException) -> str:
    """Return the line of the program that raised an exception, its type and its message."""
    line = raised.lineno if isinstance(raised, SyntaxError) else None
    frame = raised.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<program>":
            line = frame.tb_lineno
        frame = frame.tb_next
    try:
        message = raised.msg if isinstance(raised, SyntaxError) else str(raised)
    except BaseException:
        message = "an exception without a readable message"
    if isinstance(raised, MemoryError):
        message = "out of memory"
    where = f"line {line}: " if line else ""
    return f"{where}{type(raised).__name__}: {message}"[:MAX_MESSAGE]


if __name__ == "__main__":
    sys.exit(main())
