"""Pairs of personas are drawn by similarity, and the problems of each pair are compared."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import content_id
from persona_assets.steps.diversity import (
    PAIRS,
    REPORT,
    build_diversity_report,
    build_persona_pairs,
    quartiles,
    quartiles_markdown,
    short_buckets,
)
from persona_assets.steps.hub import HUB
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import PROMPTS, Reply, answering, user_text
from persona_assets_tests.steps.vectors import at_cosines, embeddings

PROMPT = PROMPTS["diversity_problem"]
PANELS = {"a: no focus": PROMPT, "b: finance": PROMPT.with_variables(focus="finance")}


def hub(names: Iterable[str]) -> pl.DataFrame:
    return typed_frame([{"persona_id": name, "persona": f"person {name}"} for name in names], HUB)


def pairs_of(
    vectors: Mapping[str, np.ndarray], tolerance: float = 0.01, per_bucket: int = 9
) -> pl.DataFrame:
    return draw_pairs(hub(vectors), embeddings(vectors), tolerance, per_bucket)


def draw_pairs(
    personas: pl.DataFrame, vectors: pl.DataFrame, tolerance: float = 0.01, per_bucket: int = 9
) -> pl.DataFrame:
    outcome = build_persona_pairs(
        personas,
        vectors,
        similarities=(0.4, 0.6, 0.8),
        tolerance=tolerance,
        per_bucket=per_bucket,
    )
    assert outcome.rows.schema == PAIRS
    return outcome.rows


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1, 1), max_size=12), st.floats(0.001, 0.05), st.integers(1, 5))
def test_persona_pairs_fill_each_bucket_with_pairs_of_its_similarity(
    cosines: list[float], tolerance: float, per_bucket: int
) -> None:
    names = [f"id {number}" for number in range(len(cosines))]
    vectors = dict(zip(names, at_cosines(*cosines), strict=True))
    pairs = pairs_of(vectors, tolerance, per_bucket)
    for row in pairs.iter_rows(named=True):
        cosine = float(vectors[row["left_id"]] @ vectors[row["right_id"]])
        assert row["similarity"] == pytest.approx(cosine, abs=1e-6)
        assert abs(cosine - row["bucket"]) <= tolerance + 1e-6
        assert row["left_id"] != row["right_id"]
        assert (row["left"], row["right"]) == (
            f"person {row['left_id']}",
            f"person {row['right_id']}",
        )
    sets = [frozenset(ids) for ids in pairs.select("left_id", "right_id").iter_rows()]
    assert len(set(sets)) == len(sets) == pairs["pair_id"].n_unique()
    for bucket in (0.4, 0.6, 0.8):
        # Pairs nearer to the tolerance than the rounding error may be in the bucket or not.
        certain = sum(
            abs(float(vectors[a] @ vectors[b]) - bucket) <= tolerance - 1e-6
            for i, a in enumerate(names)
            for b in names[:i]
        )
        drawn = int((pairs["bucket"] == bucket).sum())
        assert min(certain, per_bucket) <= drawn <= per_bucket


SIXTY = {
    f"id {number}": vector for number, vector in enumerate(at_cosines(*np.linspace(-1, 1, 60)))
}
"""Vectors of enough personas to fill each bucket."""


@settings(deadline=None, max_examples=20)
@given(st.permutations(list(SIXTY)))
def test_persona_pairs_are_the_same_in_any_order_of_the_hub(names: list[str]) -> None:
    pairs = pairs_of(SIXTY, 0.02, 4)
    assert len(pairs) == 12
    assert pairs_of({name: SIXTY[name] for name in names}, 0.02, 4).equals(pairs)


def test_persona_pairs_include_the_pairs_of_a_smaller_number_per_bucket() -> None:
    assert set(pairs_of(SIXTY, 0.02, 4)["pair_id"]) < set(pairs_of(SIXTY, 0.02, 6)["pair_id"])


def test_persona_pairs_leave_out_a_persona_without_a_vector() -> None:
    vectors = embeddings(dict(zip("ab", at_cosines(1.0, 0.8), strict=True)))
    assert len(draw_pairs(hub("abc"), vectors)) == 1


def test_persona_pairs_of_an_empty_hub_are_an_empty_table() -> None:
    assert len(draw_pairs(hub(""), embeddings({}))) == 0


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


def test_short_buckets_names_the_buckets_with_too_few_pairs() -> None:
    assert short_buckets(TRIANGLE, (0.4, 0.6, 0.8), 2) == "0.6: 1 of 2 pairs, 0.8: 0 of 2 pairs"
    assert short_buckets(TRIANGLE, (0.4, 0.6), 1) == ""
    assert short_buckets(TRIANGLE.clear(), (0.4,), 1) == "0.4: 0 of 1 pairs"


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
