import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from persona_assets.resources.benchmark import PROBLEMS, Benchmark, BenchmarkError
from persona_assets_tests.shared_data import shared_file
from persona_assets_tests.steps.answers_double import ROOT

SAMPLE = ROOT / "data" / "benchmarks" / "sample.jsonl"
MATH = {
    "problem": "What is $3 + 4$?",
    "level": "Level 1",
    "type": "Algebra",
    "solution": "So \\boxed{7}.",
}
GSM8K = {
    "question": "Ida has 3 apples and buys 4. How many has she?",
    "answer": "3 + 4 = 7\n#### 7",
}


def benchmark(folder: Path, *rows: object, end: bytes = b"\n") -> Benchmark:
    path = folder / "some.test.jsonl"
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(line + end for line in lines))
    return Benchmark(path)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_both_layouts_are_read(tmp_path: Path, end: bytes) -> None:
    given = benchmark(tmp_path, MATH, GSM8K, end=end)
    rows = given.problems()
    assert rows.schema == PROBLEMS
    found = {row["problem"]: row for row in rows.iter_rows(named=True)}
    math, gsm = found[MATH["problem"]], found[GSM8K["question"]]
    assert (math["answer"], math["subject"], math["level"]) == ("7", "Algebra", "Level 1")
    assert (gsm["answer"], gsm["subject"], gsm["level"]) == ("7", None, None)
    assert rows["problem_id"].n_unique() == 2
    assert given.name == "some"


def test_a_level_may_be_a_number(tmp_path: Path) -> None:
    assert benchmark(tmp_path, MATH | {"level": 5}).problems()["level"].to_list() == ["5"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"7",
        b"{}",
        b"\xff",
        MATH | {"problem": 7},
        MATH | {"problem": None},
        MATH | {"solution": "It is 7, I think."},
        MATH | {"solution": 7},
        GSM8K | {"answer": ""},
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object) -> None:
    given = benchmark(tmp_path, MATH, GSM8K, line)
    with pytest.raises(BenchmarkError, match=r"some\.test\.jsonl line 3: expected a JSON"):
        given.problems()


def test_a_missing_file_says_what_to_set(tmp_path: Path) -> None:
    missing = Benchmark(tmp_path / "none.jsonl")
    for ask in (missing.problems, lambda: missing.sha256):
        with pytest.raises(BenchmarkError, match=r"no benchmark at .*none\.jsonl .*set PERS"):
            ask()


def test_an_empty_file_is_an_empty_benchmark(tmp_path: Path) -> None:
    assert benchmark(tmp_path).problems().equals(pl.DataFrame(schema=PROBLEMS))


def test_a_limit_draws_the_same_problems_whatever_the_order_of_lines(tmp_path: Path) -> None:
    lines = SAMPLE.read_bytes().splitlines()
    every = Benchmark(SAMPLE).problems()
    for limit in (0, 1, 10, 84, 999):
        assert Benchmark(SAMPLE).problems(limit).equals(every.head(limit))
        assert benchmark(tmp_path, *reversed(lines)).problems(limit).equals(every.head(limit))
    # Drawn over the whole file, whose subjects take turns.
    assert every.head(14)["subject"].n_unique() > 3


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    one = benchmark(tmp_path, MATH).sha256
    assert benchmark(tmp_path, MATH).sha256 == one
    assert benchmark(tmp_path, GSM8K).sha256 != one


def test_the_committed_sample_is_complete() -> None:
    rows = Benchmark(SAMPLE).problems()
    assert (len(rows), rows["problem_id"].n_unique()) == (84, 84)
    assert set(Counter(rows["subject"]).values()) == {12}
    assert rows["subject"].n_unique() == 7
    counts = zip(range(1, 6), (16, 17, 17, 17, 17), strict=True)
    assert sorted(Counter(rows["level"]).items()) == [
        (f"Level {level}", count) for level, count in counts
    ]


@pytest.mark.parametrize(("name", "size"), [("math_test.jsonl", 5000), ("gsm8k_test.jsonl", 1319)])
def test_every_answer_of_the_real_benchmarks_is_found(name: str, size: int) -> None:
    rows = Benchmark(shared_file(name)).problems()
    assert (len(rows), rows["problem_id"].n_unique()) == (size, size)
    assert (rows["answer"].str.len_chars() > 0).all()
    if "gsm8k" in name:
        assert rows["answer"].str.contains(r"^-?[\d,]+$").all()
