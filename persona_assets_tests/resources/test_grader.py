import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from persona_assets.resources import grader as module
from persona_assets.resources.grader import MAX_CHARACTERS, Grader

ENDLESS = ("9^{9^{9^{9}}}", "1")
"""sympy needs more time for this than there is, but can be interrupted."""

ALGEBRA = (r"(x+1)^2", "x^2 + 2x + 1")

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


def children(parent: int) -> list[int]:
    """Process ids of the grading workers that a process started, zombies included."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and (b"grader_worker" in command or fields[0] == "Z"):
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def started() -> Callable[[], list[int]]:
    """Process ids of the workers that the test has started and that are still there."""
    before = set(children(os.getpid()))
    return lambda: [worker for worker in children(os.getpid()) if worker not in before]


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac12", "1/2", True),
        (r"2\sqrt{3}", r"\sqrt{12}", True),
        (*ALGEBRA, True),
        (r"\{1, 2\}", r"\{2, 1\}", True),
        ("x = 5", "5", True),
        (r"10\%", "0.1", True),
        (r"\frac{1}{3}", "0.333333", True),
        (r"\pi", "3.14", False),
        (r"\text{Monday}", "Tuesday", False),
        ("(1, 2)", "(2, 1)", False),
        ("7", "about seven", False),
        ("7", "", False),
        # Not symmetric: the gold answer decides what form is asked for.
        ("x < 3", r"(-\infty, 3)", True),
        (r"(-\infty, 3)", "x < 3", False),
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
    ],
)
@linux
def test_what_can_be_seen_needs_no_worker(
    started: Callable[[], list[int]], gold: str, answer: str, verdict: bool
) -> None:
    with Grader() as grader:
        assert grader.equal([(gold, answer)]) == [verdict]
        assert started() == []


@pytest.mark.parametrize(
    ("gold", "answer"), [("1 1/2", "11/2"), ("4, 100", "4100"), ("ab", "a c"), (r"\leftarrow", "x")]
)
def test_a_space_that_means_something_is_kept(grader: Grader, gold: str, answer: str) -> None:
    assert grader.equal([(gold, answer)]) == [False]


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("", "5"),
        (" ", " "),
        (r"\frac{1}{0}", "5"),
        ("x" * (MAX_CHARACTERS + 1), "5"),
        ("5", "5" * (MAX_CHARACTERS + 1)),
    ],
)
def test_what_cannot_be_decided_is_none(grader: Grader, gold: str, answer: str) -> None:
    assert grader.equal([(gold, answer), ALGEBRA]) == [None, True]


def test_strange_characters_do_no_harm(grader: Grader) -> None:
    strange = ["\ud800", "\x00", "\n", '"]', "\\", "}{", "é∑", "\u2028"]
    verdicts = grader.equal([("7", text) for text in strange] + [ALGEBRA])
    assert True not in verdicts[:-1]
    assert verdicts[-1] is True


def test_no_pairs_need_nothing(grader: Grader) -> None:
    assert grader.equal([]) == []


def test_verdicts_come_in_order_from_several_workers() -> None:
    pairs = [(f"{n}x + {n}", f"{n}(x + 1)" if n % 3 else f"{n}x") for n in range(2, 40)]
    with Grader(workers=2) as grader:
        assert grader.equal(pairs) == [bool(n % 3) for n in range(2, 40)]


def test_threads_can_share_a_grader(grader: Grader) -> None:
    found: dict[int, list[bool | None]] = {}

    def ask(n: int) -> None:
        found[n] = grader.equal([(f"{n}(x + 1)", f"{n}x + {n}"), (f"{n}x", f"{n}y")])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [True, False] for n in range(2, 8)}


@linux
def test_a_pair_that_runs_out_of_time_is_undecided_and_its_worker_goes_on(
    started: Callable[[], list[int]],
) -> None:
    with Grader(timeout=1.5) as grader:
        assert grader.equal([ALGEBRA]) == [True]
        workers = started()
        assert grader.equal([ENDLESS, ALGEBRA]) == [None, True]
        assert started() == workers


@linux
def test_a_worker_that_hangs_is_killed_and_replaced(started: Callable[[], list[int]]) -> None:
    with Grader(timeout=1.5) as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (stopped,) = started()
        os.kill(stopped, signal.SIGSTOP)
        assert grader.equal([(r"\sqrt{4}", "2"), ALGEBRA]) == [None, True]
        assert stopped not in started()


@linux
def test_a_worker_that_dies_costs_its_pair_alone(started: Callable[[], list[int]]) -> None:
    with Grader(timeout=30) as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (worker,) = started()
        killer = threading.Timer(0.5, os.kill, (worker, signal.SIGKILL))
        killer.start()
        assert grader.equal([ENDLESS, ALGEBRA]) == [None, True]
        killer.join()


@linux
def test_a_worker_that_died_between_calls_costs_nothing(started: Callable[[], list[int]]) -> None:
    with Grader() as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (worker,) = started()
        os.kill(worker, signal.SIGKILL)
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
        assert grader.equal([(r"\sqrt{4}", "2")]) == [True]


@linux
def test_no_process_is_left_and_a_closed_grader_starts_again(
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
def test_workers_end_with_a_parent_that_is_killed() -> None:
    program = textwrap.dedent(
        f"""
        from persona_assets.resources.grader import Grader
        grader = Grader(timeout=1.0)
        assert grader.equal([{ALGEBRA!r}]) == [True]
        print("busy", flush=True)
        grader.equal([{ENDLESS!r}] * 1000)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
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
def test_an_interrupted_call_leaves_no_late_verdict() -> None:
    program = textwrap.dedent(
        f"""
        import os, signal, threading
        from persona_assets.resources.grader import Grader
        with Grader(timeout=2.0) as grader:
            assert grader.equal([{ALGEBRA!r}]) == [True]
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                grader.equal([{ENDLESS!r}] * 1000)
            except KeyboardInterrupt:
                print(grader.equal([("x + x", "3x"), {ALGEBRA!r}]))
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("[False, True]\n", "")


@linux
def test_the_workers_see_no_secrets(
    started: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with Grader() as grader:
        assert grader.equal([ALGEBRA]) == [True]
        (worker,) = started()
        assert b"sk-secret" not in Path(f"/proc/{worker}/environ").read_bytes()


def test_a_worker_that_cannot_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "math_verify.py").write_text("raise ImportError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Grader() as grader, pytest.raises(RuntimeError, match="broken on purpose"):
        grader.equal([ALGEBRA])


@pytest.mark.parametrize(("workers", "timeout"), [(0, 5.0), (1, 0.0), (1, -1.0)])
def test_senseless_sizes_are_refused(workers: int, timeout: float) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        Grader(workers, timeout)


def test_importing_the_module_imports_no_sympy() -> None:
    program = f"import sys, {module.__name__}; print('sympy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert shown == "False\n"
