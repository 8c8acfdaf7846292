from collections.abc import Sequence

import polars as pl
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
    """Problems whose answer is 7."""
    rows = [
        {"problem_id": f"id {n}", "problem": text, "answer": "7"} for n, text in enumerate(texts)
    ]
    return typed_frame(rows, PROBLEMS)


def solved(request: Request) -> Reply:
    kind = user_text(request).rsplit(maxsplit=1)[-1]
    said = {"right": "\\boxed{7}", "wrong": "\\boxed{8}", "silent": "Hm.", "odd": "\\boxed{?}"}
    return {"solution": said[kind]} if kind in said else kind


def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    return [None if "?" in given else expected == given for expected, given in pairs]


def measure(rows: pl.DataFrame, model: Answering, size: int = 8) -> StepResult:
    asked = prompt("evaluation").as_role("evaluation")
    return evaluate(rows, asked, model, equal, benchmark="math", training_size=size, model="m")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["right", "wrong", "silent", "odd", *FAILURES]), max_size=8))
def test_what_was_not_answered_or_decided_is_left_out_and_the_rest_counts(kinds: list[str]) -> None:
    rows = problems(*(f"Problem {n}: {kind}" for n, kind in enumerate(kinds)))
    model = answering(solved)
    outcome = measure(rows, model)
    row = outcome.rows.row(0, named=True)
    assert (outcome.rows.schema, len(outcome.rows)) == (ACCURACY, 1)
    assert {request.role for request in model.asked} <= {"evaluation"}
    out = {"error": "error:timeout", "odd": "undecided"}
    assert row["n"] == sum(kind not in out for kind in kinds)
    assert row["correct"] == kinds.count("right") == sum(it["correct"] for it in row["results"])
    assert row["accuracy"] == (row["correct"] / row["n"] if row["n"] else None)
    assert outcome.dropped.schema == QUARANTINE_SCHEMA
    assert dict(outcome.dropped.select("id", "reason").iter_rows()) == {
        f"id {n}": out[kind] for n, kind in enumerate(kinds) if kind in out
    }
    assert [it["problem_id"] for it in row["results"]] == [
        f"id {n}" for n, kind in enumerate(kinds) if kind not in out
    ]


def test_no_problems_are_no_accuracy() -> None:
    model = answering(solved)
    for rows in (problems(), problems("Problem: error")):
        row = measure(rows, model).rows
        assert row.select("n", "correct", "accuracy", "low", "high").row(0) == (
            0,
            0,
            None,
            None,
            None,
        )
        assert accuracy_sentence(row) == "not measured (n = 0)"


def test_an_answer_without_a_final_answer_is_wrong_not_missing() -> None:
    kinds = ["right", "silent", "truncated", "invalid", "refused"]
    row = measure(problems(*(f"Problem: {kind}" for kind in kinds)), answering(solved)).rows
    assert row.select("n", "correct", "accuracy").row(0) == (5, 1, 0.2)
    assert accuracy_sentence(row) == "20.0 % (3.6 to 62.4, n = 5)"
    given = [result["given"] for result in row["results"][0]]
    assert given == ["7", None, None, None, None]
    assert [bool(result["completion_id"]) for result in row["results"][0]][:2] == [True, True]


def test_a_problem_that_is_there_twice_counts_twice() -> None:
    rows = problems("Problem: right", "Problem: wrong")
    row = measure(pl.concat([rows, rows]), answering(solved)).rows
    assert row.select("n", "correct").row(0) == (4, 2)


def test_a_judge_s_word_decides_and_silence_does_not() -> None:
    def judge(request: Request) -> Reply:
        text = user_text(request)
        if "given 3" in text:
            return "error"
        return "invalid" if "given 4" in text else {"verdict": "yes" if "given 1" in text else "no"}

    model = answering(judge)
    pairs = [(f"expected {n}", f"given {n}") for n in range(5)]
    assert judge_equality(prompt("answer_equality"), model)(pairs) == [
        False,
        True,
        False,
        None,
        None,
    ]
    assert [request.role for request in model.asked] == ["judge"] * 5
    assert "Expected: expected 2\nGiven: given 2" in user_text(model.asked[2])
    # Shown verdicts are the verdicts that there are, not something to copy.
    assert judge_equality(prompt("answer_equality", "few-shot", 4), model)(pairs[:2]) == [
        False,
        True,
    ]
    assert judge_equality(prompt("answer_equality"), model)([]) == []
