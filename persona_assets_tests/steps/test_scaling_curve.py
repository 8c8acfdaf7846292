"""Training sets are nested, and a scaling curve claims only the differences that n supports."""

from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.evaluation import (
    ACCURACY,
    CURVE,
    build_scaling_curve,
    curve_verdicts,
)
from persona_assets.steps.grading import accuracy
from persona_assets.steps.math_data import TRAIN
from persona_assets.steps.training import (
    MODEL,
    build_fine_tuned_model,
    build_training_curve,
    evaluation_rows,
    training_rows,
)
from persona_assets.storage.step_result import typed_frame

THIRTY = typed_frame(
    [
        {"sample_id": f"id {n}", "problem": f"problem {n}", "solution": f"solution {n}"}
        for n in range(30)
    ],
    TRAIN,
)
sizes = st.integers(0, 40)


@settings(deadline=None)
@given(st.tuples(sizes, sizes).map(sorted))
def test_training_rows_of_a_size_begin_those_of_each_larger_size(pair: list[int]) -> None:
    small, large = pair
    assert training_rows(THIRTY, large)[:small] == training_rows(THIRTY, small)
    assert len(training_rows(THIRTY, large)) == min(large, 30)


@settings(deadline=None)
@given(st.permutations(range(len(THIRTY))), sizes)
def test_training_rows_are_the_same_in_any_order_of_the_table(order: list[int], size: int) -> None:
    assert training_rows(THIRTY[order], size) == training_rows(THIRTY, size)


def test_training_rows_are_problems_and_solutions_in_an_order_of_their_own() -> None:
    rows = training_rows(THIRTY, 30)
    assert sorted(row["problem"] for row in rows) == sorted(f"problem {n}" for n in range(30))
    assert all(row["solution"] == row["problem"].replace("problem", "solution") for row in rows)
    assert rows != sorted(rows, key=lambda row: row["problem"])


MODEL_OF: Any = {"training_size": 8, "base_model": "base", "data_dir": Path("project")}


def test_fine_tuned_model_is_a_row_and_its_unusable_examples_are_drops() -> None:
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
        "hyper": {"epochs": 2},
        "libraries": {"torch": "2"},
        "curve": [
            {"step": 1, "loss": 2.5, "learning_rate": 0.1, "tokens": 9, "seconds": 0.2},
            {"step": 2, "loss": 1.5, "learning_rate": 0.1, "tokens": 18, "seconds": 0.4},
            {"step": 2, "evaluation_loss": 1.75, "seconds": 0.5},
        ],
    }
    outcome = build_fine_tuned_model(trained, training_rows(THIRTY, 8), **MODEL_OF)
    assert (outcome.rows.schema, len(outcome.rows)) == (MODEL, 1)
    row = outcome.rows.row(0, named=True)
    assert (row["training_size"], row["examples"], row["base_model"]) == (8, 7, "base")
    assert row["path"] == "models/8/model.gguf"
    assert (row["hyper"], row["libraries"]) == ('{"epochs": 2}', '{"torch": "2"}')
    left_out = training_rows(THIRTY, 8)[4]["sample_id"]
    assert outcome.dropped.rows() == [(left_out, "fine_tuned_model", "too_long")]
    assert build_training_curve(outcome.rows).rows.rows() == [
        (8, "ab", 1, 9, 0.1, 2.5, None),
        (8, "ab", 2, 18, 0.1, 1.5, 1.75),
    ]


def test_model_of_a_version_without_curves_has_no_steps() -> None:
    early = pl.DataFrame({"training_size": [8], "sha256": ["ab"]})
    assert build_training_curve(early).rows.is_empty()


@settings(deadline=None)
@given(sizes, st.floats(0, 1, exclude_max=True))
def test_rows_kept_apart_are_trained_on_at_no_size(size: int, share: float) -> None:
    kept = {row["sample_id"] for row in evaluation_rows(THIRTY, share)}
    trained = [row["sample_id"] for row in training_rows(THIRTY, size, share)]
    assert kept.isdisjoint(trained)
    assert len(trained) == min(size, 30 - len(kept))
    if share == 0.0:
        assert kept == set()


def test_fine_tuned_model_that_was_not_trained_is_an_empty_table() -> None:
    assert build_fine_tuned_model(None, [], **MODEL_OF).rows.equals(pl.DataFrame(schema=MODEL))


def accuracies(*figures: tuple[str, int, int, int]) -> pl.DataFrame:
    """Return accuracies from tuples of benchmark, training size, correct, n."""
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


def test_scaling_curve_is_all_accuracies_by_benchmark_and_size() -> None:
    outcome = build_scaling_curve(accuracies(("b", 16, 1, 2), ("a", 8, 1, 2), ("b", 8, 0, 0)))
    assert outcome.rows.schema == CURVE
    assert outcome.rows.select("benchmark", "training_size").rows() == [
        ("a", 8),
        ("b", 8),
        ("b", 16),
    ]
    assert outcome.rows_in == 3


def test_scaling_curve_of_no_accuracies_is_an_empty_table() -> None:
    assert build_scaling_curve(accuracies()).rows.equals(pl.DataFrame(schema=CURVE))


def verdict(*figures: tuple[int, int, int]) -> str:
    """Return the verdict of a benchmark from tuples of training size, correct, n."""
    rows = accuracies(*(("math", *figure) for figure in figures))
    [text] = curve_verdicts(build_scaling_curve(rows).rows)
    return text


def test_curve_verdict_claims_a_difference_that_the_intervals_support() -> None:
    text = verdict((16, 3245, 5000), (8, 2875, 5000))
    assert text.startswith("math, 8 to 16 problems: Accuracy is higher: 64.9 % ")


def test_curve_verdict_claims_no_difference_between_overlapping_intervals() -> None:
    text = verdict((8, 1, 30), (16, 3, 30))
    assert text.startswith("math, 8 to 16 problems: The data do not support a difference: ")


def test_curve_verdict_claims_no_difference_from_an_unmeasured_accuracy() -> None:
    text = verdict((8, 0, 0), (16, 1, 2))
    assert text.startswith("math, 8 to 16 problems: The data do not support a difference: ")
    assert "not measured (n = 0)" in text


def test_curve_verdicts_are_sorted_by_benchmark() -> None:
    names = ["better", "unclear", "empty"]
    rows = accuracies(*((name, size, 1, 2) for name in names for size in (16, 8)))
    verdicts = curve_verdicts(build_scaling_curve(rows).rows)
    assert [text.split(",")[0] for text in verdicts] == ["better", "empty", "unclear"]


def test_curve_verdicts_of_an_empty_curve_are_empty() -> None:
    assert curve_verdicts(typed_frame([], CURVE)) == []
