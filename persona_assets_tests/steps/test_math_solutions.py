"""A problem gets a solution, or three if held out; each becomes a row or a drop with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import solution_id
from persona_assets.steps.math_solutions import SOLUTIONS, SOLVERS, build_math_solutions
from persona_assets.steps.tasks import dataset_schema
from persona_assets.storage.step_result import StepResult, typed_frame
from persona_assets_tests.steps.answers_double import (
    FAILURES,
    PROMPTS,
    Answering,
    Reply,
    answering,
    prompt,
    user_text,
)

SOLVER_PROMPTS = {
    "assistant": prompt("math_solution"),
    "program": prompt("math_program"),
    "second": prompt("math_solution").as_role("second_solver"),
}
KINDS = ["ok", "no answer", "crash", *FAILURES]
"""Kinds of answers: a final answer, no final answer, a failing program, a failure."""


@dataclass(frozen=True)
class Result:
    """Result of the double of the sandbox."""

    answer: str | None
    error: str | None


def run_program(program: str) -> Result:
    if "crash" in program:
        return Result(None, "ZeroDivisionError: division by zero")
    return Result("7", None)


def problems(*texts: str) -> pl.DataFrame:
    rows = [
        {
            "sample_id": f"id {number}",
            "problem": text,
            "licence": f"licence {number}",
            "language": "sw",
        }
        for number, text in enumerate(texts)
    ]
    return typed_frame(rows, dataset_schema(PROMPTS["math_problems"]))


def solver_of(request: Request) -> str:
    if request.role == "second_solver":
        return "second"
    return "program" if "program" in request.output.model_fields else "assistant"


def reply(request: Request) -> Reply:
    """Return the kind of answer that the problem's last word names, in the solver's form."""
    kind = user_text(request).rsplit(maxsplit=1)[-1]
    if kind in FAILURES:
        return kind
    if solver_of(request) == "program":
        programs = {"ok": "answer = 3 + 4", "no answer": "I cannot.", "crash": "answer = crash()"}
        return {"program": programs[kind.replace("_", " ")]}
    return {"solution": "It is \\boxed{7}" if kind == "ok" else "I think that is all."}


def solve(rows: pl.DataFrame, model: Answering, share: float = 1.0) -> StepResult:
    return build_math_solutions(rows, SOLVER_PROMPTS, model, run_program, held_out_share=share)


def held_out(rows: pl.DataFrame, share: float) -> set[str]:
    solutions = solve(rows, answering(reply), share).rows
    return set(solutions.filter("held_out")["sample_id"])


SOLVABLE = problems(*(f"Problem {n}: ok" for n in range(40)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(KINDS), max_size=8), st.floats(0, 1))
def test_math_solutions_turn_each_request_into_a_row_or_a_drop(
    kinds: list[str], share: float
) -> None:
    rows = problems(*(f"Problem {n}: {kind.replace(' ', '_')}" for n, kind in enumerate(kinds)))
    outcome = solve(rows, answering(reply), share)
    assert outcome.rows_in == len(kinds) + 2 * round(share * len(kinds))
    assert outcome.rows.schema == SOLUTIONS
    ids = [*outcome.rows["solution_id"], *outcome.dropped["id"]]
    assert len(set(ids)) == len(ids) == outcome.rows_in
    possible = {solution_id(row_id, solver) for row_id in rows["sample_id"] for solver in SOLVERS}
    assert set(ids) <= possible
    assert {solution_id(row_id, "assistant") for row_id in rows["sample_id"]} <= set(ids)
    assert outcome.rows.filter(~pl.col("held_out"))["solver"].unique().to_list() in (
        [],
        ["assistant"],
    )


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 1))
@example(0)
@example(0.1)
@example(0.25)
@example(1)
def test_math_solutions_hold_out_exactly_the_share_of_the_problems(share: float) -> None:
    assert len(held_out(SOLVABLE, share)) == round(40 * share)


@settings(deadline=None, max_examples=20)
@given(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
@example([0.1, 0.25])
def test_math_solutions_hold_out_the_problems_of_a_smaller_share_too(shares: list[float]) -> None:
    small, large = (held_out(SOLVABLE, share) for share in shares)
    assert small <= large


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(len(SOLVABLE))))
def test_math_solutions_hold_out_the_same_problems_in_any_order(order: list[int]) -> None:
    assert held_out(SOLVABLE[order], 0.25) == held_out(SOLVABLE, 0.25)


def test_math_solutions_hold_out_by_hash_and_not_by_id() -> None:
    assert held_out(SOLVABLE, 0.25) != set(sorted(SOLVABLE["sample_id"])[:10])


def test_math_solutions_ask_three_solvers_for_a_held_out_problem() -> None:
    model = answering(reply)
    outcome = solve(problems("One: ok"), model)
    assert [solver_of(request) for request in model.asked] == list(SOLVERS)
    assert outcome.rows["solver"].to_list() == list(SOLVERS)
    assert outcome.rows["answer"].to_list() == ["7", "7", "7"]
    assert outcome.rows["solution"].to_list()[1] == "answer = 3 + 4"
    assert set(outcome.rows["licence"]) == {"licence 0"}
    assert set(outcome.rows["language"]) == {"sw"}


def test_math_solutions_of_earlier_problems_are_in_an_unknown_language() -> None:
    outcome = solve(problems("One: ok").drop("language"), answering(reply))
    assert set(outcome.rows["language"]) == {"und"}


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        (
            "no_answer",
            ["assistant_no_final_answer", "program_no_program", "second_no_final_answer"],
        ),
        (
            "crash",
            [
                "assistant_no_final_answer",
                "program_failed: ZeroDivisionError: division by zero",
                "second_no_final_answer",
            ],
        ),
        ("error", [f"{solver}_error:timeout" for solver in SOLVERS]),
        ("refused", [f"{solver}_refused: the model refused" for solver in SOLVERS]),
    ],
)
def test_math_solutions_drop_a_solution_without_an_answer_by_solver_and_reason(
    kind: str, reasons: list[str]
) -> None:
    outcome = solve(problems(f"One: {kind}"), answering(reply))
    assert outcome.dropped["reason"].to_list() == reasons


def test_math_solutions_of_no_problems_are_an_empty_table_without_calls() -> None:
    model = answering(reply)
    outcome = solve(problems(), model)
    assert (outcome.rows.schema, len(outcome.rows), outcome.rows_in) == (SOLUTIONS, 0, 0)
    assert model.asked == []


def test_math_solutions_publish_repaired_text_and_drop_refusals() -> None:
    texts = {
        "fenced": "```\nIt is \\boxed{7}\n```",
        "polite": "Certainly! It is \\boxed{7}.\n\nI hope this helps!",
        "refusing": "I'm sorry, but I cannot answer this question: \\boxed{7}",
    }
    model = answering(lambda request: {"solution": texts[user_text(request).split()[-1]]})
    outcome = solve(problems(*(f"One: {name}" for name in texts)), model, share=0)
    assert outcome.rows.select("solution", "answer", "repairs").rows() == [
        ("It is \\boxed{7}", "7", ["fence"]),
        ("It is \\boxed{7}.", "7", ["preamble", "boilerplate"]),
    ]
    assert outcome.dropped["reason"].to_list() == ["assistant_refusal"]


def test_math_solutions_publish_a_program_without_its_fence() -> None:
    def fenced(request: Request) -> Reply:
        if solver_of(request) == "program":
            return {"program": "Here is the program:\n```python\nanswer = 3 + 4\n```"}
        return {"solution": "It is \\boxed{7}"}

    outcome = solve(problems("One: ok"), answering(fenced))
    assert (
        dict(outcome.rows.select("solver", "solution").iter_rows())["program"] == "answer = 3 + 4"
    )


def test_math_solutions_drop_a_program_that_states_its_answer() -> None:
    def stating(request: Request) -> Reply:
        if solver_of(request) == "program":
            return {"program": "crates = 3\nanswer = 7"}
        return {"solution": "It is \\boxed{7}"}

    outcome = solve(problems("One: ok"), answering(stating))
    assert set(outcome.rows["solver"]) == {"assistant", "second"}
    reason = "program_stated: the program computes nothing"
    assert outcome.dropped["reason"].to_list() == [reason]


def best_of(answers: Sequence[str], share: float = 0.0) -> tuple[StepResult, Answering]:
    """Solve a problem with as many solutions as answers; "" is a solution without one."""

    def voting(request: Request) -> Reply:
        if solver_of(request) != "assistant":
            return reply(request)
        answer = answers[request.index]
        return {"solution": f"It is \\boxed{{{answer}}}" if answer else "That is all."}

    model = answering(voting)
    return (
        build_math_solutions(
            problems("One: ok"),
            SOLVER_PROMPTS,
            model,
            run_program,
            held_out_share=share,
            solutions=len(answers),
        ),
        model,
    )


@pytest.mark.parametrize(
    ("answers", "kept", "votes"),
    [
        (["7"], 0, 1),
        (["7", "7", "7"], 0, 3),
        (["8", "7", "7"], 1, 2),
        (["", "7", "7"], 1, 2),
        (["9", "8", "7", "7", "8", "7"], 2, 3),
    ],
)
def test_math_solutions_keep_the_first_with_the_answer_of_the_majority(
    answers: list[str], kept: int, votes: int
) -> None:
    outcome, _ = best_of(answers)
    assert outcome.rows.select("solution_id", "answer", "votes", "solutions").rows() == [
        (solution_id("id 0", "assistant", kept), answers[kept], votes, len(answers))
    ]
    reasons = dict(outcome.dropped.select("id", "reason").iter_rows())
    for index, answer in enumerate(answers):
        same = "assistant_agreeing" if answer == answers[kept] else "assistant_outvoted"
        reason = same if answer else "assistant_no_final_answer"
        assert reasons.get(solution_id("id 0", "assistant", index)) == (
            None if index == kept else reason
        )


@pytest.mark.parametrize("answers", [["7", "8"], ["7", "", ""], ["7", "8", "8", "7"], ["", ""]])
def test_math_solutions_keep_none_without_a_majority(answers: list[str]) -> None:
    outcome, _ = best_of(answers)
    assert len(outcome.rows) == 0
    reasons = {
        "assistant_no_majority" if answer else "assistant_no_final_answer" for answer in answers
    }
    assert set(outcome.dropped["reason"]) == reasons


def test_math_solutions_ask_the_first_solution_as_if_there_were_no_others() -> None:
    _, one = best_of(["7"], share=1.0)
    _, three = best_of(["7", "7", "7"], share=1.0)
    assert [request for request in three.asked if not request.index] == one.asked
    others = [request for request in three.asked if request.index]
    assert [(request.index, request.sampling["temperature"]) for request in others] == [
        (1, 0.7),
        (2, 0.7),
    ]
    assert {solver_of(request) for request in others} == {"assistant"}
