"""Two points of the curve differ only where the same problems show it among all comparisons."""

from typing import Any

import polars as pl
import pytest

from persona_assets.steps.evaluation import ACCURACY
from persona_assets.steps.size_comparison import (
    COMPARISON,
    baseline_verdicts,
    build_size_comparison,
    comparison_verdicts,
    curve_verdicts,
)
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.measurements import accuracies, measured, untrained

NONE = "no_persona"


def test_sizes_are_compared_with_their_neighbours_and_at_the_ends() -> None:
    rows = accuracies(*(measured("math", size, "rw" * 3) for size in (8, 16, 32)))
    compared = build_size_comparison(rows).rows
    assert compared.schema == COMPARISON
    assert compared.select("before", "after").rows() == [(8, 16), (16, 32), (8, 32)]
    assert compared.select("n", "both", "neither", "difference", "p_value").unique().rows() == [
        (6, 3, 3, 0.0, 1.0)
    ]


def verdicts(*rows: dict[str, Any]) -> list[str]:
    table = accuracies(*rows)
    return curve_verdicts(table, build_size_comparison(table).rows)


def verdict(*rows: dict[str, Any]) -> str:
    [text] = verdicts(*rows)
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


def test_a_size_without_a_model_is_said_to_have_none() -> None:
    rows = (untrained("math", 8), untrained("math", 16), measured("other", 8, "r"))
    assert verdicts(*rows) == [
        "math: no model was trained",
        "other, 8 problems: 100.0 % (20.7 to 100.0, n = 1)",
    ]
    assert verdicts() == []
    assert build_size_comparison(accuracies()).rows.equals(pl.DataFrame(schema=COMPARISON))


def test_p_values_are_corrected_over_all_comparisons() -> None:
    # 8 problems are gained and 1 is lost: significant alone, and not among three.
    before, after = "w" * 8 + "r" * 42, "r" * 8 + "w" + "r" * 41
    rows = [measured("math", 8, before), measured("math", 16, after)]
    [alone] = build_size_comparison(accuracies(*rows)).rows.rows(named=True)
    assert alone["p_corrected"] == alone["p_value"] == pytest.approx(20 / 512)
    assert alone["verdict"].startswith("Accuracy is higher")
    among = build_size_comparison(accuracies(*rows, measured("math", 32, after))).rows
    assert among["p_value"].to_list() == pytest.approx([20 / 512, 1, 20 / 512])
    assert among["p_corrected"].to_list() == pytest.approx([60 / 512, 1, 60 / 512])
    assert among["verdict"].str.starts_with("The data do not support a difference").all()
    assert "p = 0.039, corrected p = 0.117; at this n" in among["verdict"][0]


def test_arms_are_compared_at_each_equal_number_of_problems() -> None:
    rows = accuracies(
        measured("math", 8, "r" * 30 + "w" * 70),
        measured("math", 8, "r" * 10 + "w" * 90, arm=NONE),
        measured("math", 16, "r" * 50 + "w" * 50),
        measured("math", 16, "w" + "r" * 50 + "w" * 49, arm=NONE),
    )
    compared = build_size_comparison(rows).rows
    assert compared.select("arm_before", "before", "arm_after", "after").rows() == [
        ("full_persona", 8, "full_persona", 16),
        (NONE, 8, "full_persona", 8),
        (NONE, 16, "full_persona", 16),
    ]
    _, more, same = comparison_verdicts(compared)
    assert more.startswith("math: Personas add 20.0 points (12.0 to 28.4) at 8 problems: shown. ")
    assert "30.0 % against 10.0 % of the same 100 problems" in more
    assert same.startswith("math: Personas add 0.0 points (-3.3 to 3.3) at 16 problems: not shown.")
    assert verdicts(*rows.rows(named=True))[1:] == [more, same]
    turned = compared.filter(arm_before=NONE)["difference"].to_list()
    assert turned == pytest.approx([0.2, 0])


def test_arms_with_other_numbers_of_problems_are_not_compared_silently() -> None:
    rows = [
        measured("math", 1000, "r" * 9 + "w"),
        measured("math", 500, "r" * 9 + "w"),
        measured("math", 1000, "w" * 10, examples=600, arm=NONE),
    ]
    refused = build_size_comparison(accuracies(*rows)).rows.filter(arm_before=NONE)
    [row] = refused.rows(named=True)
    assert (row["before"], row["after"], row["n"], row["p_value"]) == (600, 1000, None, None)
    assert row["verdict"] == (
        "Personas are not compared with none at 600 problems without, since the model of problems "
        "with personas has 1,000: add 600 to PERSONA_TRAINING_SIZES."
    )
    # Too long a solution or two are no other number.
    near = measured("math", 600, "r" * 9 + "w", examples=598)
    [text] = verdicts(*rows, near)[1:]
    assert "points (48.8 to 98.2) at 598 against 600 problems: shown." in text


def test_models_of_several_seeds_are_compared_by_seed_and_problem() -> None:
    rows = [
        measured("math", size, solved, seed=seed)
        for size, solved in ((8, "r" * 20 + "w" * 80), (16, "r" * 40 + "w" * 60))
        for seed in (0, 1, 2)
    ]
    [row] = build_size_comparison(accuracies(*rows)).rows.rows(named=True)
    assert (row["seeds"], row["n"], row["both"], row["difference"]) == (3, 100, None, 0.2)
    assert "100 problems, means of 3 seeds; +20.0 points" in row["verdict"]
    # Seeds that only a side has take no part.
    [row] = build_size_comparison(accuracies(*rows[:3], *rows[5:])).rows.rows(named=True)
    assert (row["seeds"], row["both"]) == (1, 20)
    other = {**rows[3], "seed": 9}
    [row] = build_size_comparison(accuracies(*rows[:3], other)).rows.rows(named=True)
    assert (row["seeds"], row["n"], row["verdict"]) == (0, None, "Not compared: no seed in common.")
