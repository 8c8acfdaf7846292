from collections.abc import Mapping, Sequence

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


def hub(names: Sequence[str]) -> pl.DataFrame:
    return typed_frame([{"persona_id": name, "persona": f"person {name}"} for name in names], HUB)


def pairs_of(
    vectors: Mapping[str, np.ndarray], tolerance: float = 0.01, per_bucket: int = 9
) -> pl.DataFrame:
    outcome = build_persona_pairs(
        hub(list(vectors)),
        embeddings(vectors),
        similarities=(0.4, 0.6, 0.8),
        tolerance=tolerance,
        per_bucket=per_bucket,
    )
    assert outcome.rows.schema == PAIRS
    return outcome.rows


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1, 1), max_size=12), st.floats(0.001, 0.05), st.integers(1, 5))
def test_a_pair_lies_in_its_bucket_and_no_bucket_is_short_without_need(
    cosines: list[float], tolerance: float, per_bucket: int
) -> None:
    names = [f"id {number}" for number in range(len(cosines))]
    vectors = dict(zip(names, at_cosines(*cosines), strict=True))
    pairs = pairs_of(vectors, tolerance, per_bucket)
    for row in pairs.iter_rows(named=True):
        found = float(vectors[row["left_id"]] @ vectors[row["right_id"]])
        assert row["similarity"] == pytest.approx(found, abs=1e-6)
        assert abs(found - row["bucket"]) <= tolerance + 1e-6
        assert row["left_id"] != row["right_id"]
        assert (row["left"], row["right"]) == (
            f"person {row['left_id']}",
            f"person {row['right_id']}",
        )
    sets = [frozenset(ids) for ids in pairs.select("left_id", "right_id").iter_rows()]
    assert len(set(sets)) == len(sets) == pairs["pair_id"].n_unique()
    for bucket in (0.4, 0.6, 0.8):
        sure = sum(
            abs(float(vectors[a] @ vectors[b]) - bucket) <= tolerance - 1e-6
            for i, a in enumerate(names)
            for b in names[:i]
        )
        taken = int((pairs["bucket"] == bucket).sum())
        assert min(sure, per_bucket) <= taken <= per_bucket


def test_the_same_pairs_are_drawn_whatever_the_order_of_the_hub() -> None:
    names = [f"id {number}" for number in range(60)]
    vectors = dict(zip(names, at_cosines(*np.linspace(-1, 1, 60)), strict=True))
    drawn = pairs_of(vectors, 0.02, 4)
    assert len(drawn) == 12
    assert pairs_of(dict(reversed(vectors.items())), 0.02, 4).equals(drawn)
    more = pairs_of(vectors, 0.02, 6)
    assert set(drawn["pair_id"]) < set(more["pair_id"])


def test_a_persona_without_a_vector_takes_no_part_and_an_empty_hub_has_no_pairs() -> None:
    two = embeddings(dict(zip("ab", at_cosines(1.0, 0.8), strict=True)))
    ways = {"similarities": (0.8,), "tolerance": 0.01, "per_bucket": 3}
    assert len(build_persona_pairs(hub("abc"), two, **ways).rows) == 1  # type: ignore[arg-type]
    assert build_persona_pairs(hub(""), two.clear(), **ways).rows.schema == PAIRS  # type: ignore[arg-type]


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


def person(request: Request) -> str:
    return user_text(request).split("person ")[1][0]


def problem_of(request: Request) -> Reply:
    subject = "of finance " if "finance" in user_text(request) else ""
    return {"problem": f"A problem {subject}that suits {person(request)}"}


def embed(texts: Sequence[str]) -> np.ndarray:
    """By the last letter: a and b are alike by 0.5, a and c by 0, b and c by cos 30 degrees."""
    place = dict(zip("abc", at_cosines(1.0, 0.5, 0.0), strict=True))
    rows = [place[text[-1]] for text in texts]
    return np.array(rows, np.float32).reshape(len(rows), 2)


def test_a_persona_is_asked_once_a_panel_and_its_problem_is_in_all_its_pairs() -> None:
    model = answering(problem_of)
    outcome = build_diversity_report(TRIANGLE, PANELS, model, embed)
    assert sorted(user_text(request).split("person ")[1][0] for request in model.asked) == list(
        "aabbcc"
    )
    assert sum("on finance" in user_text(request) for request in model.asked) == 3
    assert {request.sampling["temperature"] for request in model.asked} == {0.0}
    assert outcome.rows.schema == REPORT
    assert (len(outcome.rows), outcome.rows_in) == (6, 6)
    for row in outcome.rows.iter_rows(named=True):
        assert row["left_problem"].endswith(row["left_id"])
        assert row["right_problem"].endswith(row["right_id"])
        assert ("finance" in row["left_problem"]) == ("finance" in row["panel"])
    of_a = outcome.rows.filter(panel="a: no focus")["problem_similarity"].to_list()
    assert of_a == pytest.approx([0.5, np.sqrt(3) / 2, 0.0], abs=1e-6)


def test_a_pair_of_which_a_problem_is_missing_is_dropped_with_the_reason() -> None:
    def reply(request: Request) -> Reply:
        text = user_text(request)
        failed = "person c" in text and "finance" in text
        return "refused" if failed else problem_of(request)

    outcome = build_diversity_report(TRIANGLE, PANELS, answering(reply), embed)
    lost = {TRIANGLE["pair_id"][1], TRIANGLE["pair_id"][2]}
    assert set(outcome.dropped["id"]) == lost
    assert set(outcome.dropped["reason"]) == {"panel b, refused: the model refused"}
    assert len(outcome.rows) == 4
    assert outcome.rows.filter(panel="b: finance")["pair_id"].to_list() == [TRIANGLE["pair_id"][0]]
    every = build_diversity_report(TRIANGLE, PANELS, answering(lambda _: "error"), embed)
    assert (len(every.rows), len(every.dropped)) == (0, 6)


def test_no_pairs_ask_nothing() -> None:
    model = answering(problem_of)
    outcome = build_diversity_report(TRIANGLE.clear(), PANELS, model, embed)
    assert (outcome.rows.schema, outcome.rows_in, model.asked) == (REPORT, 0, [])


def test_short_buckets_are_named() -> None:
    assert short_buckets(TRIANGLE, (0.4, 0.6, 0.8), 2) == "0.6: 1 of 2 pairs, 0.8: 0 of 2 pairs"
    assert short_buckets(TRIANGLE, (0.4, 0.6), 1) == ""
    assert short_buckets(TRIANGLE.clear(), (0.4,), 1) == "0.4: 0 of 1 pairs"


def test_quartiles_are_those_of_the_textbook() -> None:
    values = {("a", 0.4): [0.4, 0.1, 0.3, 0.2], ("a", 0.6): [0.5], ("b", 0.4): [0.2, 0.6, 1.0]}
    rows = [
        {"panel": panel, "bucket": bucket, "problem_similarity": value}
        for (panel, bucket), similarities in values.items()
        for value in similarities
    ]
    found = quartiles(typed_frame(rows, REPORT))
    expected = [
        ("a", 0.4, 4, 0.175, 0.25, 0.325),
        ("a", 0.6, 1, 0.5, 0.5, 0.5),
        ("b", 0.4, 3, 0.4, 0.6, 0.8),
    ]
    for row, hand in zip(found.iter_rows(), expected, strict=True):
        assert row[:3] == hand[:3]
        assert row[3:] == pytest.approx(hand[3:])
    assert quartiles_markdown(found[:1]) == (
        "| panel | bucket | pairs | q1 | median | q3 |\n|---|---|---|---|---|---|\n"
        f"| a | 0.40 | 4 | {found['q1'][0]:.2f} | 0.25 | {found['q3'][0]:.2f} |"
    )
    assert len(quartiles(typed_frame([], REPORT))) == 0
