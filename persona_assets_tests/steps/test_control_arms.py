"""A finding about an arm is made only where the interval of the difference excludes zero."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from persona_assets.steps.control_arms import (
    CONTROL_ARMS,
    FEW,
    HIGHER_IS_DIVERSE,
    LESS,
    MORE,
    UNSHOWN,
    build_control_arms,
    complete_arms,
    figures_markdown,
    finding,
    verdict,
)
from persona_assets.steps.control_problems import ARMS, CONTROL_PROBLEMS, FULL, LENGTH, NONE
from persona_assets.steps.half_samples import Interval
from persona_assets.storage.step_result import typed_frame

WORDS = [f"{first}{last}" for first in ("bar", "kel", "mor", "tis", "vun") for last in "aeiouyrst"]


def problems(of_arm: Callable[[str, np.random.Generator], str], count: int) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        {
            "problem_id": f"{arm} {number}",
            "arm": arm,
            "persona_id": f"id {number}",
            "problem": of_arm(arm, rng),
        }
        for number in range(count)
        for arm in ARMS
    ]
    return typed_frame(rows, CONTROL_PROBLEMS)


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return the mean of the words' vectors, so that texts of the same words are similar."""
    rng = np.random.default_rng(0)
    vectors = dict(zip(WORDS, rng.standard_normal((len(WORDS), 16)), strict=True))
    rows = np.array([sum(vectors[word] for word in text.split()) for text in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def measure(rows: pl.DataFrame) -> pl.DataFrame:
    outcome = build_control_arms(rows, embed, Fraction(9, 10), 0.9)
    assert outcome.rows.schema == CONTROL_ARMS
    assert outcome.rows["figure_id"].is_unique().all()
    return outcome.rows


def same(arm: str, rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, 12))


def narrow_without_personas(arm: str, rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS[:4] if arm in (NONE, LENGTH) else WORDS, 12))


@pytest.fixture(scope="module")
def figures() -> pl.DataFrame:
    return measure(problems(narrow_without_personas, 80))


def findings(rows: pl.DataFrame, against: str) -> dict[str, str]:
    return dict(rows.filter(against=against).select("measure", "finding").iter_rows())


def test_equal_arms_show_no_difference() -> None:
    rows = measure(problems(same, 80))
    found = rows.filter(pl.col("finding").is_not_null())["finding"]
    assert (found == UNSHOWN).all()
    assert "no difference shown by" in verdict(rows)


def test_a_narrow_arm_is_found_less_diverse(figures: pl.DataFrame) -> None:
    for against in (NONE, LENGTH):
        found = findings(figures, against)
        assert found.pop("words") is None
        assert {found[name] for name in ("mean_cosine", "vendi_score", "distinct_1")} == {MORE}
        assert {found["compression_ratio"], found["lexical_duplicates"]} == {MORE}
        assert LESS not in found.values()


def test_findings_follow_from_the_intervals(figures: pl.DataFrame) -> None:
    for row in figures.filter(pl.col("against").is_not_null()).iter_rows(named=True):
        assert row["low"] <= row["value"] <= row["high"]
        if row["measure"] == "words":
            continue
        assert row["low_together"] <= row["low"]
        assert row["high"] <= row["high_together"]
        excludes = row["low_together"] > 0 or row["high_together"] < 0
        assert (row["finding"] != UNSHOWN) == excludes


def test_differences_are_those_of_the_values(figures: pl.DataFrame) -> None:
    own = figures.filter(pl.col("against").is_null(), n=80)
    values = {
        (measure, arm): value
        for measure, arm, value in own.select("measure", "arm", "value").iter_rows()
    }
    assert len(values) == len(own) == len(HIGHER_IS_DIVERSE) * len(ARMS)
    for row in figures.filter(pl.col("against").is_not_null()).iter_rows(named=True):
        name = row["measure"]
        assert row["value"] == pytest.approx(values[name, FULL] - values[name, row["against"]])


def test_near_duplicates_grow_with_the_number_of_problems(figures: pl.DataFrame) -> None:
    grown = figures.filter(pl.col("against").is_null(), measure="lexical_duplicates", arm=NONE)
    grown = grown.sort("n")
    assert grown["n"].to_list() == [10, 20, 40, 80]
    assert grown["value"].is_sorted()
    assert 0 < grown["value"][0] < grown["value"][-1] < 1


def test_a_share_of_none_has_the_interval_of_its_number(figures: pl.DataFrame) -> None:
    [row] = figures.filter(
        pl.col("against").is_null(), measure="lexical_duplicates", arm=FULL, n=80
    ).iter_rows(named=True)
    assert (row["value"], row["low"]) == (0, 0)
    # Wilson's interval of 0 of 80.
    assert row["high"] == pytest.approx(0.0458, abs=1e-3)


def test_figures_of_the_same_problems_are_the_same_in_any_order(figures: pl.DataFrame) -> None:
    rows = problems(narrow_without_personas, 80)
    assert measure(rows.sample(fraction=1, shuffle=True, seed=3)).equals(figures)


def test_verdict_names_each_comparison_with_its_intervals(figures: pl.DataFrame) -> None:
    lines = verdict(figures).splitlines()
    assert len(lines) == 4
    assert lines[3] == "The intervals of all 21 comparisons hold together at 95 %."
    assert lines[0].startswith(
        "Problems of a full persona against the occupation only, 80 each: no difference shown by"
    )
    assert "80 each: more diverse by mean cosine (-0." in lines[2]
    assert ", -0." in lines[2]


def test_few_problems_have_values_and_no_findings() -> None:
    rows = measure(problems(same, 6))
    assert rows["low"].is_null().all()
    assert set(rows["finding"].drop_nulls()) == {FEW}
    assert verdict(rows).splitlines()[0].endswith("6 each: too few problems for a finding.")
    assert "| mean cosine | 0." in figures_markdown(rows)


def test_personas_that_lack_a_problem_are_left_out_of_all_arms() -> None:
    rows = problems(same, 30).filter(~pl.col("problem_id").is_in([f"{NONE} 3", f"{FULL} 4"]))
    assert {len(texts) for texts in complete_arms(rows).values()} == {28}
    assert measure(rows)["n"].max() == 28


def test_no_problems_have_no_figures_and_a_verdict_that_says_so() -> None:
    for rows in (problems(same, 0), problems(same, 1)):
        figures = measure(rows)
        assert len(figures) == 0
        assert verdict(figures).startswith("Not measured")
        assert figures_markdown(figures) == "no figures"


def test_finding_turns_with_the_direction_of_the_measure() -> None:
    up = Interval(1.0, 0.5, 1.5)
    assert (finding("vendi_score", up), finding("mean_cosine", up)) == (MORE, LESS)
    assert finding("words", up) is None
