"""Each layout reads its own rows, and extracts and grades answers in its own way."""

import json
from pathlib import Path

import pytest

from persona_assets.benchmarks import base
from persona_assets.benchmarks.aime import Aime
from persona_assets.benchmarks.base import BENCHMARKS, DEFAULT
from persona_assets.benchmarks.benchmark_file import BenchmarkError, BenchmarkFile
from persona_assets.registry import Registry
from persona_assets_tests.installed import write_distribution

MATH = {"problem": "3 + 4?", "solution": r"So \boxed{7}.", "answer": "7"}
GSM8K = {"question": "3 + 4?", "answer": "3 + 4 = 7\n#### 7"}
AIME = {"problem": "Find m + n.", "answer": "073"}


@pytest.mark.parametrize(("row", "name"), [(MATH, "math"), (GSM8K, "gsm8k"), (AIME, "aime")])
def test_row_is_read_by_one_layout_alone(row: dict[str, str], name: str) -> None:
    readers = [known for known, layout in BENCHMARKS.all() if layout().load(row) is not None]
    assert readers == [name]


@pytest.mark.parametrize("answer", ["7/2", "1000", "-1", "", None, True, 7.5, "7.0"])
def test_aime_takes_whole_numbers_up_to_999_alone(answer: object) -> None:
    assert Aime().load({"problem": "Find n.", "answer": answer}) is None


@pytest.mark.parametrize(
    ("given", "verdict"),
    [("73", True), ("073", True), ("73.0", True), ("+73", True)]
    + [(given, False) for given in ("74", "73.5", "1073", "-73", "73 cm", "seventy-three", "")],
)
def test_aime_grades_whole_numbers_exactly(given: str, verdict: bool) -> None:
    assert Aime.grade([("73", given)]) == [verdict]


def test_default_grading_is_left_to_the_project() -> None:
    assert DEFAULT.grade is None
    assert DEFAULT.extract(r"Hence \boxed{12}.") == "12"


def test_benchmark_file_grades_by_the_layout_of_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "aime.jsonl"
    path.write_text(json.dumps(AIME) + "\n")
    file = BenchmarkFile(path)
    assert isinstance(file.benchmark, Aime)
    assert file.problems()["answer"].to_list() == ["73"]


def test_benchmark_file_refuses_a_line_that_is_graded_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text(json.dumps(AIME) + "\n" + json.dumps(MATH) + "\n")
    with pytest.raises(BenchmarkError, match="line 2: layout math grades answers differently"):
        BenchmarkFile(path).problems()


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"problem": "1 + 1?", "answer": r"so \boxed{2}"}, "2"),
        ({"problem": "3 + 4?", "answer": "#### 7"}, "7"),
        ({"question": "1 + 1?", "solution": r"\boxed{2}"}, "2"),
        ({"problem": "2 + 3?", "solution": "", "answer": r"\boxed{5}"}, "5"),
    ],
)
def test_benchmark_file_reads_mixtures_of_math_and_gsm8k(
    tmp_path: Path, row: dict[str, str], answer: str
) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert BenchmarkFile(path).problems()["answer"].to_list() == [answer]


def test_identity_of_math_and_gsm8k_is_name_and_hash(tmp_path: Path) -> None:
    for name, row in {"math": MATH, "gsm8k": GSM8K, "aime": AIME}.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps(row) + "\n")
        file = BenchmarkFile(path)
        more = " aime" if name == "aime" else ""
        assert file.identity == f"{name} {file.sha256}{more}"


def test_installed_package_adds_a_layout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reference = "persona_assets_tests.benchmarks.olympiad:Olympiad"
    write_distribution(tmp_path, "olympiad", "persona_assets.benchmarks", {"olympiad": reference})
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[type[base.Benchmark]] = Registry("persona_assets.benchmarks", {})
    layout = registry.get("olympiad")()
    problem = layout.load({"statement": "Prove that 1 = 1.", "final": ["yes"]})
    assert problem is not None
    assert (problem.answer, layout.extract("Trivial. Final: yes")) == ("yes", "yes")
