"""Steps on code take the program out of an answer, and drop what its interface does not promise."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.postprocess import STEPS, RunProgram, run_nothing
from persona_assets.postprocess.type_names import accepts, read_type, sample_value
from persona_assets.resources.sandbox import Sandbox

INTERFACE: Mapping[str, Any] = {
    "function_name": "spare_rope",
    "input_args": [
        {"name": "length", "type": "float", "description": "metres on the reel"},
        {"name": "cuts", "type": "list[float]", "description": "metres of each cut"},
    ],
    "depend": [],
}
CODE = '''import math


def spare_rope(length: float, cuts: list[float]) -> float:
    """Return what is left on the reel."""
    return math.fsum([length, *(-cut for cut in cuts)])
'''


@pytest.fixture(scope="module")
def run() -> Iterator[RunProgram]:
    with Sandbox(seconds=0.5, memory_mb=64) as sandbox:
        yield sandbox.run


def step(
    name: str, code: str, run: RunProgram = run_nothing, **interface: Any
) -> Mapping[str, Any] | str:
    return STEPS.get(name)({"code": code}, {**INTERFACE, **interface}, run)


@pytest.mark.parametrize(
    "answer",
    [
        CODE,
        f"```python\n{CODE}```",
        f"```\n{CODE}```\nIt sums up the cuts.",
        f"~~~py\n{CODE}~~~",
        f"Here it is.\n\n```python\n{CODE}```\n\nTo install:\n\n```sh\npip install rope\n```",
        f"Try this:\n\n```python\nspare_rope(3, [1])\n```\n\nwith\n\n```python\n{CODE}```",
        f"```python\n{CODE}",
        f"Here is the function:\n\n{CODE}\nThis sums up the cuts. Enjoy!",
        f"{CODE}\nNote that nothing is rounded.\nAsk me for more.",
    ],
)
def test_program_is_taken_out_of_an_answer(answer: str) -> None:
    assert step("python_code", answer) == {"code": CODE.strip("\n")}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (CODE.replace("cuts)])", "cuts)"), "never closed"),
        ("I am not able to write this.", "invalid syntax"),
        ("rope", "no code"),
        ("", "no code"),
        ("x = '\0'", ""),
        ("x = " + "(" * 5_000 + ")" * 5_000, "nested parentheses"),
        ("x = " + "-" * 300 + "1", "nested too deeply"),
        ("x = 1\n" * 10_000, "longer than 50,000 characters"),
    ],
)
def test_answer_without_a_program_is_dropped(answer: str, reason: str) -> None:
    dropped = step("python_code", answer)
    assert isinstance(dropped, str)
    assert dropped.startswith("python_code: ")
    assert reason in dropped


@given(st.text(st.sampled_from("`~\n de:f()x=1\"'\\#é\ud800"), max_size=60))
def test_any_text_is_a_program_or_a_reason(text: str) -> None:
    made = step("python_code", text)
    if isinstance(made, str):
        assert made.startswith("python_code: ")
    else:
        ast.parse(made["code"])


def test_escape_that_python_does_not_know_warns_nobody() -> None:
    assert isinstance(step("python_code", r'PATTERN = "\d"'), Mapping)


def test_lint_keeps_what_runs_and_lists_its_findings() -> None:
    assert step("lint", CODE) == {"lint": []}
    assert step("lint", f"import os\nimport re\n{CODE}") == {
        "lint": ["line 1: 'os' imported but unused", "line 2: 're' imported but unused"]
    }


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (CODE.replace("import math\n", ""), "lint: undefined name 'math'"),
        ("return 1", "lint: 'return' outside function"),
        ("def f(a, a): pass", "lint: duplicate argument 'a' in function definition"),
    ],
)
def test_lint_drops_what_cannot_run(code: str, reason: str) -> None:
    assert step("lint", code) == reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("length: float, cuts: list[float]", "length, cuts"),
        ("length: float, cuts: list[float]", "*, cuts: 'Sequence[float]', length: float | None"),
        ("list[float]", "Iterable[float] = ()"),
        ("-> float", "-> dict"),
    ],
)
def test_function_that_can_be_called_as_promised_is_kept(old: str, new: str) -> None:
    assert step("signature", CODE.replace(old, new)) == {}


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("def spare_rope", "def rope", "no function spare_rope"),
        ("def spare_rope", "async def spare_rope", "spare_rope is no plain function"),
        ("cuts: list[float]", "**cuts", "no argument cuts"),
        ("cuts: list[float]", "pieces: list[float]", "no argument cuts"),
        ("cuts: list[float]", "cuts, unit='m'", "an argument unit that the interface lacks"),
        ("length: float,", "length: float, /,", "length cannot be passed by name"),
        ("length: float", "length: str", "length is str instead of float"),
        ("list[float]", "list[str]", "cuts is list[str] instead of list[float]"),
        ("list[float]", "dict | None", "cuts is dict | None instead of list[float]"),
    ],
)
def test_other_signature_is_dropped_with_the_difference(
    old: str, new: str, difference: str
) -> None:
    assert step("signature", CODE.replace(old, new)) == f"signature: {difference}"


def test_function_is_called_with_an_argument_of_each_type(run: RunProgram) -> None:
    assert step("run", CODE, run) == {"ran": True, "result": "0", "error": None}


def test_result_is_cut(run: RunProgram) -> None:
    made = step("run", CODE.replace("return math", "return 'x' * 9_999\n    return math"), run)
    assert isinstance(made, Mapping)
    assert made["ran"]
    assert len(made["result"]) == 500


@pytest.mark.parametrize("value", ["None", "'None'", "1e300 * 1e300", "spare_rope", "''"])
def test_any_result_is_a_result(value: str, run: RunProgram) -> None:
    made = step("run", CODE.replace("return math", f"return {value}\n    return math"), run)
    assert isinstance(made, Mapping)
    assert (made["ran"], made["error"]) == (True, None)


@pytest.mark.parametrize(
    ("line", "depend", "error"),
    [
        ("import requests", ["requests"], "not run: needs requests"),
        ("import math", ["a gauge at the quay"], "not run: needs a gauge at the quay"),
        ("import sqlite3", [], "not run: line 1: the sandbox has no module 'sqlite3'"),
        ("open('/etc/passwd').read()", [], "not run: line 1: PermissionError"),
    ],
)
def test_function_that_needs_what_is_outside_is_not_run(
    line: str, depend: list[str], error: str, run: RunProgram
) -> None:
    made = step("run", f"{line}\n{CODE}", run, depend=depend)
    assert isinstance(made, Mapping)
    assert made["ran"] is None
    assert made["error"].startswith(error)


def test_function_that_needs_a_module_of_the_sandbox_is_run(run: RunProgram) -> None:
    made = step("run", CODE, run, depend=["math"])
    assert isinstance(made, Mapping)
    assert made["ran"]


def test_error_about_an_argument_is_told(run: RunProgram) -> None:
    raising = CODE.replace("return math", "raise ValueError('too short')\n    return math")
    assert step("run", raising, run) == {
        "ran": False,
        "result": None,
        "error": "line 6: ValueError: too short",
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True: pass", "run: TimeoutError: out of time"),
        ("[0] * 10**9", "out of memory"),
        ("spare_rope(length, cuts)", "RecursionError"),
        ("print('x' * 10**6)", "MemoryError"),
    ],
)
def test_function_without_end_is_dropped(body: str, reason: str, run: RunProgram) -> None:
    dropped = step("run", CODE.replace("return math", f"{body}\n    return math"), run)
    assert isinstance(dropped, str)
    assert reason in dropped


@pytest.mark.parametrize(
    ("parameter", "argument", "fits"),
    [
        ("float", "integer", True),
        ("int", "float", False),
        ("Optional[str]", "string", True),
        ("Union[int, str]", "str", True),
        ("List[Any]", "list of the cuts", True),
        ("Dict[str, int]", "dict", True),
        ("dict[str, int]", "dict[str, str]", False),
        ("pathlib.Path", "str", True),
        ("datetime.date", "int", False),
    ],
)
def test_type_takes_another(parameter: str, argument: str, fits: bool) -> None:
    assert accepts(read_type(parameter), read_type(argument)) is fits


@given(st.text("[](),|'. strintlodcabfeNay", max_size=30))
def test_sample_of_any_type_is_python(text: str) -> None:
    ast.parse(sample_value(read_type(text)), mode="eval")
