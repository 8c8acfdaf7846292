"""Three graders give their verdicts on the same answers, and the judge on as many as are set."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.steps.evaluation import ACCURACY
from persona_assets.steps.grader_comparison import VERDICTS, build_grader_verdicts, judged_pairs
from persona_assets.steps.grader_figures import (
    ALL,
    accuracy_sentences,
    agreement_sentences,
    build_grader_accuracy,
    build_grader_agreement,
    disagreements,
    headline,
)
from persona_assets.steps.string_equality import normalised, same_text
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import Answering, Reply, answering, prompt, user_text

ANSWERS = [("7", "7"), ("1/2", "0.5"), ("7", "8"), ("7", "1/0"), ("7", None)]
"""Expected and given answers: alike in text, in value, not at all, undecided, missing."""


def accuracies(
    answers: Sequence[tuple[str, str | None]], benchmark: str = "math", size: int = 8
) -> pl.DataFrame:
    """Return an accuracy table whose published verdict is that of the algebra."""
    results = [
        {
            "problem_id": f"{benchmark} {n}",
            "expected": expected,
            "given": answer,
            "correct": answer is not None and symbolic([(expected, answer)]) == [True],
            "completion_id": None if answer is None else f"completion {n}",
        }
        for n, (expected, answer) in enumerate(answers)
    ]
    row: dict[str, Any] = {
        "training_size": size,
        "benchmark": benchmark,
        "model": "m",
        "n": len(results),
        "correct": 0,
        "accuracy": None,
        "low": None,
        "high": None,
        "results": results,
    }
    return typed_frame([row], ACCURACY)


def symbolic(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Compare values; an answer with a division by zero is undecided."""
    return [
        None if "/0" in answer else eval(expected) == eval(answer) for expected, answer in pairs
    ]


def lenient(request: Request) -> Reply:
    """Accept all answers but 8."""
    return {"verdict": "no" if user_text(request).endswith("Given: 8") else "yes"}


def grade(model: Answering, judged: int, *tables: pl.DataFrame) -> pl.DataFrame:
    result = build_grader_verdicts(tables, symbolic, prompt("answer_equality"), model, judged)
    assert result.rows.schema == VERDICTS
    assert result.rows["answer_id"].n_unique() == len(result.rows)
    return result.rows


def test_verdicts_of_all_graders_stand_side_by_side() -> None:
    rows = grade(answering(lenient), 10, accuracies(ANSWERS))
    columns = ["declared", "string", "symbolic", "judge", "asked", "agree"]
    assert rows.select(columns).rows() == [
        (True, True, True, True, "sample", True),
        (True, False, True, True, "sample", False),
        (False, False, False, False, "sample", True),
        (False, False, None, True, "sample", False),
        (False, False, False, False, None, True),
    ]
    differing = disagreements(rows)
    assert differing["given"].to_list() == ["0.5", "1/0"]
    assert differing["completion_id"].to_list() == ["completion 1", "completion 3"]


def test_pair_is_asked_once_for_all_models_and_sets() -> None:
    model = answering(lenient)
    tables = [accuracies(ANSWERS, name, size) for name in ("math", "gsm8k") for size in (8, 16)]
    rows = grade(model, 10, *tables)
    assert len(rows) == 4 * len(ANSWERS)
    assert len(model.asked) == 4
    assert {request.role for request in model.asked} == {"judge"}
    assert rows.filter(given="1/0")["judge_completion_id"].n_unique() == 1


def test_without_a_number_no_judge_is_asked() -> None:
    model = answering(lenient)
    rows = grade(model, 0, accuracies(ANSWERS))
    assert model.asked == []
    assert rows.filter(pl.col("given").is_not_null())["judge"].null_count() == 4
    figures = build_grader_accuracy(rows).rows
    assert figures.filter(grader="judge")["accuracy"].to_list() == [None]
    assert "judge not measured" in accuracy_sentences(figures)[0]


def test_answer_without_a_published_verdict_is_left_out() -> None:
    table = accuracies([("7", "7"), ("7", "8"), ("7", None)])
    left_out = pl.when(pl.element().struct.field("given").is_null()).then(None)
    correct = left_out.otherwise(pl.element().struct.field("correct")).alias("correct")
    results = table["results"].list.eval(pl.element().struct.with_fields(correct))
    rows = grade(answering(lenient), 10, table.with_columns(results))
    assert rows.row(2, named=True)["string"] is None
    figures = build_grader_accuracy(rows).rows
    assert figures.select("n", "accuracy").rows() == [(2, 0.5)] * 4


def test_verdict_that_the_judge_fails_to_give_is_missing() -> None:
    rows = grade(answering(lambda _: "refused"), 10, accuracies(ANSWERS[:2]))
    assert rows["judge"].to_list() == [None, None]
    assert rows["asked"].to_list() == ["sample", "sample"]


def test_columns_and_fields_of_later_accuracies_are_tolerated() -> None:
    table = accuracies(ANSWERS)
    results = table["results"].list.eval(
        pl.struct(pl.element().struct.unnest(), pl.lit("algebra").alias("topic"))
    )
    wider = table.with_columns(results, pl.lit("base").alias("arm"))
    rows = grade(answering(lenient), 10, wider)
    assert rows.equals(grade(answering(lenient), 10, table))


@given(
    st.dictionaries(
        st.tuples(st.text(max_size=3), st.text(max_size=3)),
        st.sampled_from([True, False, None]),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_judged_pairs_are_within_the_forecast_and_nested(
    pairs: dict[tuple[str, str], bool | None], judged: int
) -> None:
    chosen = judged_pairs(pairs, judged)
    reasons = list(chosen.values())
    assert len(chosen) <= 2 * judged
    assert reasons.count("sample") == min(judged, len(pairs))
    assert all(pairs[pair] is None for pair, reason in chosen.items() if reason == "undecided")
    assert chosen.keys() <= judged_pairs(pairs, judged + 1).keys()
    undecided = {pair for pair, verdict in pairs.items() if verdict is None}
    assert len(undecided) > judged or undecided <= chosen.keys()


def test_agreement_counts_distinct_pairs_and_the_sample_of_the_judge() -> None:
    tables = [accuracies(ANSWERS, "math"), accuracies(ANSWERS[:2], "gsm8k")]
    rows = build_grader_agreement(grade(answering(lenient), 10, *tables)).rows
    assert rows.select("benchmark", "first", "second", "n", "left_out").rows() == [
        (ALL, "string", "symbolic", 3, 1),
        (ALL, "string", "judge", 4, 0),
        (ALL, "symbolic", "judge", 3, 1),
        ("math", "string", "symbolic", 3, 1),
        ("math", "string", "judge", 4, 0),
        ("math", "symbolic", "judge", 3, 1),
        ("gsm8k", "string", "symbolic", 2, 0),
        ("gsm8k", "string", "judge", 2, 0),
        ("gsm8k", "symbolic", "judge", 2, 0),
    ]
    first = rows.row(0, named=True)
    assert [first[name] for name in ("both", "first_only", "second_only", "neither")] == [
        1,
        0,
        1,
        1,
    ]
    assert first["kappa_low"] <= first["kappa"] <= first["kappa_high"]
    assert "symbolic alone 1" in agreement_sentences(rows)[0]


def test_pairs_asked_as_undecided_do_not_count_as_agreement_with_the_judge() -> None:
    answers = [("7", f"{n}/0") for n in range(30)] + [("7", "7")]
    rows = grade(answering(lenient), 5, accuracies(answers))
    assert rows["asked"].value_counts().sort("asked").rows() == [
        (None, 21),
        ("sample", 5),
        ("undecided", 5),
    ]
    agreement = build_grader_agreement(rows).rows
    assert agreement.filter(first="string", second="judge")["n"].to_list() == [5]


def test_accuracy_by_each_grader_is_beside_the_published() -> None:
    rows = grade(answering(lenient), 10, accuracies(ANSWERS))
    figures = build_grader_accuracy(rows).rows
    assert figures.select("grader", "n", "graded", "accuracy").rows() == [
        ("declared", 5, 5, 0.4),
        ("string", 5, 5, 0.2),
        ("symbolic", 4, 4, 0.5),
        ("judge", 5, 5, pytest.approx(0.6)),
    ]
    assert (figures["low"] < figures["accuracy"]).all()
    assert (figures["high"] > figures["accuracy"]).all()


def test_accuracy_by_the_judge_is_estimated_from_its_sample() -> None:
    answers = [(str(n), str(n)) for n in range(10, 310)] + [
        ("7", str(n)) for n in range(1000, 1100)
    ]
    rows = grade(answering(lenient), 100, accuracies(answers))
    judge = build_grader_accuracy(rows).rows.filter(grader="judge").row(0, named=True)
    # The lenient judge accepts all, of each verdict of the algebra.
    assert (judge["n"], judge["graded"], judge["accuracy"]) == (400, 100, 1.0)
    assert judge["low"] < 0.99


def test_tables_without_answers_are_empty() -> None:
    rows = grade(answering(lenient), 10, pl.DataFrame(schema=ACCURACY))
    assert rows.is_empty()
    assert build_grader_agreement(rows).rows.is_empty()
    assert build_grader_accuracy(rows).rows.is_empty()


@pytest.mark.parametrize(
    ("expected", "given_answer", "same"),
    [
        (r"\frac{1}{2}", r"$\dfrac{1}{2}$.", True),
        (r"\left(1, 2\right)", "(1,2)", True),
        (r"\text{Tuesday}", "tuesday", True),
        ("１２", "12", True),
        ("1,234,567", "1234567", True),
        ("−3", "-3", True),
        (r"50\%", "50%", True),
        ("(1,234)", "(1234)", False),
        (r"\frac{1}{2}", "0.5", False),
        ("1,23", "123", False),
        ("", "$$", False),
    ],
)
def test_texts_are_equal_but_for_typography(expected: str, given_answer: str, same: bool) -> None:
    assert same_text([(expected, given_answer)]) == [same]


@given(st.text(max_size=30))
def test_text_equals_itself_unless_nothing_is_left_of_it(answer: str) -> None:
    assert same_text([(answer, answer)]) == [bool(normalised(answer))]


def test_headline_names_the_declared_grader() -> None:
    assert "PERSONA_EQUALITY=judge" in headline("judge")
    assert "the judge where the algebra is undecided" in headline("judge")
    assert "symbolic" in headline("math_verify")
