"""A text contains a benchmark problem if it has most of the problem's runs of tokens, or all but
its numbers and letters.
"""

import json
import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

from persona_assets.steps.contamination import (
    BUT_FOR_NUMBERS,
    EXACT,
    PROBLEMS,
    REWORDED,
    Containment,
    ContaminationError,
    ProblemIndex,
    require_absent,
)
from persona_assets_tests.shared_data import shared_file
from persona_assets_tests.steps.answers_double import ROOT

FERRY = (
    "A ferry carries $18$ cars of $1{,}200$ kg each. How many sacks of $\\frac{1}{2}$ kg may still "
    "come on board if the deck bears $30$ tonnes at most?"
)
ROOTS = "Let $r$ be a root of $x^2 + 14x - 9$. Find $\\frac{r}{2}$."
SHORT = "Compute $7^3-5$."
PHRASE = "Find the value of $x$."
INDEX = [FERRY, ROOTS, SHORT, PHRASE]


def search(*texts: str, problems: Sequence[str] = INDEX) -> list[tuple[int, float, str] | None]:
    """Return number of the problem, share, and way of containing it, for each text."""
    found = ProblemIndex(numbered(problems)).search(texts)
    return [each and (int(each.problem_id), each.share, each.how) for each in found]


def numbered(problems: Sequence[str]) -> pl.DataFrame:
    rows = [("tests", str(number), problem) for number, problem in enumerate(problems)]
    return pl.DataFrame(rows, PROBLEMS, orient="row")


def test_a_problem_is_found_however_its_formulas_are_written_and_whatever_is_around_it() -> None:
    plain = FERRY.replace("$", "").replace("1{,}200", "1200").replace("\\frac{1}{2}", "1/2")
    framed = f"{'The harbour was quiet that night. ' * 20} {plain.upper()} {'Good luck! ' * 20}"
    unicode = "let r be a root of x² + 14x − 9. find \\(\\dfrac r2\\)"
    assert search(plain, framed, unicode, "compute 7^{3} - 5") == [
        (0, 1.0, EXACT),
        (0, 1.0, EXACT),
        (1, 1.0, EXACT),
        (2, 1.0, EXACT),
    ]


def test_a_problem_is_found_if_more_than_half_of_its_runs_occur() -> None:
    [whole] = search(FERRY)
    words = FERRY.split()
    [most] = search(" ".join(words[:-4]))
    assert whole == (0, 1.0, EXACT)
    assert most is not None
    assert (most[0], most[2]) == (0, EXACT)
    assert 0.5 < most[1] < 1
    assert search(" ".join(words[:-12])) == [None]


def test_a_problem_with_other_numbers_and_letters_is_found_as_such() -> None:
    numbers = FERRY.replace("18", "77").replace("30", "81").replace("1{,}200", "950")
    letters = "Let $s$ be a root of $y^3 + 15y - 8$. Find $\\frac{s}{4}$."
    assert search(numbers, letters) == [(0, 1.0, BUT_FOR_NUMBERS), (1, 1.0, BUT_FOR_NUMBERS)]


def test_a_problem_in_other_words_is_found_by_its_numbers_and_rare_tokens() -> None:
    words = ("the deck may bear $30$ tonnes at most", "A ferry carries $18$ cars of $1200$ kg each")
    reworded = f"Suppose that {words[0]}. {words[1]}. How many sacks of $1/2$ kg come on board?"
    problems = [*INDEX, *(f"How many {word} are on board?" for word in ("cats", "men", "guns"))]
    [found] = search(f"{'A calm night at sea. ' * 9} {reworded}", problems=problems)
    assert found is not None
    assert (found[0], found[2]) == (0, REWORDED)
    assert 0.85 < found[1] < 1
    assert search(reworded.replace("18", "20"), problems=problems) == [None]


def test_a_short_problem_is_a_phrase_unless_all_but_one_number_are_its_own() -> None:
    assert search("Compute $7^4-5$.", "Compute $8^4-6$.") == [(2, 1.0, BUT_FOR_NUMBERS), None]
    assert search("Compute $7^4-5$ and, for a tired sailor, explain why anybody would care.") == [
        None
    ]


def test_the_problem_with_the_largest_share_is_named_and_verbatim_before_numbers() -> None:
    text = f"{FERRY.replace('18', '19')} {ROOTS}"
    assert search(text) == [(1, 1.0, EXACT)]


@pytest.mark.parametrize(
    "text", ["", "$$", "\\", "[asy]", "½ ≤ ∞", "求 x 的值。", "\\begin{", "..."]
)
def test_texts_without_words_contain_nothing(text: str) -> None:
    assert search(text) == [None]
    assert search(FERRY, problems=[]) == [None]
    assert search(FERRY, problems=[text]) == [None]


def test_a_diagram_may_be_left_out() -> None:
    diagram = "[asy]\ndraw((0,0)--(3,4));\n[/asy]"
    assert search(FERRY, problems=[f"{FERRY} {diagram}"]) == [(0, 1.0, EXACT)]
    assert search(f"{diagram} {FERRY}") == [(0, 1.0, EXACT)]


def test_a_problem_in_chinese_is_found_in_a_sentence_without_spaces() -> None:
    problem = "一艘渡轮载有18辆汽车, 每辆重1200公斤。还能装多少袋大米?"
    framed = f"夜里码头很安静有人问{problem}请解释"
    assert search(framed, problems=[problem]) == [(0, 1.0, EXACT)]


def test_training_on_a_benchmark_problem_is_an_error_that_names_it() -> None:
    require_absent(numbered(INDEX), ["How many gulls sit on the mast?"])
    with pytest.raises(ContaminationError, match=r"contaminated: tests 1 1\.00: materialize"):
        require_absent(numbered(INDEX), ["How many gulls?", ROOTS])


def test_reason_names_benchmark_problem_and_share() -> None:
    assert Containment("MATH", "a1", 0.834, BUT_FOR_NUMBERS).reason == (
        "contaminated: MATH a1 0.83 but for numbers"
    )


BARS = {
    "verbatim": 0.99,
    "delimiters": 0.99,
    "plain": 0.99,
    "frame_50": 0.99,
    "frame_125": 0.99,
    "one_number": 0.97,
    "all_numbers": 0.90,
    "paraphrase": 0.65,
}


@pytest.fixture(scope="module")
def math() -> list[str]:
    """Problems of MATH."""
    return read(shared_file("math_test.jsonl"))


@pytest.fixture(scope="module")
def index(math: list[str]) -> ProblemIndex:
    """Index of MATH."""
    return ProblemIndex(numbered(math))


@pytest.mark.parametrize(("name", "bar"), BARS.items())
def test_hidden_problems_of_math_are_found(
    math: list[str], index: ProblemIndex, name: str, bar: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from contamination_data import PLANTS

    chance = random.Random(1)
    made = (PLANTS[name](problem, chance) for problem in chance.sample(math, len(math)))
    plants = list(islice((plant for plant in made if plant is not None), 1000))
    assert sum(each is not None for each in index.search(plants)) >= bar * len(plants)


def test_gsm8k_and_the_committed_problems_contain_none_of_math(index: ProblemIndex) -> None:
    committed = ROOT / "data" / "benchmarks" / "sample.jsonl"
    for innocent in (shared_file("gsm8k_test.jsonl"), committed):
        assert [each for each in index.search(read(innocent)) if each] == []


def test_few_problems_of_math_contain_another_that_differs_in_more_than_numbers(
    math: list[str], index: ProblemIndex
) -> None:
    others, marked = set[int](), set[int]()
    for row, found in index.pairs(math):
        if row != int(found.problem_id):
            (marked if found.how == BUT_FOR_NUMBERS else others).add(row)
    assert len(others - marked) <= 0.02 * len(math)


def read(path: Path) -> list[str]:
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [row.get("problem") or row["question"] for row in rows]
