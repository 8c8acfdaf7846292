"""An accuracy counts all problems of a benchmark that have an answer and a verdict."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.benchmarks.base import PROBLEMS
from persona_assets.generation import Request
from persona_assets.steps.evaluation import ACCURACY, decoding_name, evaluate, judge_equality
from persona_assets.steps.measurement import accuracy_sentence, groups_of, without_answer
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


SOLUTIONS = {
    "right": "\\boxed{7}",
    "wrong": "\\boxed{8}",
    "silent": "Hm.",
    "sorry": "I'm sorry, but I cannot assist with that request.",
    "odd": "\\boxed{?}",
}
"""Solutions by kind; no solution of the kind `odd` can be graded."""

OUTCOME_OF = {
    "right": "correct",
    "wrong": "wrong",
    "silent": "unparseable",
    "sorry": "refused",
    "odd": "undecided",
    "invalid": "unparseable",
    "truncated": "truncated",
    "refused": "refused",
    "filtered": "refused",
    "error": "failed",
}


def reply(request: Request) -> Reply:
    """Return the solution or failure that the problem's last word names.

    Of several words with a slash between them, each sample has its own.
    """
    kinds = user_text(request).rsplit(maxsplit=1)[-1].split("/")
    kind = kinds[request.index % len(kinds)]
    return {"solution": SOLUTIONS[kind]} if kind in SOLUTIONS else kind


def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    return [None if "?" in answer else expected == answer for expected, answer in pairs]


def measure(rows: pl.DataFrame, model: Answering, samples: int = 1) -> StepResult:
    question = prompt("evaluation").as_role("evaluation")
    labels = {"training_size": 8, "examples": 7, "benchmark": "math", "model": "m"}
    return evaluate(
        rows,
        question,
        model,
        equal,
        labels={**labels, "decoding": decoding_name(0, 0.0, samples)},
        samples=samples,
    )


def mixed(*kinds: str) -> pl.DataFrame:
    return problems(*(f"Problem {n}: {kind}" for n, kind in enumerate(kinds)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*SOLUTIONS, *FAILURES]), max_size=8))
def test_evaluate_counts_each_problem_by_its_outcome(kinds: list[str]) -> None:
    model = answering(reply)
    outcome = measure(mixed(*kinds), model)
    row = outcome.rows.row(0, named=True)
    expected = [OUTCOME_OF[kind] for kind in kinds]
    excluded = [kind in ("error", "odd") for kind in kinds]
    assert (outcome.rows.schema, len(outcome.rows)) == (ACCURACY, 1)
    assert {request.role for request in model.asked} <= {"evaluation"}
    assert [result["problem_id"] for result in row["results"]] == [
        f"id {n}" for n in range(len(kinds))
    ]
    assert [result["outcome"] for result in row["results"]] == expected
    assert [result["correct"] for result in row["results"]] == [
        None if left_out else kind == "right"
        for kind, left_out in zip(kinds, excluded, strict=True)
    ]
    counted = ["wrong", "truncated", "unparseable", "refused", "failed", "undecided"]
    assert [row[name] for name in counted] == [expected.count(name) for name in counted]
    assert row["n"] == excluded.count(False) == len(kinds) - row["failed"] - row["undecided"]
    assert row["correct"] == kinds.count("right")
    assert row["accuracy"] == (row["correct"] / row["n"] if row["n"] else None)
    reasons = {"error": "error:timeout", "odd": "undecided"}
    assert outcome.dropped.schema == QUARANTINE_SCHEMA
    assert dict(outcome.dropped.select("id", "reason").iter_rows()) == {
        f"id {n}": reasons[kind] for n, kind in enumerate(kinds) if kind in reasons
    }


@pytest.mark.parametrize("rows", [problems(), problems("Problem: error")], ids=["empty", "error"])
def test_evaluate_measures_no_accuracy_without_an_answer(rows: pl.DataFrame) -> None:
    row = measure(rows, answering(reply)).rows
    figures = row.select("n", "correct", "accuracy", "low", "high").row(0)
    assert figures == (0, 0, None, None, None)
    assert accuracy_sentence(row).startswith("not measured (n = 0)")


def test_a_reply_without_a_final_answer_is_wrong_and_names_its_completion() -> None:
    row = measure(
        mixed("right", "silent", "truncated", "invalid", "refused"), answering(reply)
    ).rows
    assert row.select("n", "correct", "accuracy").row(0) == (5, 1, 0.2)
    assert accuracy_sentence(row) == (
        "20.0 % (3.6 to 62.4, n = 5); 1 truncated, 2 unparseable, 1 refused"
    )
    results = row["results"][0]
    assert [result["given"] for result in results] == ["7", None, None, None, None]
    ids = [result["completion_id"] for result in results]
    assert all(ids)
    assert len(set(ids)) == 5
    assert without_answer(row) == {
        "unparseable": [ids[1], ids[3]],
        "truncated": [ids[2]],
        "refused": [ids[4]],
    }


def test_the_most_frequent_answer_of_several_replies_counts() -> None:
    rows = mixed("wrong/right/right", "right/wrong/silent", "silent/truncated/error", "error")
    model = answering(reply)
    [results] = measure(rows, model, samples=3).rows["results"]
    assert [request.index for request in model.asked] == [0, 1, 2] * 4
    assert [(result["outcome"], result["votes"]) for result in results] == [
        ("correct", 2),
        ("correct", 1),  # a draw: the earliest answer
        ("unparseable", 0),
        ("failed", 0),
    ]
    # The completion is the first with that answer.
    again = answering(reply)
    [single] = measure(rows, again).rows["results"]
    assert single[1]["completion_id"] == results[1]["completion_id"]
    assert single[0]["completion_id"] != results[0]["completion_id"]


def test_a_single_reply_is_asked_as_ever() -> None:
    model = answering(reply)
    measure(mixed("right"), model)
    [request] = model.asked
    assert (request.index, len(request.messages)) == (0, 1)


def test_accuracy_is_told_apart_by_subject_and_level() -> None:
    labels = [("Algebra", "Level 1"), ("Algebra", "Level 5"), ("Geometry", None)]
    rows = mixed("right", "wrong", "error").with_columns(
        subject=pl.Series([subject for subject, _ in labels]),
        level=pl.Series([level for _, level in labels]),
    )
    groups = groups_of(measure(rows, answering(reply)).rows)
    assert groups.select("by", "value", "n", "correct", "accuracy").rows() == [
        ("subject", "Algebra", 2, 1, 0.5),
        ("subject", "Geometry", 0, 0, None),
        ("level", "Level 1", 1, 1, 1.0),
        ("level", "Level 5", 1, 0, 0.0),
    ]
    assert groups_of(measure(mixed("right"), answering(reply)).rows).is_empty()


def test_evaluate_counts_a_repeated_problem_twice() -> None:
    rows = problems("Problem: right", "Problem: wrong")
    row = measure(pl.concat([rows, rows]), answering(reply)).rows
    assert row.select("n", "correct").row(0) == (4, 2)


PAIRS = [(f"expected {n}", f"given {n}") for n in range(5)]


def judge(request: Request) -> Reply:
    """Judge pair 1 equal, pairs 0 and 2 different, and leave pairs 3 and 4 undecided."""
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
