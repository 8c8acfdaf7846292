import json
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.math_data import (
    SOLUTIONS,
    SOLVERS,
    TEST,
    TRAIN,
    benchmark_grams,
    build_math_test,
    build_math_train,
    is_contaminated,
)
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import ROOT

SAMPLE = (ROOT / "data" / "benchmarks" / "sample.jsonl").read_text("utf-8").splitlines()
BENCHMARK = [json.loads(line)["problem"] for line in SAMPLE]


def solutions(*given: tuple[str, Sequence[str | None], bool]) -> pl.DataFrame:
    """Solutions from (problem, answer by solver, held out)."""
    rows = [
        {
            "solution_id": f"{number} {name}",
            "sample_id": f"id {number}",
            "solver": name,
            "held_out": held_out,
            "problem": problem,
            "solution": f"{name}: {answer}",
            "answer": answer,
            "licence": "CC0-1.0",
        }
        for number, (problem, answers, held_out) in enumerate(given)
        for name, answer in zip(SOLVERS, answers, strict=True)
        if answer is not None
    ]
    return typed_frame(rows, SOLUTIONS)


def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Equal without case; a question mark cannot be decided."""
    return [None if "?" in a + b else a.lower() == b.lower() for a, b in pairs]


answers = st.lists(st.sampled_from(["a", "A", "b", "?", None]), min_size=3, max_size=3)


@settings(deadline=None, max_examples=100)
@given(st.lists(answers, max_size=6))
def test_a_test_problem_is_one_on_which_two_of_three_agree(given: list[list[str | None]]) -> None:
    rows = solutions(*((f"Problem number {n}", it, True) for n, it in enumerate(given)))
    outcome = build_math_test(rows, [], equal)
    solved_at_all = [f"id {n}" for n, it in enumerate(given) if any(it)]
    assert outcome.rows.schema == TEST
    assert outcome.rows_in == len(solved_at_all)
    assert sorted([*outcome.rows["sample_id"], *outcome.dropped["id"]]) == sorted(solved_at_all)
    assert set(outcome.dropped["reason"]) <= {"no_agreement"}
    for row_id, answer, votes in outcome.rows.select("sample_id", "answer", "agreeing").iter_rows():
        same = [it for it in given[int(row_id.split()[1])] if it and it.lower() == answer.lower()]
        assert (same[0], len(same)) == (answer, votes)
        assert votes >= 2
    for row_id in outcome.dropped["id"]:
        said = [it.lower() for it in given[int(row_id.split()[1])] if it and it != "?"]
        assert len(set(said)) == len(said)


def test_training_takes_the_assistant_s_solutions_of_problems_not_held_out() -> None:
    rows = solutions(("One", ["1", None, "9"], False), ("Two", ["2", "2", "2"], True))
    outcome = build_math_train(rows, [])
    assert outcome.rows.schema == TRAIN
    assert outcome.rows.rows() == [("id 0", "One", "assistant: 1", "1", "CC0-1.0")]
    assert len(outcome.dropped) == 0


def test_a_repeated_problem_is_dropped_from_both_sets() -> None:
    texts = ["How far is it?", "how far  is it ?", "How far is he?"]
    train = build_math_train(solutions(*((text, ["1", None, None], False) for text in texts)), [])
    test = build_math_test(
        solutions(*((text, ["1", "1", None], True) for text in texts)), [], equal
    )
    for outcome in (train, test):
        assert outcome.rows["sample_id"].to_list() == ["id 0", "id 2"]
        assert outcome.dropped.select("id", "reason").rows() == [("id 1", "repeat")]
        assert outcome.rows_in == 3


def changed(problem: str) -> str:
    """The problem with two of its words changed, a third and two thirds of the way."""
    parts = problem.split()
    for place in (len(parts) // 3, 2 * len(parts) // 3):
        parts[place] = "perhaps"
    return " ".join(parts)


LONG = max(BENCHMARK, key=len)
INNOCENT = (
    "A ferry deckhand loads 24 motorcycles of 110 kg each. How many sacks of rice of 50 kg each "
    "can still be loaded if the deck may carry at most 6,000 kg?"
)


@pytest.mark.parametrize(
    ("problem", "caught"),
    [
        *((problem, True) for problem in BENCHMARK[:12]),
        (LONG.upper(), True),
        (f"Solve this for me. {LONG} Thank you.", True),
        (changed(LONG), True),
        (INNOCENT, False),
        ("", False),
    ],
)
def test_a_benchmark_problem_never_enters_either_set(problem: str, caught: bool) -> None:
    assert is_contaminated(problem, benchmark_grams(BENCHMARK)) == caught
    train = build_math_train(solutions((problem, ["1", None, None], False)), BENCHMARK)
    test = build_math_test(solutions((problem, ["1", "1", None], True)), BENCHMARK, equal)
    for outcome in (train, test):
        assert outcome.dropped["reason"].to_list() == ["contaminated"] * caught
        assert len(outcome.rows) == (not caught)


def test_a_problem_shorter_than_a_run_is_caught_whole() -> None:
    grams = benchmark_grams(["What is 2 + 2?"])
    assert is_contaminated("what is 2 + 2 ?", grams)
    assert not is_contaminated("What is 2 + 3?", grams)


def test_nothing_in_gives_typed_nothing_out() -> None:
    assert build_math_train(solutions(), BENCHMARK).rows.schema == TRAIN
    assert build_math_test(solutions(), BENCHMARK, equal).rows.schema == TEST
