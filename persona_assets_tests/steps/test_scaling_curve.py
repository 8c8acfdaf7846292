"""Training sets are nested, and a scaling curve claims only the differences that n supports."""

from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.evaluation import ACCURACY
from persona_assets.steps.math_data import TRAIN
from persona_assets.steps.measurement import figures_of
from persona_assets.steps.scaling_curve import (
    COMPARISON,
    CURVE,
    baseline_verdicts,
    build_scaling_curve,
    build_size_comparison,
    curve_remarks,
    curve_verdicts,
)
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


def test_a_problem_that_occurs_twice_is_on_one_side_of_the_evaluation_loss() -> None:
    again = THIRTY.with_columns(pl.col("sample_id") + " again")
    twice = pl.concat([THIRTY, again])
    apart = {row["problem"] for row in evaluation_rows(twice, 0.5)}
    assert 0 < len(apart) < 30
    assert apart.isdisjoint(row["problem"] for row in training_rows(twice, 60, 0.5))


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


def measured(
    benchmark: str, size: int, solved: str, examples: int | None = None, model: str = ""
) -> dict[str, Any]:
    """Return a measurement: a letter per problem, r for right, w for wrong, x for excluded."""
    results = [
        {
            "problem_id": f"{benchmark} {n}",
            "subject": None,
            "level": None,
            "correct": None if letter == "x" else letter == "r",
            "outcome": {"r": "correct", "w": "wrong", "x": "failed"}[letter],
        }
        for n, letter in enumerate(solved)
    ]
    labels = {"training_size": size, "benchmark": benchmark, "decoding": "zero-shot, greedy"}
    trained = {"examples": examples or size, "model": model or f"weights {examples or size}"}
    return {**labels, **trained, **figures_of(results)}


def untrained(benchmark: str, size: int) -> dict[str, Any]:
    return {**measured(benchmark, size, ""), "examples": None, "model": ""}


def accuracies(*rows: dict[str, Any]) -> pl.DataFrame:
    return typed_frame(rows, ACCURACY)


def test_scaling_curve_is_all_accuracies_by_benchmark_and_number_trained_on() -> None:
    rows = accuracies(measured("b", 16, "rw"), measured("a", 8, "rw"), measured("b", 8, "x"))
    curve = build_scaling_curve(rows).rows
    assert curve.schema == CURVE
    assert curve.select("benchmark", "examples", "n", "accuracy").rows() == [
        ("a", 8, 2, 0.5),
        ("b", 8, 0, None),
        ("b", 16, 2, 0.5),
    ]


def test_sizes_that_were_trained_on_the_same_problems_are_one_point() -> None:
    rows = accuracies(
        measured("math", 131_072, "rw", examples=12),
        measured("math", 65_536, "rw", examples=12),
        measured("math", 8, "ww"),
    )
    curve = build_scaling_curve(rows).rows
    assert curve.select("examples", "training_sizes").rows() == [(8, [8]), (12, [65_536, 131_072])]
    assert curve_remarks(rows, {"math 0", "math 1"}) == [
        "The sizes 65,536 and 131,072 are one point: there were 12 problems to train on."
    ]
    assert len(build_size_comparison(rows).rows) == 1


def test_a_size_below_its_number_stands_at_the_true_number() -> None:
    rows = accuracies(measured("math", 16, "r", examples=15))
    assert build_scaling_curve(rows).rows["examples"].to_list() == [15]
    assert curve_remarks(rows, {"math 0"}) == ["The size 16 stands at 15, the number trained on."]


def test_a_size_without_a_model_has_no_point() -> None:
    rows = accuracies(untrained("math", 8), untrained("math", 16), measured("other", 8, "r"))
    assert build_scaling_curve(rows).rows["benchmark"].to_list() == ["other"]
    assert curve_verdicts(rows) == [
        "math: no model was trained",
        "other, 8 problems: 100.0 % (20.7 to 100.0, n = 1)",
    ]


def test_scaling_curve_of_no_accuracies_is_an_empty_table() -> None:
    assert build_scaling_curve(accuracies()).rows.equals(pl.DataFrame(schema=CURVE))
    assert build_size_comparison(accuracies()).rows.equals(pl.DataFrame(schema=COMPARISON))
    assert curve_verdicts(accuracies()) == []


def test_two_numbers_with_the_same_weights_are_remarked() -> None:
    rows = accuracies(measured("m", 8, "r", model="w"), measured("m", 16, "r", model="w"))
    [remark] = curve_remarks(rows, {"m 0"})
    assert remark.startswith("The models of 8 and 16 problems have the same weights")


def test_a_benchmark_that_training_was_not_decontaminated_of_is_remarked() -> None:
    rows = accuracies(measured("gsm8k", 8, "rrw"), measured("synthetic", 8, "rr"))
    assert curve_remarks(rows, {"gsm8k 0", "gsm8k 1", "gsm8k 2"}) == []
    assert curve_remarks(rows, {"gsm8k 1"}) == [
        "gsm8k: the training problems were not decontaminated of 2 of its 3 problems; add its file "
        "to PERSONA_DECONTAMINATE."
    ]


def test_sizes_are_compared_with_their_neighbours_and_at_the_ends() -> None:
    rows = accuracies(*(measured("math", size, "rw" * 3) for size in (8, 16, 32)))
    compared = build_size_comparison(rows).rows
    assert compared.schema == COMPARISON
    assert compared.select("before", "after").rows() == [(8, 16), (16, 32), (8, 32)]
    assert compared.select("n", "both", "neither", "difference", "p_value").unique().rows() == [
        (6, 3, 3, 0.0, 1.0)
    ]


def verdict(*rows: dict[str, Any]) -> str:
    [text] = curve_verdicts(accuracies(*rows))
    return text


def test_curve_verdict_claims_a_difference_that_the_pairs_support() -> None:
    # Independent samples of 60 and 70 % of 100 would support nothing.
    text = verdict(
        measured("math", 16, "r" * 70 + "w" * 30), measured("math", 8, "r" * 60 + "w" * 40)
    )
    assert text.startswith(
        "math, 8 to 16 problems: Accuracy is higher: 70.0 % against 60.0 % of the same 100 problems"
    )


def test_curve_verdict_claims_no_difference_that_the_pairs_do_not_support() -> None:
    text = verdict(measured("math", 8, "rw" * 15), measured("math", 16, "rr" + "rw" * 14))
    assert text.startswith("math, 8 to 16 problems: The data do not support a difference: 53.3 %")
    assert "at this n a difference of " in text


def test_curve_verdict_claims_no_difference_from_an_unmeasured_accuracy() -> None:
    text = verdict(measured("math", 8, "xx"), measured("math", 16, "rw"))
    assert text == (
        "math, 8 to 16 problems: The data do not support a difference: no problem has a verdict "
        "on both."
    )


def test_the_largest_model_is_compared_with_each_baseline() -> None:
    rows = accuracies(measured("math", 8, "w" * 20), measured("math", 16, "r" * 20))
    baselines = [{**measured(name, 1, "w" * 20), "baseline": "base"} for name in ("math", "other")]
    schema = pl.Schema({"baseline": pl.String(), **ACCURACY})
    [text] = baseline_verdicts(rows, typed_frame(baselines, schema))
    assert text.startswith("math, base to 16 problems: Accuracy is higher: 100.0 % against 0.0 %")
    assert text.endswith("below 0.001.")
    few_shot = [{**baseline, "decoding": "4-shot, greedy"} for baseline in baselines]
    [text] = baseline_verdicts(rows, typed_frame(few_shot, schema))
    assert text.endswith(" They were asked differently: 4-shot, greedy and zero-shot, greedy.")
