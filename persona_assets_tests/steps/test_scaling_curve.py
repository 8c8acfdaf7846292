"""Training sets are nested, and a scaling curve claims only the differences that n supports."""

from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.math_data import TRAIN
from persona_assets.steps.scaling_curve import (
    CURVE,
    POINTS,
    build_scaling_curve,
    curve_points,
    curve_remarks,
)
from persona_assets.steps.size_comparison import build_size_comparison
from persona_assets.steps.training import (
    MODEL,
    build_fine_tuned_model,
    build_training_curve,
    evaluation_rows,
    training_rows,
)
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.measurements import accuracies, measured, untrained

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
    labelled = outcome.rows.with_columns(arm=pl.lit("full_persona"), seed=pl.lit(2, pl.Int64()))
    assert build_training_curve(labelled).rows.rows() == [
        (8, "full_persona", 2, "ab", 1, 9, 0.1, 2.5, None),
        (8, "full_persona", 2, "ab", 2, 18, 0.1, 1.5, 1.75),
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


def test_scaling_curve_of_no_accuracies_is_an_empty_table() -> None:
    assert build_scaling_curve(accuracies()).rows.equals(pl.DataFrame(schema=CURVE))
    assert curve_points(pl.DataFrame(schema=CURVE)).equals(pl.DataFrame(schema=POINTS))


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


def test_models_of_several_seeds_are_one_point_with_its_spread() -> None:
    letters = {0: "rrww", 1: "rrrw", 2: "rrrr"}
    seeds = (measured("math", 8, solved, seed=seed) for seed, solved in letters.items())
    curve = build_scaling_curve(accuracies(*seeds, measured("math", 16, "rrrr"))).rows
    assert curve.select("examples", "seed", "accuracy").rows() == [
        (8, 0, 0.5),
        (8, 1, 0.75),
        (8, 2, 1.0),
        (16, 0, 1.0),
    ]
    points = curve_points(curve)
    assert points.schema == POINTS
    assert points.select("examples", "seeds", "n", "accuracy", "sd", "least", "most").rows() == [
        (8, 3, 4, 0.75, 0.25, 0.5, 1.0),
        (16, 1, 4, 1.0, None, None, None),
    ]
    # As that of a single model: all seeds answer the same problems.
    assert points["low"][0] == curve.filter(seed=1)["low"].item()


def test_arms_are_points_of_their_own_and_the_closer_test_set_is_remarked() -> None:
    rows = accuracies(
        measured("synthetic", 8, "rw", arm="no_persona", model="a"),
        measured("synthetic", 8, "rr", model="b"),
        measured("synthetic", 16, "rr", arm="no_persona", examples=9, model="c"),
    )
    curve = build_scaling_curve(rows).rows
    assert curve.select("arm", "examples").rows() == [
        ("full_persona", 8),
        ("no_persona", 8),
        ("no_persona", 9),
    ]
    stands, closer = curve_remarks(rows, set())
    assert stands == "The size 16 stands at 9, the number trained on without personas."
    assert closer.startswith("synthetic: its problems were made with personas, which favours")


def test_seeds_with_the_same_weights_are_remarked() -> None:
    rows = accuracies(*(measured("m", 8, "r", seed=seed, model="w") for seed in (0, 1)))
    [remark] = curve_remarks(rows, {"m 0"})
    assert remark.startswith("The models of 8 (seed 0) and 8 (seed 1) problems have the same")
