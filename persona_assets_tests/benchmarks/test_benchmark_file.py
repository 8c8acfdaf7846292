"""A benchmark file is read line by line, and a limit draws the same problems at each call."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persona_assets.benchmarks.base import PROBLEMS
from persona_assets.benchmarks.benchmark_file import BenchmarkError, BenchmarkFile
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


def benchmark(folder: Path, *rows: object, end: bytes = b"\n") -> BenchmarkFile:
    """Write rows, or bytes as they are, as the lines of a benchmark file."""
    path = folder / "some.test.jsonl"
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(line + end for line in lines))
    return BenchmarkFile(path)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_benchmark_file_reads_both_layouts(tmp_path: Path, end: bytes) -> None:
    rows = benchmark(tmp_path, MATH, GSM8K, end=end).problems()
    assert rows.schema == PROBLEMS
    by_problem = {row["problem"]: row for row in rows.iter_rows(named=True)}
    math, gsm = by_problem[MATH["problem"]], by_problem[GSM8K["question"]]
    assert (math["answer"], math["subject"], math["level"]) == ("7", "Algebra", "Level 1")
    assert (gsm["answer"], gsm["subject"], gsm["level"]) == ("7", None, None)
    assert rows["problem_id"].n_unique() == 2


def test_benchmark_file_is_named_without_its_endings(tmp_path: Path) -> None:
    assert benchmark(tmp_path).name == "some"


def test_benchmark_file_accepts_a_number_as_level(tmp_path: Path) -> None:
    assert benchmark(tmp_path, MATH | {"level": 5}).problems()["level"].to_list() == ["Level 5"]


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
def test_benchmark_file_names_a_bad_line(tmp_path: Path, line: object) -> None:
    file = benchmark(tmp_path, MATH, GSM8K, line)
    with pytest.raises(BenchmarkError, match=r"some\.test\.jsonl line 3: expected a JSON"):
        file.problems()


@pytest.mark.parametrize("read", [BenchmarkFile.problems, attrgetter("sha256")])
def test_benchmark_file_that_is_missing_names_the_setting(
    tmp_path: Path, read: Callable[[BenchmarkFile], object]
) -> None:
    missing = BenchmarkFile(tmp_path / "none.jsonl")
    with pytest.raises(BenchmarkError, match=r"no benchmark at .*none\.jsonl .*set PERS"):
        read(missing)


def test_benchmark_file_without_lines_has_no_problems(tmp_path: Path) -> None:
    assert benchmark(tmp_path).problems().equals(pl.DataFrame(schema=PROBLEMS))


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(84)), st.integers(0, 84))
@example(range(84), 0)
@example(range(83, -1, -1), 1)
@example(range(83, -1, -1), 84)
@example(range(83, -1, -1), 999)
def test_benchmark_file_draws_the_same_problems_in_any_order_of_lines(
    order: Sequence[int], limit: int
) -> None:
    lines = SAMPLE.read_bytes().splitlines()
    problems = BenchmarkFile(SAMPLE).problems()
    assert len(problems) == 84
    with tempfile.TemporaryDirectory() as folder:
        shuffled = benchmark(Path(folder), *(lines[number] for number in order))
        assert shuffled.problems(limit).equals(problems.head(limit))


def test_benchmark_file_draws_problems_from_the_whole_file() -> None:
    # The subjects of the sample alternate from line to line.
    assert BenchmarkFile(SAMPLE).problems(14)["subject"].n_unique() > 3


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 84), st.permutations(range(84)))
def test_stratified_draw_has_its_share_of_every_subject_and_level(
    limit: int, order: Sequence[int]
) -> None:
    lines = SAMPLE.read_bytes().splitlines()[:60]
    with tempfile.TemporaryDirectory() as folder:
        file = benchmark(Path(folder), *(lines[number] for number in order if number < 60))
        whole = file.problems()
        drawn = BenchmarkFile(file.path, stratified=True).problems(limit)
        larger = BenchmarkFile(file.path, stratified=True).problems(limit + 1)
    assert drawn.equals(larger.head(limit))
    assert len(drawn) == min(limit, 60)
    for stratum, rows in whole.group_by("subject", "level"):
        share = len(rows) * len(drawn) / len(whole)
        count = len(drawn.filter(subject=stratum[0], level=stratum[1]))
        assert abs(count - share) < 2, stratum
    assert set(drawn["problem_id"]) <= set(whole["problem_id"])


def test_stratified_draw_of_problems_without_labels_is_the_random_one(tmp_path: Path) -> None:
    file = benchmark(tmp_path, *(GSM8K | {"question": f"Ida has {n}?"} for n in range(9)))
    assert len(file.problems()) == 9
    stratified = BenchmarkFile(file.path, stratified=True)
    assert stratified.problems(4).equals(file.problems(4))
    assert stratified.problems().equals(file.problems())


def test_benchmark_file_is_identified_by_a_hash_of_its_content(tmp_path: Path) -> None:
    sha256 = benchmark(tmp_path, MATH).sha256
    assert benchmark(tmp_path, MATH).sha256 == sha256
    assert benchmark(tmp_path, GSM8K).sha256 != sha256


def test_shipped_sample_has_equal_numbers_of_all_subjects_and_levels() -> None:
    rows = BenchmarkFile(SAMPLE).problems()
    assert (len(rows), rows["problem_id"].n_unique()) == (84, 84)
    assert set(Counter(rows["subject"]).values()) == {12}
    assert rows["subject"].n_unique() == 7
    counts = zip(range(1, 6), (16, 17, 17, 17, 17), strict=True)
    assert sorted(Counter(rows["level"]).items()) == [
        (f"Level {level}", count) for level, count in counts
    ]


@pytest.mark.parametrize(("name", "size"), [("math_test.jsonl", 5000), ("gsm8k_test.jsonl", 1319)])
def test_benchmark_file_reads_each_answer_of_the_complete_benchmarks(name: str, size: int) -> None:
    rows = BenchmarkFile(shared_file(name)).problems()
    assert (len(rows), rows["problem_id"].n_unique()) == (size, size)
    assert (rows["answer"].str.len_chars() > 0).all()
    if "gsm8k" in name:
        assert rows["answer"].str.contains(r"^-?[\d,]+$").all()
