"""Training and test sets are solved problems without repeats and without the benchmark."""

import json
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.contamination import BUT_FOR_NUMBERS, BY_MEANING, EXACT, PROBLEMS
from persona_assets.steps.hub import VECTORS
from persona_assets.steps.math_data import (
    TEST,
    TRAIN,
    build_math_test,
    build_math_train,
    contaminated_pairs,
)
from persona_assets.steps.math_solutions import SOLUTIONS, SOLVERS
from persona_assets.steps.neighbours import ProblemVectors
from persona_assets.storage.step_result import StepResult, typed_frame
from persona_assets_tests.steps.answers_double import ROOT

SAMPLE = (ROOT / "data" / "benchmarks" / "sample.jsonl").read_text("utf-8").splitlines()
BENCHMARK = [json.loads(line)["problem"] for line in SAMPLE]
NONE = pl.DataFrame(schema=PROBLEMS)
LONG = max(BENCHMARK, key=len)
INNOCENT = (
    "A ferry deckhand loads 24 motorcycles of 110 kg each. How many sacks of rice of 50 kg each "
    "can still be loaded if the deck may carry at most 6,000 kg?"
)


def solutions(*problems: tuple[str, Sequence[str | None], bool]) -> pl.DataFrame:
    """Return solutions from triples of problem, answers by solver, and True if held out."""
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
            "language": "sw",
        }
        for number, (problem, answers, held_out) in enumerate(problems)
        for name, answer in zip(SOLVERS, answers, strict=True)
        if answer is not None
    ]
    return typed_frame(rows, SOLUTIONS)


def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
    """Compare answers without case; an answer with a question mark is undecided."""
    return [None if "?" in a + b else a.lower() == b.lower() for a, b in pairs]


def train_and_test(
    problems: Sequence[str], benchmark: Sequence[str]
) -> tuple[StepResult, StepResult]:
    """Return the training set and the test set of the same problems, all of them solved."""
    names = [("sample", str(number), problem) for number, problem in enumerate(benchmark)]
    forbidden = pl.DataFrame(names, PROBLEMS, orient="row")
    train = solutions(*((problem, ["1", None, None], False) for problem in problems))
    test = solutions(*((problem, ["1", "1", None], True) for problem in problems))
    return build_math_train(train, forbidden), build_math_test(test, forbidden, equal)


answer_sets = st.lists(st.sampled_from(["a", "A", "b", "?", None]), min_size=3, max_size=3)


@settings(deadline=None, max_examples=100)
@given(st.lists(answer_sets, max_size=6))
def test_math_test_keeps_problems_on_which_two_of_three_solvers_agree(
    problems: list[list[str | None]],
) -> None:
    rows = solutions(
        *((f"Problem number {n}", answers, True) for n, answers in enumerate(problems))
    )
    outcome = build_math_test(rows, NONE, equal)
    solved = [f"id {n}" for n, answers in enumerate(problems) if any(answers)]
    assert outcome.rows.schema == TEST
    assert outcome.rows_in == len(solved)
    assert sorted([*outcome.rows["sample_id"], *outcome.dropped["id"]]) == sorted(solved)
    assert set(outcome.dropped["reason"]) <= {"no_agreement"}
    answers_by_id = {
        f"id {n}": [answer for answer in answers if answer] for n, answers in enumerate(problems)
    }
    for row_id, answer, votes in outcome.rows.select("sample_id", "answer", "agreeing").iter_rows():
        agreeing = [other for other in answers_by_id[row_id] if other.lower() == answer.lower()]
        assert (agreeing[0], len(agreeing)) == (answer, votes)
        assert votes >= 2
    for row_id in outcome.dropped["id"]:
        decided = [answer.lower() for answer in answers_by_id[row_id] if answer != "?"]
        assert len(set(decided)) == len(decided)


def test_math_train_keeps_the_assistant_s_solutions_of_problems_not_held_out() -> None:
    rows = solutions(("One", ["1", None, "9"], False), ("Two", ["2", "2", "2"], True))
    outcome = build_math_train(rows, NONE)
    assert outcome.rows.schema == TRAIN
    assert outcome.rows.rows() == [("id 0", "One", "assistant: 1", "1", "CC0-1.0", "sw")]
    assert len(outcome.dropped) == 0


def test_math_sets_have_the_language_of_the_problem_and_of_earlier_solutions_an_unknown_one() -> (
    None
):
    train = solutions(("One", ["1", None, None], False), ("Two", ["2", None, None], False))
    test = solutions(("Three", ["3", "3", None], True))
    partly = train.with_columns(language=pl.when(sample_id="id 0").then("language"))
    earlier = train.drop("language")
    languages = [build_math_train(rows, NONE).rows["language"] for rows in (train, partly, earlier)]
    assert [each.to_list() for each in languages] == [["sw"] * 2, ["sw", "und"], ["und"] * 2]
    assert build_math_test(test, NONE, equal).rows["language"].to_list() == ["sw"]


def test_math_sets_drop_a_problem_repeated_up_to_case_and_spaces() -> None:
    problems = ["How far is it?", "how far  is it ?", "How far is he?"]
    for outcome in train_and_test(problems, []):
        assert outcome.rows["sample_id"].to_list() == ["id 0", "id 2"]
        assert outcome.dropped.select("id", "reason").rows() == [("id 1", "repeat")]
        assert outcome.rows_in == 3


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        *enumerate(BENCHMARK[:12]),
        (BENCHMARK.index(LONG), LONG.upper()),
        (BENCHMARK.index(LONG), f"Solve this for me. {LONG} Thank you."),
    ],
)
def test_math_sets_drop_a_problem_of_the_benchmark_and_name_it(number: int, problem: str) -> None:
    for outcome in train_and_test([problem], BENCHMARK):
        assert outcome.dropped["reason"].to_list() == [f"contaminated: sample {number} 1.00"]
        assert outcome.reasons() == {"contaminated": 1}
        assert len(outcome.rows) == 0


@pytest.mark.parametrize("problem", [INNOCENT, "", "$"])
def test_math_sets_keep_a_problem_that_is_not_of_the_benchmark(problem: str) -> None:
    for outcome in train_and_test([problem], BENCHMARK):
        assert (len(outcome.rows), len(outcome.dropped)) == (1, 0)


def test_math_train_drops_a_problem_that_contains_a_held_out_one() -> None:
    rows = solutions(
        (INNOCENT, ["1", "1", None], True),
        (f"Late at the quay, a clerk asks: {INNOCENT}", ["1", None, None], False),
        (INNOCENT.replace("24", "31"), ["2", None, None], False),
        (LONG, ["3", None, None], False),
    )
    outcome = build_math_train(rows, NONE)
    assert outcome.rows["problem"].to_list() == [LONG]
    assert outcome.dropped.select("id", "reason").rows() == [
        ("id 1", "contaminated: held_out id 0 1.00"),
        ("id 2", "contaminated: held_out id 0 1.00 but for numbers"),
    ]


def test_pairs_are_those_of_the_reasons_with_those_equal_but_for_numbers_last() -> None:
    copies = [LONG.replace("12", "15"), f"Well: {LONG}", LONG, INNOCENT, LONG]
    rows = solutions(*((problem, ["1", None, None], False) for problem in copies))
    forbidden = pl.DataFrame([("my file", "7", LONG), ("other", "7", "x")], PROBLEMS, orient="row")
    dropped = build_math_train(rows, forbidden).dropped
    pairs = contaminated_pairs(dropped, rows.select("sample_id", "problem"), forbidden)
    assert pairs.rows() == [
        (f"Well: {LONG}", "my file", LONG, 1.0, EXACT, None),
        (LONG, "my file", LONG, 1.0, EXACT, None),
        (LONG, "my file", LONG, 1.0, EXACT, None),
        (copies[0], "my file", LONG, 1.0, BUT_FOR_NUMBERS, None),
    ]


def test_math_sets_drop_what_means_a_held_out_or_a_benchmark_problem_where_vectors_are_given() -> (
    None
):
    reworded = (
        "The deck of a ferry bears 6,000 kg. What number of 50 kg sacks of rice fits beside 24 "
        "motorcycles that weigh 110 kg each?"
    )
    texts = (INNOCENT, ["1", "1", None], True), (reworded, ["1", None, None], False)
    rows = solutions(*texts, ("What is $8+1$?", ["9", None, None], False))
    vectors = ProblemVectors(
        [embedded("sample_id", {"id 0": [1.0, 0.0], "id 1": [0.96, 0.28], "id 2": [0.0, 1.0]})],
        embedded("problem_id", {"7": [0.96, 0.28]}),
        0.9,
    )
    train = build_math_train(rows, NONE, vectors)
    [(row_id, reason)] = train.dropped.select("id", "reason").rows()
    assert (row_id, train.reasons()) == ("id 1", {"contaminated": 1})
    assert reason.startswith("contaminated: held_out id 0 0.")
    assert reason.endswith(" by meaning (cosine 0.96)")
    assert build_math_train(rows, NONE).rows["sample_id"].to_list() == ["id 1", "id 2"]

    forbidden = pl.DataFrame([("MATH", "7", reworded)], PROBLEMS, orient="row")
    test = build_math_test(rows, forbidden, equal, vectors)
    [pair] = contaminated_pairs(test.dropped, rows, forbidden).iter_rows(named=True)
    assert (pair["problem"], pair["contained"]) == (INNOCENT, reworded)
    assert (pair["how"], pair["cosine"]) == (BY_MEANING, 0.96)
    assert len(build_math_test(rows, forbidden, equal).rows) == 1


def embedded(row_id: str, vectors: dict[str, list[float]]) -> pl.LazyFrame:
    """Return a table of vectors by id."""
    columns = {"script": "Latin", "confusion": None}
    rows = [{row_id: key, "vector": vector, **columns} for key, vector in vectors.items()]
    return typed_frame(rows, pl.Schema({row_id: pl.String(), **VECTORS})).lazy()


def test_math_sets_of_no_solutions_are_empty_tables_of_the_full_schema() -> None:
    for outcome, schema in zip(train_and_test([], BENCHMARK), (TRAIN, TEST), strict=True):
        assert (outcome.rows.schema, len(outcome.rows)) == (schema, 0)
