"""A judge decides on problems near a forbidden one; nothing passes for lack of a verdict."""

import polars as pl
import pytest

from persona_assets.generation import Request
from persona_assets.steps.contamination import BY_JUDGE, PROBLEMS, UNJUDGED
from persona_assets.steps.judged_neighbours import (
    MOST,
    NEIGHBOURS,
    VERDICTS,
    build_judged_neighbours,
    build_problem_neighbours,
    judged_containments,
)
from persona_assets.steps.math_data import build_math_test, build_math_train
from persona_assets.steps.neighbours import ProblemVectors
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import Reply, answering, prompt, user_text
from persona_assets_tests.steps.test_math_data import embedded, equal, solutions

FERRY = "A ferry carries 24 carts of 110 kg each. What do all of them weigh?"
IN_WORDS = "Two dozen carts, a hundred and ten kilograms each, stand on a ferry. Find their weight."
OTHER = "A ferry carries 30 carts and 7 vans. How many more carts than vans are there?"
FAR = "What is $8+1$?"

ROWS = solutions(
    (FERRY, ["2640", "2640", "2640"], True),
    (IN_WORDS, ["2640", None, None], False),
    (OTHER, ["23", None, None], False),
    (FAR, ["9", None, None], False),
)
VECTORS = ProblemVectors(
    [
        embedded(
            "sample_id",
            {"id 0": [1.0, 0.0], "id 1": [0.8, 0.6], "id 2": [0.6, 0.8], "id 3": [0.0, 1.0]},
        )
    ],
    embedded("problem_id", {"7": [0.0, -1.0]}),
    0.9,
)
NONE = pl.DataFrame(schema=PROBLEMS)


def judge(request: Request) -> Reply:
    """Call the retold problem the same, the other one different, and fail on anything else."""
    text = user_text(request)
    if "Two dozen" in text:
        return {"reason": "Nothing differs but words.", "same": "yes"}
    if "vans" in text:
        return {"reason": "Another quantity is asked for.", "same": "no"}
    return "error"


def test_neighbours_below_the_cosine_of_the_search_are_paired_with_what_is_forbidden() -> None:
    pairs = build_problem_neighbours(ROWS, NONE, VECTORS, 0.5).rows
    assert pairs.schema == NEIGHBOURS
    # By cosine the last problem is far from the first.
    assert pairs.select("sample_id", "benchmark", "problem_id", "cosine").rows() == [
        ("id 1", "held_out", "id 0", pytest.approx(0.8)),
        ("id 2", "held_out", "id 0", pytest.approx(0.6)),
    ]
    assert pairs["known"].to_list() == [FERRY, FERRY]
    assert pairs["problem"].to_list() == [IN_WORDS, OTHER]
    assert pairs["share"].is_between(0, 1, closed="none").all()
    assert build_problem_neighbours(ROWS, NONE, VECTORS, 0.7).rows["sample_id"].to_list() == [
        "id 1"
    ]


def test_problems_that_words_find_are_no_pairs_and_the_nearest_ones_come_first() -> None:
    forbidden = pl.DataFrame(
        [("mine", str(n), f"Problem {n} of carts") for n in range(9)], PROBLEMS, orient="row"
    )
    angles = {str(n): [(1 - (n / 20) ** 2) ** 0.5, n / 20] for n in range(9)}
    vectors = ProblemVectors(VECTORS.samples, embedded("problem_id", angles), 0.999)
    pairs = build_problem_neighbours(ROWS.filter("held_out"), forbidden, vectors, 0.5).rows
    assert pairs["problem_id"].to_list() == ["0", "1", "2"]
    assert len(pairs) == MOST
    train = build_problem_neighbours(
        ROWS.filter("held_out"), forbidden, vectors, 0.5, with_test=False
    )
    assert train.rows.is_empty()
    named = pl.DataFrame([("mine", "0", FERRY)], PROBLEMS, orient="row")
    assert len(build_problem_neighbours(ROWS.filter("held_out"), named, vectors, 0.5).rows) == 0


def test_judge_reads_both_problems_and_a_pair_without_a_verdict_is_dropped_with_its_reason() -> (
    None
):
    pairs = build_problem_neighbours(ROWS, NONE, VECTORS, 0.5).rows
    model = answering(judge)
    result = build_judged_neighbours(pairs, prompt("same_problem"), model)
    assert result.rows.schema == VERDICTS
    assert result.rows["same"].to_list() == [True, False]
    assert result.rows["completion_id"].null_count() == 0
    assert {request.role for request in model.asked} == {"judge"}
    assert f"<known>\n{FERRY}\n</known>\n<new>\n{IN_WORDS}\n</new>" in user_text(model.asked[0])
    failed = build_judged_neighbours(pairs, prompt("same_problem"), answering(lambda _: "error"))
    assert failed.rows.is_empty()
    assert failed.dropped["id"].to_list() == pairs["pair_id"].to_list()
    assert failed.reasons() == {"error:timeout": 2}


def test_math_sets_drop_what_the_judge_calls_the_same_and_what_it_did_not_judge() -> None:
    pairs = build_problem_neighbours(ROWS, NONE, VECTORS, 0.5).rows
    judged = build_judged_neighbours(pairs, prompt("same_problem"), answering(judge)).rows
    found = judged_containments(pairs, judged)
    assert {row_id: each.how for row_id, each in found.items()} == {"id 1": BY_JUDGE}
    train = build_math_train(ROWS, NONE, VECTORS, found)
    assert train.rows["sample_id"].to_list() == ["id 2", "id 3"]
    [reason] = train.dropped["reason"]
    share = f"{found['id 1'].share:.2f}"
    assert reason == f"contaminated: held_out id 0 {share} by judge (cosine 0.80)"

    earlier = judged.with_columns(same=pl.when(pl.col("sample_id") == "id 1").then("same"))
    for silent in (judged.filter(sample_id="id 1"), earlier):
        held = judged_containments(pairs, silent)
        assert {row_id: each.how for row_id, each in held.items()} == {"id 1": BY_JUDGE} | {
            "id 2": UNJUDGED
        }
    train = build_math_train(ROWS, NONE, VECTORS, held)
    assert train.reasons() == {"contaminated": 1, "unjudged": 1}
    test = build_math_test(ROWS, NONE, equal, VECTORS, held)
    assert test.rows["sample_id"].to_list() == ["id 0"]


def test_a_verdict_of_same_outweighs_a_nearer_pair_without_a_verdict() -> None:
    rows = [
        {"pair_id": "1", "sample_id": "a", "problem_id": "x", "cosine": 0.8, "same": None},
        {"pair_id": "2", "sample_id": "a", "problem_id": "y", "cosine": 0.7, "same": True},
        {"pair_id": "3", "sample_id": "a", "problem_id": "z", "cosine": 0.75, "same": True},
        {"pair_id": "4", "sample_id": "a", "problem_id": "w", "cosine": 0.85, "same": False},
    ]
    common = {"benchmark": "MATH", "problem": "", "known": "", "share": 0.5}
    verdicts = typed_frame([row | common for row in rows], VERDICTS)
    [found] = judged_containments(verdicts.select(NEIGHBOURS.names()), verdicts).values()
    assert (found.problem_id, found.how) == ("z", BY_JUDGE)
