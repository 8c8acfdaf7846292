"""A draw is decided by content and seed; a sample is valid if all people say so."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.rating_sheet import Rating
from persona_assets.steps.validity import (
    PAPER,
    ValidityError,
    draw_samples,
    rated_columns,
    summarise,
)
from persona_assets_tests.steps.answers_double import PROMPTS

COLUMNS = ["problem"]


def samples(shard: str, numbers: range) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sample_id": [f"{shard}{n}" for n in numbers],
            "problem": [f"What is {n} times {shard}?" for n in numbers],
            "shard": [shard] * len(numbers),
        }
    )


def drawn(number: int, seed: int = 0, *tables: pl.DataFrame) -> list[str]:
    shards = tables or (samples("a", range(40)), samples("b", range(60)))
    return draw_samples(shards, COLUMNS, number, seed)["sample_id"].to_list()


def test_draw_is_repeatable_nested_and_independent_of_the_order_of_shards() -> None:
    assert drawn(20) == drawn(20)
    assert drawn(50)[:20] == drawn(20)
    assert drawn(20, 0, samples("b", range(60)), samples("a", range(40))) == drawn(20)
    assert drawn(20, 1) != drawn(20)
    assert {sample_id[0] for sample_id in drawn(20)} == {"a", "b"}


def test_draw_takes_all_of_a_small_table_and_none_of_an_empty_one() -> None:
    assert len(drawn(500)) == 100
    assert draw_samples([samples("a", range(0))], COLUMNS, 5, 0).is_empty()


def test_rater_reads_the_columns_of_the_judge() -> None:
    schema = ["sample_id", "persona", "problem", "licence"]
    task, rubric = PROMPTS["math_problems"], PROMPTS.rubric("math_problems")
    assert rated_columns(schema, task, rubric) == ["problem"]
    tool = PROMPTS["tools"]
    assert rated_columns(["sample_id", *tool.columns], tool, None) == list(tool.columns)


def test_field_with_a_name_of_the_sheet_is_refused() -> None:
    rubric = PROMPTS.rubric("replies")
    assert rubric is not None
    noted = replace(rubric, user="{{ Note }}")
    with pytest.raises(ValidityError, match="a column Note of its own"):
        rated_columns(["sample_id", "Note"], PROMPTS["replies"], noted)


def ratings(**marks: str) -> dict[str, dict[str, Rating]]:
    """Return ratings: y for yes, n for no, a dot for no mark."""
    verdict = {"y": True, "n": False, ".": None}
    return {
        rater: {str(n): Rating(verdict[mark]) for n, mark in enumerate(given_marks)}
        for rater, given_marks in marks.items()
    }


def test_sample_is_valid_if_all_people_say_so() -> None:
    report = summarise(ratings(anna="yyyn.", ben="yynny", judge="nnnnn"), ["anna", "ben"])
    assert (report.shares["anna"].correct, report.shares["anna"].n) == (3, 4)
    assert (report.agreed.correct, report.agreed.n) == (2, 4)
    assert set(report.pairs) == {("anna", "ben"), ("anna", "judge"), ("ben", "judge")}
    counts = report.pairs["anna", "ben"]
    assert (counts.both, counts.first, counts.second, counts.neither) == (2, 1, 0, 1)
    assert report.disagreements == ("0", "1", "2", "4")


def test_figures_of_the_paper_are_beside_ours() -> None:
    assert str(PAPER).startswith("96.5 % (93.0 to 98.3, n = 200)")
    alike = summarise(ratings(a="y" * 192 + "n" * 8, b="y" * 192 + "n" * 8), ["a", "b"])
    assert "do not support a difference" in alike.beside_the_paper()
    worse = summarise(ratings(a="y" * 100 + "n" * 100), ["a"])
    assert "The share here is lower" in worse.beside_the_paper()
    assert worse.pairs == {}
    nothing = summarise(ratings(a="..", b="yy"), ["a", "b"])
    assert nothing.agreed.accuracy is None
    assert "nothing is marked by all raters" in nothing.beside_the_paper()


@given(st.lists(st.tuples(st.sampled_from("yn."), st.sampled_from("yn.")), max_size=30))
def test_report_accounts_for_every_sample(marks: list[tuple[str, str]]) -> None:
    first, second = ("".join(rater) for rater in zip(*marks, strict=True)) if marks else ("", "")
    report = summarise(ratings(a=first, b=second), ["a", "b"])
    assert report.drawn == len(marks)
    assert len(report.disagreements) == sum({a, b} == {"y", "n"} for a, b in marks)
    assert report.agreed.n == report.pairs["a", "b"].n == sum("." not in pair for pair in marks)
    assert report.agreed.correct <= min(share.correct for share in report.shares.values())
