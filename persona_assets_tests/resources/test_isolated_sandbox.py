"""The isolated sandbox is a full Python that ends with its owner, or it says why there is none."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from persona_assets.resources.isolated_sandbox import NotIsolated
from persona_assets.resources.isolated_worker import MODULES, NUMPY, SYMPY
from persona_assets.resources.sandbox import Sandbox

PROGRAMS = Path(__file__).parent / "programs"
WORKER = "persona_assets.resources.isolated_worker"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(kind="isolated") as sandbox:
        yield sandbox


@pytest.fixture
def others() -> list[psutil.Process]:
    """Workers of sandboxes of other tests."""
    return workers(os.getpid())


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the worker of the sandbox does not start."""
    monkeypatch.setattr(sys, "executable", "/bin/false")


def workers(parent: int) -> list[psutil.Process]:
    """Return the workers of a process and the forks in which their programs run."""
    found = []
    for child in psutil.Process(parent).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            found += [child] if WORKER in child.cmdline() else []
    return found


@pytest.mark.parametrize(
    "source",
    [
        "\n".join(f"import {name}" for name in MODULES),
        "\n".join(f"import numpy.{name}" for name in NUMPY),
        "\n".join(f"import sympy.{name}" for name in SYMPY),
        "class A:\n    pass\nclass B(A):\n    @property\n    def x(self):\n        return 1\nB().x",
        "from fractions import Fraction\nmax(Fraction(1, 2), Fraction(1, 3))",
    ],
)
def test_python_is_whole(sandbox: Sandbox, source: str) -> None:
    assert sandbox.run(f"{source}\nanswer = 1").answer == "1"


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("import numpy\nanswer = [numpy.float64(0.5), numpy.int64(2)]", "[0.5, 2]"),
        ("from fractions import Fraction\nanswer = [Fraction(1, 2), Fraction(3)]", "[1/2, 3]"),
        ("from decimal import Decimal\nanswer = (Decimal('1.50'), 2)", "(1.50, 2)"),
        ("import mpmath\nanswer = [mpmath.mpf(1) / 4]", "[0.25]"),
        (
            "from sympy import Rational, sqrt\nanswer = (Rational(1, 2), sqrt(8))",
            "(1/2, 2*sqrt(2))",
        ),
        ("answer = '\\ud800'", "?"),
        ("import sys\nsys.stdout.close()\nanswer = 3", "3"),
        ("print(7)\nexit()", "7"),
    ],
)
def test_answer_is_readable(sandbox: Sandbox, source: str, answer: str) -> None:
    assert sandbox.run(source).answer == answer


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import os\nos._exit(0)", "the program ended its process"),
        ("import ctypes\nctypes.string_at(1)", "the program crashed with SIGSEGV"),
        ("import sympy\n\nsympy.nonsense", "line 3: AttributeError: module 'sympy' has no attr"),
        ("from sympy import oo\nanswer = oo", "the answer is not a finite number: oo"),
    ],
)
def test_failure_has_its_reason(sandbox: Sandbox, source: str, error: str) -> None:
    result = sandbox.run(source)
    assert result.answer is None
    assert result.error is not None
    assert result.error.startswith(error)


def test_limit_is_cpu_time_and_not_wall_time() -> None:
    with Sandbox(seconds=0.2, kind="isolated") as sandbox:
        # A wait costs no CPU time; ten times the limit are its end.
        wait = "import ctypes\nctypes.CDLL(None).usleep({})\nanswer = 1"
        assert sandbox.run(wait.format(600_000)).answer == "1"
        assert sandbox.run(wait.format(600_000_000)).error == "TimeoutError: out of time"


def test_programs_of_threads_run_at_the_same_time(others: list[psutil.Process]) -> None:
    with Sandbox(kind="isolated") as sandbox:
        sandbox.run("answer = 1")
        meeting = threading.Barrier(2, timeout=60)

        def run() -> None:
            meeting.wait()
            sandbox.run("import ctypes\nctypes.CDLL(None).usleep(500_000)\nanswer = 1")

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, len(workers(os.getpid())))
        assert most == len(others) + 3  # the worker and two forks


def test_worker_that_dies_costs_only_its_program(others: list[psutil.Process]) -> None:
    with Sandbox(seconds=30, kind="isolated") as sandbox:
        assert sandbox.run("answer = 1").answer == "1"
        (worker,) = set(workers(os.getpid())) - set(others)
        killer = threading.Timer(0.5, worker.kill)
        killer.start()
        assert sandbox.run("while True: pass").error == "the sandbox gave up: its worker ended"
        killer.join()
        assert sandbox.run("answer = 2").answer == "2"


def test_closed_sandbox_leaves_no_process(others: list[psutil.Process]) -> None:
    sandbox = Sandbox(kind="isolated")
    assert sandbox.run("answer = 1").answer == "1"
    assert len(workers(os.getpid())) == len(others) + 1
    sandbox.close()
    assert workers(os.getpid()) == others


def test_processes_end_with_a_killed_owner() -> None:
    command = [sys.executable, str(PROGRAMS / "hold_isolated_sandbox.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "busy\n"
        held = workers(owner.pid)
        assert len(held) == 2
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(process.is_running() for process in held):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("no_worker")
def test_isolated_sandbox_refuses_where_nothing_is_isolated() -> None:
    refusal = "the worker of the isolated sandbox did not start: set PERSONA_SANDBOX=light"
    with Sandbox(kind="isolated") as sandbox:
        for _ in range(2):
            with pytest.raises(NotIsolated, match=f"^{refusal}$"):
                sandbox.run("answer = 1")


@pytest.mark.usefixtures("no_worker")
def test_automatic_sandbox_is_the_light_one_where_nothing_is_isolated() -> None:
    with Sandbox(kind="auto") as sandbox:
        assert sandbox.run("answer = 6 * 7").answer == "42"
        assert sandbox.run("1 / 0").error == "line 1: ZeroDivisionError: division by zero"
        lacking = "line 1: the sandbox has no module 'sympy'; "
        lacking += "the worker of the isolated sandbox did not start"
        assert sandbox.run("import sympy").error == lacking


def test_automatic_sandbox_isolates_what_fails_in_the_light_one(
    others: list[psutil.Process],
) -> None:
    with Sandbox(kind="auto") as sandbox:
        assert sandbox.run("answer = 6 * 7").answer == "42"
        assert workers(os.getpid()) == others
        assert sandbox.run("import sympy\nanswer = sympy.Integer(3)").answer == "3"
        assert len(workers(os.getpid())) == len(others) + 1
        assert sandbox.run("import torch").error == "line 1: the sandbox has no module 'torch'"
