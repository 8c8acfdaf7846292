"""A grader compares answers as mathematics, within limits, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from persona_assets.resources.grader import MAX_CHARACTERS, Grader

ENDLESS = (r"\sum_{k=1}^{99999999} \frac{1}{k^2+k+7}", "1")
"""Pair that sympy cannot decide in time; the comparison can be interrupted."""

ALGEBRA = ("x^3 < 8", "x < 2")
"""Pair of equal answers that needs a worker."""

ALGEBRA_TOO = ("x^3 - x > 0", r"(-1,0) \cup (1,\infty)")
"""Another pair of equal answers that needs a worker."""

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[2])}

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")


def program(name: str, *pairs: tuple[str, str]) -> list[str]:
    """Return the command of a program whose arguments are pairs of answers."""
    return [sys.executable, str(PROGRAMS / name), *map(json.dumps, pairs)]


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


def children(parent: int) -> list[int]:
    """Return the process ids of a process's grading workers, zombies included."""
    workers = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and (b"grader_worker" in command or fields[0] == "Z"):
            workers.append(int(stat.parent.name))
    return workers


@pytest.fixture
def started() -> Callable[[], list[int]]:
    """Function that returns the process ids of the workers which the test started."""
    before = set(children(os.getpid()))
    return lambda: [worker for worker in children(os.getpid()) if worker not in before]


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac12", "1/2", True),
        (r"2\sqrt{3}", r"\sqrt{12}", True),
        (*ALGEBRA, True),
        (*ALGEBRA_TOO, True),
        ("x^3 < 8", "x < 3", False),
        (r"\{1, 2\}", r"\{2, 1\}", True),
        ("x = 5", "5", True),
        (r"10\%", "0.1", True),
        (r"\frac{1}{3}", "0.333333", False),
        (r"\pi", "3.14", False),
        (r"\text{Monday}", "Tuesday", False),
        ("(1, 2)", "(2, 1)", False),
        ("7", "about seven", False),
        ("7", "", False),
        ("x < 3", r"(-\infty, 3)", True),
        (r"(-\infty, 3)", "x < 3", True),
    ],
)
def test_answers_are_compared_as_mathematics(
    grader: Grader, gold: str, answer: str, verdict: bool
) -> None:
    assert grader.equal([(gold, answer)]) == [verdict]


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        ("12", "12", True),
        ("12", "13", False),
        ("+7", "07", True),
        ("1,234", "1234", True),
        (r"\$1,\!234", "1234", True),
        ("12,34", "12,34", True),
        (r"\left( 1, 2 \right)", "(1, 2)", True),
        (r"\dfrac{1}{2}", r"$\frac{1}{2}$.", True),
        (r"x \in [1,\, 2]", r"x\in[1, 2]", True),
        ("a b", "a b", True),
        (r"(x+1)^2", "x^2 + 2x + 1", True),
        (r"2\sqrt{3}", r"\sqrt{12}", True),
        (r"\pi", "3.14", False),
    ],
)
@linux
def test_pair_that_needs_no_algebra_starts_no_worker(
    started: Callable[[], list[int]], gold: str, answer: str, verdict: bool
) -> None:
    with Grader() as grader:
        assert grader.equal([(gold, answer)]) == [verdict]
        assert started() == []


@pytest.mark.parametrize(
    ("gold", "answer"), [("1 1/2", "11/2"), ("4, 100", "4100"), ("ab", "a c"), (r"\leftarrow", "x")]
)
def test_space_with_a_meaning_is_kept(grader: Grader, gold: str, answer: str) -> None:
    assert grader.equal([(gold, answer)]) == [False]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("", "5"),
        (" ", " "),
        (r"\frac{1}{0}", "5"),
        ("9^{9^{9^{9}}}", "1"),
        ("x" * (MAX_CHARACTERS + 1), "5"),
        ("5", "5" * (MAX_CHARACTERS + 1)),
    ],
)
def test_undecided_pair_is_none(grader: Grader, gold: str, answer: str) -> None:
    assert grader.equal([(gold, answer), ALGEBRA]) == [None, True]


def test_strange_characters_do_no_harm(grader: Grader) -> None:
    strange = ["\ud800", "\x00", "\n", '"]', "\\", "}{", "é∑", "\u2028"]
    verdicts = grader.equal([("7", text) for text in strange] + [ALGEBRA])
    assert True not in verdicts[:-1]
    assert verdicts[-1] is True


def test_no_pairs_give_no_verdicts(grader: Grader) -> None:
    assert grader.equal([]) == []


def test_verdicts_of_several_workers_are_in_order() -> None:
    pairs = [(f"x^3 < {n**3}", f"x < {n if n % 3 else n + 1}") for n in range(2, 20)]
    with Grader(workers=2) as grader:
        assert grader.equal(pairs) == [bool(n % 3) for n in range(2, 20)]


def test_threads_can_share_a_grader(grader: Grader) -> None:
    verdicts: dict[int, list[bool | None]] = {}

    def ask(n: int) -> None:
        verdicts[n] = grader.equal([(f"x^3 < {n**3}", f"x < {n}"), (f"{n}x", f"{n}y")])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {n: [True, False] for n in range(2, 8)}


@linux
def test_pair_that_times_out_is_undecided_and_its_worker_survives(
    started: Callable[[], list[int]],
) -> None:
    with Grader(timeout=1.5) as grader:
        assert grader.equal([ALGEBRA]) == [True]
        workers = started()
        assert grader.equal([ENDLESS, ALGEBRA]) == [None, True]
        assert started() == workers


@linux
def test_worker_that_hangs_is_killed_and_replaced(started: Callable[[], list[int]]) -> None:
    with Grader(timeout=1.5) as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (stopped,) = started()
        os.kill(stopped, signal.SIGSTOP)
        assert grader.equal([ALGEBRA_TOO, ALGEBRA]) == [None, True]
        assert stopped not in started()


@linux
def test_worker_that_dies_costs_only_its_pair(started: Callable[[], list[int]]) -> None:
    with Grader(timeout=30) as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (worker,) = started()
        killer = threading.Timer(0.5, os.kill, (worker, signal.SIGKILL))
        killer.start()
        assert grader.equal([ENDLESS, ALGEBRA]) == [None, True]
        killer.join()


@linux
def test_worker_that_died_between_calls_costs_no_pair(started: Callable[[], list[int]]) -> None:
    with Grader() as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (worker,) = started()
        os.kill(worker, signal.SIGKILL)
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
        assert grader.equal([ALGEBRA_TOO]) == [True]


@linux
def test_closed_grader_leaves_no_process_and_starts_again(
    started: Callable[[], list[int]],
) -> None:
    grader = Grader(workers=2)
    grader.close()
    assert grader.equal([ALGEBRA] * 4) == [True] * 4
    assert started()
    grader.close()
    assert started() == []
    assert grader.equal([ALGEBRA]) == [True]
    del grader
    assert started() == []


@linux
def test_workers_end_with_a_killed_parent() -> None:
    command = program("grade_until_killed.py", ALGEBRA, ENDLESS)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"busy\n"
        (worker,) = children(parent.pid)
        parent.kill()
    for _ in range(300):
        if not Path(f"/proc/{worker}").exists():
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent by 30 seconds")


@linux
def test_interrupted_call_leaves_no_late_verdict() -> None:
    process = subprocess.run(
        program("grade_after_interrupt.py", ALGEBRA, ENDLESS),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
    )
    assert (process.stdout, process.stderr) == ("[False, True]\n", "")


@linux
def test_workers_have_no_secrets_in_their_environment(
    started: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with Grader() as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (worker,) = started()
        assert b"sk-secret" not in Path(f"/proc/{worker}/environ").read_bytes()


def test_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROGRAMS / "broken_sympy"))
    with Grader() as grader, pytest.raises(RuntimeError, match="broken on purpose"):
        grader.equal([ALGEBRA])


@pytest.mark.parametrize(("workers", "timeout"), [(0, 5.0), (1, 0.0), (1, -1.0)])
def test_senseless_sizes_are_refused(workers: int, timeout: float) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        Grader(workers, timeout)


def test_import_of_the_grader_imports_no_sympy() -> None:
    command = program("import_grader.py")
    assert subprocess.check_output(command, text=True, env=ENVIRONMENT) == "False\n"
