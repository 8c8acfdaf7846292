"""Programs in the style of strong models on MATH run, and give the right answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from persona_assets.resources.grader import Grader
from persona_assets.resources.sandbox import Kind, Sandbox

PROGRAMS = [
    program.split("\n", 1)
    for program in Path(__file__).with_name("math_programs.txt").read_text().split("=== ")[1:]
]
"""Right answers and programs."""


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


@pytest.mark.parametrize(("kind", "least"), [("auto", 0.95), ("isolated", 0.95), ("light", 0.4)])
def test_programs_answer_rightly(grader: Grader, kind: Kind, least: float) -> None:
    with Sandbox(kind=kind) as sandbox:
        results = [(answer, sandbox.run(source)) for answer, source in PROGRAMS]
    answered = [(right, result.answer) for right, result in results if result.answer is not None]
    verdicts = grader.equal(answered)
    assert sum(map(bool, verdicts)) >= least * len(PROGRAMS)
    # A program that runs is not wrong.
    assert all(verdicts)
