"""A sandbox runs hostile programs within limits, and gives an answer or a short reason."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.resources.light_sandbox import MODULES
from persona_assets.resources.program_answers import (
    MAX_ANSWER,
    MAX_ERROR,
    MAX_OUTPUT,
    MAX_SOURCE,
    ProgramResult,
)
from persona_assets.resources.sandbox import Kind, Sandbox

OUT_OF_TIME = "TimeoutError: out of time"


@pytest.fixture(scope="module", params=["light", "isolated"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(seconds=0.5, memory_mb=64, kind=request.param) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def light() -> Iterator[Sandbox]:
    with Sandbox(seconds=0.5, memory_mb=64, kind="light") as sandbox:
        yield sandbox


def workers() -> list[int]:
    """Return the process ids of this process's interpreters, zombies included."""
    interpreters = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(rest.split()[1]) == os.getpid() and name.endswith("(monty"):
            interpreters.append(int(stat.parent.name))
    return interpreters


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("answer = 2 + 3 * 4", "14"),
        ("total = 0\nfor i in range(1, 101):\n    total += i\nanswer = total", "5050"),
        ("import math\nanswer = math.comb(10, 3) + math.isqrt(17)", "124"),
        ("from decimal import Decimal\nanswer = Decimal('1.10') + 1", "2.10"),
        ("def solution():\n    return 42\nanswer = solution()", "42"),
        ("answer = 7 / 2", "3.5"),
        ("answer = 1e-7", "0.0000001"),
        ("answer = 1e20", "100000000000000000000"),
        ("answer = 1 + 2j", "1+2i"),
        ("answer = (1, 2.5)", "(1, 2.5)"),
        ("answer = ' x = 5 '", "x = 5"),
        ("answer = 3 > 2", "True"),
        ("answer = 0", "0"),
        ("answer = 'None of them'", "None of them"),
        ("answer = '007'", "007"),
        ("answer = 1\nanswer = 2\nprint(3)", "2"),
        ("answer = 5\n10 ** 5000", "5"),
        ("answer = 5 # a comment", "5"),
    ],
)
def test_answer_is_the_variable(sandbox: Sandbox, source: str, answer: str) -> None:
    result = sandbox.run(source)
    assert (result.answer, result.error) == (answer, None)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("1.1 * 100", "110"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 3", "0.333333333333"),
        ("2 ** 0.5", "1.41421356237"),
        ("-2 / 3", "-0.666666666667"),
        ("2.0", "2"),
        ("-0.0", "0"),
        ("-0.0 * 5", "0"),
        ("1e22", "10000000000000000000000"),
        ("1.5e-10", "0.00000000015"),
        ("1e-7 * 3", "0.0000003"),
        ("2 ** 50 / 2", "562949953421312"),  # whole numbers that a float holds stay exact
        ("1234567890123.45", "1234567890123"),
        ("1.1 * 10 ** 15", "1100000000000000"),
        ("2.0 ** 60", "1152921504606850000"),
        ("10 ** 30", "1" + 30 * "0"),
        ("12345678901234567890", "12345678901234567890"),
        ("[1.1 * 100, 2, '3']", "[110, 2, '3']"),
        ("(0.1 + 0.2, -0.0)", "(0.3, 0)"),
        ("(1e-07, 5)", "(0.0000001, 5)"),
        ("[[0.1 + 0.2], {'a': 1.1 * 100}]", "[[0.3], {'a': 110}]"),
        ("{0.1 + 0.2}", "{0.3}"),
        ("complex(1.1 * 100, 2)", "110+2i"),
        ("complex(0, -2.5)", "-2.5i"),
        ("complex(3, -2)", "3-2i"),
        ("complex(3, 0)", "3"),
        ("complex(0.1 + 0.2, 1e-17)", "0.3"),
        ("(-1) ** 0.5", "1i"),
        ("0j", "0"),
        ("[1j, complex(-1, 0.1 + 0.2)]", "[1i, -1+0.3i]"),
        ("'3i + 2j - k'", "3i + 2j - k"),
        ("f'{1.1 * 100} and {0.1 + 0.2}'", "110 and 0.3"),
        ("f'x = {0.1 + 0.2}.'", "x = 0.3."),
        ("f'{0.1 + 0.2}x - {1.1 * 100}'", "0.3x - 110"),
        ("f'{1.1 * 100}%'", "110%"),
        ("'2.50'", "2.50"),
        ("'1.2.3'", "1.2.3"),
        ("'v1.0'", "v1.0"),
        ("Decimal('1.10') + 1", "2.10"),
        ("Decimal(1) / 3", "0.3333333333333333333333333333"),
        ("Decimal('0.1234567890123456789')", "0.1234567890123456789"),
        ("True", "True"),
        ("'None'[:3]", "Non"),
    ],
)
def test_answer_has_plain_floats_of_twelve_digits(
    sandbox: Sandbox, value: str, answer: str
) -> None:
    assert sandbox.run(f"from decimal import Decimal\nanswer = {value}").answer == answer
    assert sandbox.run(f"from decimal import Decimal\nprint({value})").answer == answer


def test_output_keeps_all_digits(sandbox: Sandbox) -> None:
    assert sandbox.run("print(1.1 * 100)").output == "110.00000000000001\n"


@settings(max_examples=50)
@given(st.floats(-1e300, 1e300))
def test_answer_of_a_float_is_correct_to_twelve_digits(sandbox: Sandbox, number: float) -> None:
    answer = sandbox.run(f"answer = {number!r}").answer
    assert answer is not None
    assert "e" not in answer
    assert float(answer) == pytest.approx(number, rel=5.1e-12, abs=0)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1e15, 1e15), st.integers(-17, 17))))
def test_round_of_any_float_is_that_of_python(
    light: Sandbox, calls: list[tuple[float, int]]
) -> None:
    rounded = [round(number, digits) for number, digits in calls]
    source = f"answer = [round(number, digits) for number, digits in {calls!r}] == {rounded!r}"
    assert light.run(source).answer == "True"


@pytest.mark.parametrize(
    "call",
    [
        "round(2.5)",
        "round(3.5)",
        "round(-2.5)",
        "round(0.5)",
        "round(2.675, 2)",
        "round(1.005, 2)",
        "round(0.285, 2)",
        "round(24.5095, 3)",
        "round(5431.6235, 3)",
        "round(14.999999999999998, -1)",
        "round(15.0, -1)",
        "round(-1234.5, -2)",
        "round(25, -1)",
        "round(-15, -1)",
        "round(10**30 + 5, -1)",
        "round(2.5, None)",
        "round(2.5, ndigits=1)",
        "round(number=2.5)",
        "round(True)",
        "round(1e22)",
        "round(1.1, 400)",
        "round(5e-324, 323)",
        "round(float('inf'), 2) == float('inf')",
        "list(map(round, [0.5, 1.5, 2.5]))",
        "isinstance(round(2.5), int)",
        "isinstance(round(2.5, 0), float)",
    ],
)
def test_round_is_that_of_python(light: Sandbox, call: str) -> None:
    assert light.run(f"answer = ({call}) == {eval(call)!r}").answer == "True"


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("print('sum')\nprint(42)\nprint()", "42"),
        ("answer = None\nprint(42)", "42"),
        ("def main():\n    print(1 / 4)\nif __name__ == '__main__':\n    main()", "0.25"),
    ],
)
def test_answer_is_the_last_printed_line_without_the_variable(
    sandbox: Sandbox, source: str, answer: str
) -> None:
    assert sandbox.run(source).answer == answer


def test_output_is_kept(sandbox: Sandbox) -> None:
    expected = ProgramResult("3", "one\ntwo\n", None)
    assert sandbox.run("print('one')\nprint('two')\nanswer = 3") == expected
    assert sandbox.run("print('one')\n1 / 0").output == "one\n"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("", "no answer: the program neither sets `answer` nor prints"),
        ("1 + 1", "no answer: the program neither sets `answer` nor prints"),
        ("answer = ''", "no answer: the program neither sets `answer` nor prints"),
        ("print(None)", "no answer: the program prints None"),
        ("def f(): pass\nanswer = f()", "no answer: the program neither sets `answer` nor prints"),
        ("answer = [1e-300] * 4", "the answer is longer than 1,000 characters"),
        ("round('x')", "line 1: TypeError: type str doesn't define __round__ method"),
        ("def answer():\n    return 5", "`answer` is a function or an object, not a value"),
        ("answer = float('nan')", "the answer is not a finite number: nan"),
        ("answer = -float('inf')", "the answer is not a finite number: -inf"),
        (f"answer = 'x' * {MAX_ANSWER + 1}", "the answer is longer than 1,000 characters"),
        ("x" * (MAX_SOURCE + 1), "the program is longer than 100,000 characters"),
        ("x = 1\ny = x / 0", "line 2: ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines')", "line 1: ValueError: two lines"),
        ("import torch", "line 1: the sandbox has no module 'torch'"),
        ("while True: pass", OUT_OF_TIME),
        ("answer = sum(range(10**9))", OUT_OF_TIME),
        (
            "try:\n  while True: pass\nexcept BaseException:\n  answer = 1",
            "TimeoutError: out of time",
        ),
        ("a = [0] * 10**9", "line 1: MemoryError: out of memory"),
        (
            "a = []\nwhile True: a.append('x' * 10**5 + str(len(a)))",
            "line 2: MemoryError: out of memory",
        ),
        ("answer = 9**9**9", None),
        (
            "def f(n): return f(n + 1)\nf(0)",
            "line 1: RecursionError: maximum recursion depth exceeded",
        ),
        ("while True: print('x' * 1000)", "MemoryError: printed more than 65,536 characters"),
        ("import time\nwhile time.time() < 1e12: time.sleep(1)", None),
        (
            "class A:\n  def __str__(self):\n    while True: pass\nanswer = A()",
            "TimeoutError: out of time",
        ),
        ("answer = 10 ** 5000", None),
        ("def f(:", None),
        ("answer = " + "(" * 5000 + "1" + ")" * 5000, None),
        ("answer = 1\x00", None),
        ("raise ValueError('x' * 10000)", None),
        ("raise ValueError('\x1b[31m')", None),
    ],
)
def test_failure_is_a_single_short_line(sandbox: Sandbox, source: str, error: str | None) -> None:
    result = sandbox.run(source)
    assert result.answer is None
    assert result.error is not None
    if error is not None:
        assert result.error == error
    assert len(result.error) <= MAX_ERROR
    assert result.error.isprintable()
    assert sandbox.run("answer = 1").answer == "1"


@pytest.mark.parametrize(
    "source",
    [
        "answer = open('{path}').read()",
        "open('{path}', 'w').write('overwritten')",
        "import pathlib\nanswer = pathlib.Path('{path}').read_text()",
        "import os\nos.remove('{path}')",
        "import os\nanswer = os.listdir('/')",
        "import os\nos.system('echo overwritten > {path}')",
        "import os\nos.fork()",
        "import os\nanswer = os.environ['PATH']",
        "import os\nanswer = os.getenv('PATH')",
        "import socket",
        "import subprocess",
        "import urllib.request",
        "import ctypes",
        "import pydantic_monty",
        "answer = __import__('os')",
        "answer = eval(\"open('{path}').read()\")",
        "exec(\"answer = open('{path}').read()\")",
        "answer = ().__class__.__bases__[0].__subclasses__()",
        "answer = (lambda: 0).__globals__",
        "answer = input()",
    ],
)
def test_program_cannot_reach_the_world_outside(
    sandbox: Sandbox, tmp_path: Path, source: str
) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("the secret")
    result = sandbox.run(source.replace("{path}", str(file)))
    assert result.answer is None
    assert result.error is not None
    assert file.read_text() == "the secret"


def test_eval_runs_inside_the_sandbox(sandbox: Sandbox) -> None:
    """The sandbox has an `eval` of its own."""
    assert sandbox.run("answer = eval('1 + 1')").answer == "2"


def test_programs_share_nothing(sandbox: Sandbox) -> None:
    assert sandbox.run("import math\nmath.pi\nx = 5\nanswer = x").answer == "5"
    assert sandbox.run("answer = x").error == "line 1: NameError: name 'x' is not defined"
    assert sandbox.run("print('none')").answer == "none"


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("light", "import random, time\nanswer = (random.random(), time.time())"),
        ("isolated", "import random, numpy\nanswer = (random.random(), numpy.random.rand())"),
        ("isolated", "print(sorted({'a', 'b', 'c'}, key=hash))"),
    ],
)
def test_program_always_gives_the_same_answer(kind: Kind, source: str) -> None:
    answers = set()
    for _ in range(2):
        with Sandbox(kind=kind) as sandbox:
            answers |= {sandbox.run(source).answer, sandbox.run(source).answer}
    assert len(answers) == 1
    assert None not in answers


def test_sleep_takes_no_time(sandbox: Sandbox) -> None:
    assert sandbox.run("import time\ntime.sleep(3600)\nanswer = 1").answer == "1"


@pytest.mark.parametrize("name", MODULES)
def test_modules_for_mathematics_exist_in_both(sandbox: Sandbox, name: str) -> None:
    assert sandbox.run(f"import {name}\nanswer = 1").answer == "1"


def test_lone_surrogates_do_no_harm(sandbox: Sandbox) -> None:
    assert sandbox.run("answer = len('\ud800')").answer == "1"


def test_output_is_cut_at_its_limit(sandbox: Sandbox) -> None:
    result = sandbox.run("print('x' * 100_000)\nanswer = 1")
    assert result.answer is None
    assert result.output == "x" * MAX_OUTPUT


def test_threads_can_share_a_sandbox(sandbox: Sandbox) -> None:
    answers: dict[int, str | None] = {}

    def run(n: int) -> None:
        answers[n] = sandbox.run(f"answer = sum(range({n}))").answer

    threads = [threading.Thread(target=run, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: str(sum(range(n))) for n in range(20)}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_interpreter_that_dies_costs_only_its_program() -> None:
    before = set(workers())
    with Sandbox(seconds=30, kind="light") as sandbox:
        assert sandbox.run("answer = 1").answer == "1"
        (worker,) = set(workers()) - before
        killer = threading.Timer(0.3, os.kill, (worker, signal.SIGKILL))
        killer.start()
        result = sandbox.run("while True: pass")
        killer.join()
        assert result.answer is None
        assert result.error is not None
        assert result.error.startswith("the sandbox gave up: ")
        assert sandbox.run("answer = 2").answer == "2"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_closed_sandbox_leaves_no_process_and_starts_again() -> None:
    before = set(workers())
    sandbox = Sandbox()
    sandbox.close()
    assert sandbox.run("answer = 1").answer == "1"
    assert set(workers()) > before
    sandbox.close()
    assert set(workers()) == before
    assert sandbox.run("answer = 2").answer == "2"
    del sandbox
    assert set(workers()) == before


@pytest.mark.parametrize(("seconds", "memory_mb"), [(0.0, 256), (-1.0, 256), (5.0, 0)])
def test_senseless_limits_are_refused(seconds: float, memory_mb: int) -> None:
    with pytest.raises(ValueError, match="time limit"):
        Sandbox(seconds, memory_mb)
