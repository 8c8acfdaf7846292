from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import solution_id
from persona_assets.steps.math_data import SOLUTIONS, SOLVERS, build_math_solutions
from persona_assets.steps.tasks import dataset_schema
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import (
    FAILURES,
    PROMPTS,
    Answering,
    Reply,
    answering,
    prompt,
    user_text,
)

ASKED = {
    "assistant": prompt("math_solution"),
    "program": prompt("math_program"),
    "second": prompt("math_solution").as_role("second_solver"),
}
KINDS = ["ok", "no answer", "crash", *FAILURES]


@dataclass(frozen=True)
class Result:
    """What the stand-in for the sandbox gives back."""

    answer: str | None
    error: str | None


def run_program(program: str) -> Result:
    if "crash" in program:
        return Result(None, "ZeroDivisionError: division by zero")
    return Result(program.split("=")[1].strip(), None)


def problems(*texts: str) -> pl.DataFrame:
    rows = [
        {"sample_id": f"id {number}", "problem": text, "licence": f"licence {number}"}
        for number, text in enumerate(texts)
    ]
    return typed_frame(rows, dataset_schema(PROMPTS["math_problems"]))


def solver(request: Request) -> str:
    if request.role == "second_solver":
        return "second"
    return "program" if "program" in request.output.model_fields else "assistant"


def solved(request: Request) -> Reply:
    """Follows the problem's last word; a program fails by what it does, prose by what it lacks."""
    kind = user_text(request).rsplit(maxsplit=1)[-1]
    if kind in FAILURES:
        return kind
    if solver(request) == "program":
        texts = {"ok": "answer = 7", "no answer": "I cannot.", "crash": "answer = crash()"}
        return {"program": texts[kind.replace("_", " ")]}
    return {"solution": "It is \\boxed{7}" if kind == "ok" else "I think that is all."}


def solve(rows: pl.DataFrame, model: Answering, share: float = 1.0) -> Any:
    return build_math_solutions(rows, ASKED, model, run_program, held_out_share=share)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(KINDS), max_size=8), st.floats(0, 1))
def test_every_solution_asked_for_is_a_row_or_a_drop(kinds: list[str], share: float) -> None:
    rows = problems(*(f"Problem {n}: {kind.replace(' ', '_')}" for n, kind in enumerate(kinds)))
    outcome = solve(rows, answering(solved), share)
    held = round(share * len(kinds))
    assert outcome.rows_in == len(kinds) + 2 * held
    assert outcome.rows.schema == SOLUTIONS
    ids = [*outcome.rows["solution_id"], *outcome.dropped["id"]]
    assert len(set(ids)) == len(ids) == outcome.rows_in
    every = {solution_id(row_id, name) for row_id in rows["sample_id"] for name in SOLVERS}
    assert set(ids) <= every
    assert {solution_id(row_id, "assistant") for row_id in rows["sample_id"]} <= set(ids)
    assert outcome.rows.filter(~pl.col("held_out"))["solver"].unique().to_list() in (
        [],
        ["assistant"],
    )


def test_the_held_out_count_is_exact_and_its_members_do_not_depend_on_order() -> None:
    rows = problems(*(f"Problem {n}: ok" for n in range(40)))

    def held(share: float, given: pl.DataFrame = rows) -> set[str]:
        made = solve(given, answering(solved), share).rows
        return set(made.filter("held_out")["sample_id"])

    assert [len(held(share)) for share in (0, 0.1, 0.25, 1)] == [0, 4, 10, 40]
    assert held(0.1) < held(0.25)
    assert held(0.25) != set(sorted(rows["sample_id"])[:10])
    assert held(0.25, rows.reverse()) == held(0.25)


def test_a_held_out_problem_is_put_to_three_solvers() -> None:
    model = answering(solved)
    outcome = solve(problems("One: ok"), model)
    assert [solver(request) for request in model.asked] == list(SOLVERS)
    assert outcome.rows["solver"].to_list() == list(SOLVERS)
    assert outcome.rows["answer"].to_list() == ["7", "7", "7"]
    assert outcome.rows["solution"].to_list()[1] == "answer = 7"
    assert set(outcome.rows["licence"]) == {"licence 0"}


def test_solutions_without_an_answer_are_dropped_by_solver_and_reason() -> None:
    reasons = {
        "no_answer": ["assistant_no_final_answer", "program_no_program", "second_no_final_answer"],
        "crash": [
            "assistant_no_final_answer",
            "program_failed: ZeroDivisionError: division by zero",
            "second_no_final_answer",
        ],
        "error": [f"{name}_error:timeout" for name in SOLVERS],
        "refused": [f"{name}_refused: the model refused" for name in SOLVERS],
    }
    for kind, expected in reasons.items():
        outcome = solve(problems(f"One: {kind}"), answering(solved))
        assert outcome.dropped["reason"].to_list() == expected


def test_no_problems_give_no_solutions_and_no_calls() -> None:
    model = answering(solved)
    outcome = solve(problems(), model)
    assert (outcome.rows.schema, len(outcome.rows), outcome.rows_in) == (SOLUTIONS, 0, 0)
    assert model.asked == []
