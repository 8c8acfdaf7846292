"""An accuracy counts all problems of a benchmark that have an answer and a verdict."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.benchmarks.base import PROBLEMS
from persona_assets.generation import Request
from persona_assets.steps.evaluation import ACCURACY, accuracy_sentence, evaluate, judge_equality
from persona_assets.storage.step_result import QUARANTINE_SCHEMA, StepResult, typed_frame
from persona_assets_tests.steps.answers_double import (
    FAILURES,
    Answering,
    Reply,
    answering,
    prompt,
    user_text,
)


def problems(*texts: str) -> pl.DataFrame:
    """Return problems whose answer is 7."""
    rows = [
        {"problem_id": f"id {n}", "problem": text, "answer": "7"} for n, text in enumerate(texts)
    ]
    return typed_frame(rows, PROBLEMS)


SOLUTIONS = {"right": "\\boxed{7}", "wrong": "\\boxed{8}", "silent": "Hm.", "odd": "\\boxed{?}"}
"""Solutions by kind; no solution of the kind `odd` can be graded."""


def reply(request: Request) -> Reply:
    """Return the solution or failure that the problem's last word names."""
    kind = user_text(request).rsplit(maxsplit=1)[-1]
    return {"solution": SOLUTIONS[kind]} if kind in SOLUTIONS else kind


def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    return [None if "?" in answer else expected == answer for expected, answer in pairs]


def measure(rows: pl.DataFrame, model: Answering, size: int = 8) -> StepResult:
    question = prompt("evaluation").as_role("evaluation")
    return evaluate(rows, question, model, equal, benchmark="math", training_size=size, model="m")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*SOLUTIONS, *FAILURES]), max_size=8))
def test_evaluate_counts_all_problems_but_the_unanswered_and_the_undecided(
    kinds: list[str],
) -> None:
    rows = problems(*(f"Problem {n}: {kind}" for n, kind in enumerate(kinds)))
    model = answering(reply)
    outcome = measure(rows, model)
    row = outcome.rows.row(0, named=True)
    reasons = {"error": "error:timeout", "odd": "undecided"}
    assert (outcome.rows.schema, len(outcome.rows)) == (ACCURACY, 1)
    assert {request.role for request in model.asked} <= {"evaluation"}
    assert row["n"] == sum(kind not in reasons for kind in kinds)
    correct = sum(result["correct"] for result in row["results"])
    assert row["correct"] == kinds.count("right") == correct
    assert row["accuracy"] == (row["correct"] / row["n"] if row["n"] else None)
    assert outcome.dropped.schema == QUARANTINE_SCHEMA
    assert dict(outcome.dropped.select("id", "reason").iter_rows()) == {
        f"id {n}": reasons[kind] for n, kind in enumerate(kinds) if kind in reasons
    }
    assert [result["problem_id"] for result in row["results"]] == [
        f"id {n}" for n, kind in enumerate(kinds) if kind not in reasons
    ]


@pytest.mark.parametrize("rows", [problems(), problems("Problem: error")], ids=["empty", "error"])
def test_evaluate_measures_no_accuracy_without_an_answer(rows: pl.DataFrame) -> None:
    row = measure(rows, answering(reply)).rows
    figures = row.select("n", "correct", "accuracy", "low", "high").row(0)
    assert figures == (0, 0, None, None, None)
    assert accuracy_sentence(row) == "not measured (n = 0)"


def test_evaluate_grades_a_response_without_a_final_answer_as_wrong() -> None:
    kinds = ["right", "silent", "truncated", "invalid", "refused"]
    row = measure(problems(*(f"Problem: {kind}" for kind in kinds)), answering(reply)).rows
    assert row.select("n", "correct", "accuracy").row(0) == (5, 1, 0.2)
    assert accuracy_sentence(row) == "20.0 % (3.6 to 62.4, n = 5)"
    results = row["results"][0]
    assert [result["given"] for result in results] == ["7", None, None, None, None]
    assert [bool(result["completion_id"]) for result in results][:2] == [True, True]


def test_evaluate_counts_a_repeated_problem_twice() -> None:
    rows = problems("Problem: right", "Problem: wrong")
    row = measure(pl.concat([rows, rows]), answering(reply)).rows
    assert row.select("n", "correct").row(0) == (4, 2)


PAIRS = [(f"expected {n}", f"given {n}") for n in range(5)]


def judge(request: Request) -> Reply:
    """Decide the first three pairs of answers, of which the second is equal."""
    text = user_text(request)
    if "given 3" in text:
        return "error"
    return "invalid" if "given 4" in text else {"verdict": "yes" if "given 1" in text else "no"}


def test_judge_equality_is_the_verdict_of_the_judge_or_undecided() -> None:
    model = answering(judge)
    verdicts = judge_equality(prompt("answer_equality"), model)(PAIRS)
    assert verdicts == [False, True, False, None, None]
    assert [request.role for request in model.asked] == ["judge"] * 5
    assert "Expected: expected 2\nGiven: given 2" in user_text(model.asked[2])


def test_judge_equality_accepts_a_verdict_that_equals_a_demonstration() -> None:
    few_shot = prompt("answer_equality", "few-shot", 4)
    assert judge_equality(few_shot, answering(judge))(PAIRS[:2]) == [False, True]


def test_judge_equality_of_no_pairs_is_empty() -> None:
    assert judge_equality(prompt("answer_equality"), answering(judge))([]) == []
