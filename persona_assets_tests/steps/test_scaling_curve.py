from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.evaluation import (
    ACCURACY,
    CURVE,
    MODEL,
    build_fine_tuned_model,
    build_scaling_curve,
    curve_verdicts,
    training_rows,
)
from persona_assets.steps.grading import accuracy
from persona_assets.steps.math_data import TRAIN
from persona_assets.storage.step_result import typed_frame


def train(number: int) -> pl.DataFrame:
    rows = [
        {"sample_id": f"id {n}", "problem": f"problem {n}", "solution": f"solution {n}"}
        for n in range(number)
    ]
    return typed_frame(rows, TRAIN)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_a_training_set_is_part_of_every_larger_one(one: int, other: int) -> None:
    small, large = sorted([one, other])
    rows = train(30)
    assert training_rows(rows, large)[:small] == training_rows(rows, small)
    assert len(training_rows(rows, large)) == min(large, 30)
    assert training_rows(rows.reverse(), small) == training_rows(rows, small)


def test_training_rows_are_problem_and_solution() -> None:
    rows = training_rows(train(30), 30)
    assert sorted(row["problem"] for row in rows) == sorted(f"problem {n}" for n in range(30))
    assert all(row["solution"] == row["problem"].replace("problem", "solution") for row in rows)
    assert rows != sorted(rows, key=lambda row: row["problem"])


def test_a_trained_model_is_one_row_and_an_untrained_one_none() -> None:
    trained = {
        "path": Path("project/models/8/model.gguf"),
        "format": "gguf",
        "sha256": "ab",
        "examples": 7,
        "steps": 3,
        "first_loss": 2.5,
        "last_loss": 1.5,
        "seconds": 1.0,
        "dropped": [(4, "too_long")],
    }
    named: Any = {"training_size": 8, "base_model": "base", "data_dir": Path("project")}
    outcome = build_fine_tuned_model(trained, **named)
    assert outcome.rows.schema == MODEL
    row = outcome.rows.row(0, named=True)
    assert (row["training_size"], row["examples"], row["base_model"]) == (8, 7, "base")
    assert row["path"] == "models/8/model.gguf"
    assert outcome.dropped.rows() == [("4", "fine_tuned_model", "too_long")]
    assert build_fine_tuned_model(None, **named).rows.equals(pl.DataFrame(schema=MODEL))


def curve(*figures: tuple[str, int, int, int]) -> pl.DataFrame:
    """Accuracies from (benchmark, training size, correct, n)."""
    rows = []
    for benchmark, size, correct, n in figures:
        figure = accuracy(correct, n)
        rows.append(
            {
                "training_size": size,
                "benchmark": benchmark,
                "model": "m",
                "n": n,
                "correct": correct,
                "accuracy": figure.accuracy,
                "low": figure.low,
                "high": figure.high,
                "results": [],
            }
        )
    return typed_frame(rows, ACCURACY)


def test_the_curve_is_sorted_and_keeps_every_accuracy() -> None:
    outcome = build_scaling_curve(curve(("b", 16, 1, 2), ("a", 8, 1, 2), ("b", 8, 0, 0)))
    assert outcome.rows.schema == CURVE
    assert outcome.rows.select("benchmark", "training_size").rows() == [
        ("a", 8),
        ("b", 8),
        ("b", 16),
    ]
    assert outcome.rows_in == 3
    assert build_scaling_curve(typed_frame([], ACCURACY)).rows.schema == CURVE


def test_a_verdict_claims_what_the_intervals_bear() -> None:
    rows = curve(
        ("better", 16, 3245, 5000),
        ("better", 8, 2875, 5000),
        ("unclear", 8, 1, 30),
        ("unclear", 16, 3, 30),
        ("empty", 8, 0, 0),
        ("empty", 16, 1, 2),
    )
    better, empty, unclear = curve_verdicts(build_scaling_curve(rows).rows)
    assert better.startswith("better, 8 to 16 problems: Accuracy is higher: 64.9 % ")
    assert unclear.startswith("unclear, 8 to 16 problems: The data do not support a difference: ")
    assert empty.startswith("empty, 8 to 16 problems: The data do not support a difference: ")
    assert "not measured (n = 0)" in empty


def test_no_accuracies_give_no_verdict() -> None:
    assert curve_verdicts(typed_frame([], CURVE)) == []
