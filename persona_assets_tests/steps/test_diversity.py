"""The problems of each pair of personas are compared, panel by panel."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pytest

from persona_assets.generation import Request
from persona_assets.ids import content_id
from persona_assets.steps.diversity import (
    PAPER,
    REPORT,
    Panel,
    beside_paper,
    build_diversity_report,
    paper_quartiles,
    quartiles,
    quartiles_markdown,
)
from persona_assets.steps.persona_pairs import PAIRS
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import PROMPTS, Reply, answering, user_text
from persona_assets_tests.steps.vectors import at_cosines

PROMPT = PROMPTS["diversity_problem"]
BUCKETS = (0.4, 0.6)
PANELS = {
    "a: no focus": Panel(PROMPT, BUCKETS),
    "b: finance": Panel(PROMPT.with_variables(focus="finance"), BUCKETS),
}


def pair(left: str, right: str, bucket: float = 0.4) -> dict[str, object]:
    return {
        "pair_id": content_id("pair", left, right),
        "bucket": bucket,
        "similarity": bucket,
        "left_id": left,
        "right_id": right,
        "left": f"person {left}",
        "right": f"person {right}",
    }


TRIANGLE = typed_frame([pair("a", "b"), pair("b", "c"), pair("a", "c", 0.6)], PAIRS)


def person_of(request: Request) -> str:
    return user_text(request).split("person ")[1][0]


def problem_of(request: Request) -> Reply:
    subject = "of finance " if "finance" in user_text(request) else ""
    return {"problem": f"A problem {subject}that suits {person_of(request)}"}


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return vectors by last letter: cosine 0.5 of a and b, 0 of a and c."""
    vectors = dict(zip("abc", at_cosines(1.0, 0.5, 0.0), strict=True))
    rows = [vectors[text[-1]] for text in texts]
    return np.array(rows, np.float32).reshape(len(rows), 2)


def test_diversity_report_asks_each_persona_once_per_panel() -> None:
    model = answering(problem_of)
    build_diversity_report(TRIANGLE, PANELS, model, embed)
    assert sorted(person_of(request) for request in model.asked) == list("aabbcc")
    assert sum("on finance" in user_text(request) for request in model.asked) == 3
    assert {request.sampling["temperature"] for request in model.asked} == {0.0}


def test_diversity_report_compares_the_problems_of_each_pair_in_each_panel() -> None:
    outcome = build_diversity_report(TRIANGLE, PANELS, answering(problem_of), embed)
    assert outcome.rows.schema == REPORT
    assert (len(outcome.rows), outcome.rows_in) == (6, 6)
    for row in outcome.rows.iter_rows(named=True):
        assert row["left_problem"].endswith(row["left_id"])
        assert row["right_problem"].endswith(row["right_id"])
        assert ("finance" in row["left_problem"]) == ("finance" in row["panel"])
    similarities = outcome.rows.filter(panel="a: no focus")["problem_similarity"].to_list()
    assert similarities == pytest.approx([0.5, np.sqrt(3) / 2, 0.0], abs=1e-6)


def test_panel_of_two_models_asks_each_about_the_pairs_of_its_bucket() -> None:
    panels = {
        "a: no focus": Panel(PROMPT, (0.4,)),
        "c: one (writer)": Panel(PROMPT, (0.6,)),
        "c: two (pair_writer)": Panel(PROMPT.as_role("pair_writer"), (0.6,)),
    }
    model = answering(problem_of)
    outcome = build_diversity_report(TRIANGLE, panels, model, embed)
    asked = [(request.role, person_of(request)) for request in model.asked]
    assert sorted(asked[:3]) == [("writer", name) for name in "abc"]
    assert sorted(asked[3:]) == [
        (role, name) for role in ("pair_writer", "writer") for name in "ac"
    ]
    assert (len(outcome.rows), outcome.rows_in) == (4, 4)
    assert outcome.rows.filter(bucket=0.6)["panel"].to_list() == list(panels)[1:]


def test_diversity_report_drops_a_pair_that_lacks_a_problem_with_the_reason() -> None:
    def reply(request: Request) -> Reply:
        failed = person_of(request) == "c" and "finance" in user_text(request)
        return "refused" if failed else problem_of(request)

    outcome = build_diversity_report(TRIANGLE, PANELS, answering(reply), embed)
    complete, *incomplete = TRIANGLE["pair_id"]
    assert set(outcome.dropped["id"]) == set(incomplete)
    assert set(outcome.dropped["reason"]) == {"panel b, refused: the model refused"}
    assert len(outcome.rows) == 4
    assert outcome.rows.filter(panel="b: finance")["pair_id"].to_list() == [complete]


def test_diversity_report_without_any_problem_is_empty() -> None:
    outcome = build_diversity_report(TRIANGLE, PANELS, answering(lambda _: "error"), embed)
    assert (len(outcome.rows), len(outcome.dropped)) == (0, 6)


def test_diversity_report_of_no_pairs_is_an_empty_table_without_calls() -> None:
    model = answering(problem_of)
    outcome = build_diversity_report(TRIANGLE.clear(), PANELS, model, embed)
    assert (outcome.rows.schema, outcome.rows_in, model.asked) == (REPORT, 0, [])


def report(similarities: Mapping[tuple[str, float], Sequence[float]]) -> pl.DataFrame:
    """Return a report from similarities by panel and bucket."""
    rows = [
        {"panel": panel, "bucket": bucket, "problem_similarity": similarity}
        for (panel, bucket), values in similarities.items()
        for similarity in values
    ]
    return typed_frame(rows, REPORT)


FOUR = {("a", 0.4): [0.4, 0.1, 0.3, 0.2]}


def test_quartiles_interpolate_linearly_by_panel_and_bucket() -> None:
    rows = quartiles(report(FOUR | {("a", 0.6): [0.5], ("b", 0.4): [0.2, 0.6, 1.0]}))
    textbook = [
        ("a", 0.4, 4, 0.175, 0.25, 0.325),
        ("a", 0.6, 1, 0.5, 0.5, 0.5),
        ("b", 0.4, 3, 0.4, 0.6, 0.8),
    ]
    for row, expected in zip(rows.iter_rows(), textbook, strict=True):
        assert row[:3] == expected[:3]
        assert row[3:] == pytest.approx(expected[3:])


def test_quartiles_of_an_empty_report_are_empty() -> None:
    assert len(quartiles(report({}))) == 0


def test_quartiles_markdown_is_a_table() -> None:
    rows = quartiles(report(FOUR))
    assert quartiles_markdown(rows) == (
        "| panel | bucket | pairs | q1 | median | q3 |\n|---|---|---|---|---|---|\n"
        f"| a | 0.40 | 4 | {rows['q1'][0]:.2f} | 0.25 | {rows['q3'][0]:.2f} |"
    )


def test_quartiles_stand_beside_those_of_the_paper() -> None:
    rows = beside_paper(
        report(
            {("a: no focus", 0.4): [0.2], ("a: no focus", 0.5): [0.3], ("c: x (writer)", 0.9): [1]}
        )
    )
    papers = rows.select("paper_q1", "paper_median", "paper_q3").rows()
    assert papers == [(0.21, 0.28, 0.34), (None, None, None), (None, None, None)]
    assert quartiles_markdown(rows).splitlines()[-1].endswith("| 1.00 |  |  |  |")


def test_quartiles_of_the_paper_ascend_and_are_those_of_its_models_alone() -> None:
    assert all(q1 < median < q3 for q1, median, q3 in PAPER.values())
    labels = [
        "c: gpt-4o (writer)",
        "c: gpt-3.5-turbo-0125 (pair_writer)",
        "c: gpt-4o-mini (writer)",
    ]
    assert paper_quartiles(labels) == {
        (labels[0], 0.9): (0.61, 0.67, 0.74),
        (labels[1], 0.9): (0.57, 0.68, 0.76),
    }
