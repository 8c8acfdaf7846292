"""Answers are equal if a person says so, in either order, exactly, and in bounded time."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.grading.comparison import MAX_CHARACTERS, Comparison
from persona_assets.grading.lexer import tokenize
from persona_assets.grading.reading import read
from persona_assets.grading.typography import plain
from persona_assets.resources.grader import Grader

ZOO = Path(__file__).parent / "zoo" / "equality.jsonl"
CASES = [json.loads(line) for line in ZOO.read_text(encoding="utf-8").splitlines()]

LONG = 100_000

PIECES = (
    r"\frac",
    r"\sqrt",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "^",
    "_",
    "1",
    "2",
    "3.5",
    "x",
    "y",
    r"\pi",
    "+",
    "-",
    "*",
    "/",
    "=",
    "<",
    r"\le",
    ",",
    ";",
    " ",
    r"\text{",
    r"\pm",
    "!",
    "|",
    r"\{",
    r"\}",
    "cm",
    "and",
    "or",
    "sin",
    r"\ln",
    r"\%",
    "°",
    ":",
    "$",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    "&",
    "\\\\",
    "\\",
    "mod",
    r"\infty",
    "½",
    "²",
    r"\cup",
    r"\in",
    r"\overline",
    "...",
    "i",
    "j",
    "base",
    "5 m",
    "A",
    "Matrix",
    r"\sum",
    r"\binom",
    "per",
    r"\circ",
    "1,000",
    "0",
    "to",
    "million",
    "seven",
    "3:30",
    "July 4",
    "\ud800",
    "\x00",
)

HOSTILE = (
    "(",
    "[",
    "{",
    r"\{",
    "|",
    "-",
    "+",
    "!",
    "^2",
    "x^",
    "x_",
    r"\sqrt",
    r"\frac",
    r"\sqrt{",
    r"\text{",
    r"\left(",
    "sin ",
    r"\begin{pmatrix}",
    r"\pm 1",
    "1,",
    "1 ",
    "1.",
    "1/",
    "x*",
    "x ",
    "9^",
    "9!",
    "1e9999+",
    "{1,",
    "(1,",
    r"\$",
    "$",
    ".",
    "*",
    "`",
    "...",
    "\\",
    "&",
    "½",
    "²",
    "5 m ",
    "a and ",
    "1:",
    "x=",
    "x<",
    r"\sum_{k=1}^{9}",
    r"\overline{",
    "0.(1)",
    r"\binom{9999}{4999}+",
    "2^{9999}+",
    "3^{9^{9}}+",
    "1/0+",
    r"\sin(10^{99})+",
    "hours per ",
    "sqrt(2)+",
    "the answer is ",
    "seven ",
    "\n",
    "\ud800",
    "1000000!+",
    r"\cup(1,2)",
    "ab",
    "'",
)


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(timeout=20.0) as grader:
        yield grader


def verdict(gold: str, answer: str) -> bool | None:
    return Comparison().answers(gold, answer)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answers_are_equal_as_a_person_says_in_both_orders(
    grader: Grader, case: dict[str, str | bool | None]
) -> None:
    a, b = str(case["a"]), str(case["b"])
    assert grader.equal([(a, b), (b, a)]) == [case["expected"]] * 2


def test_zoo_has_unique_names_and_enough_cases() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 250


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_answer_with_content_equals_itself(text: str) -> None:
    assert verdict(text, text) is (True if plain(text) else None)


@given(*[st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join)] * 2)
def test_order_does_not_matter(a: str, b: str) -> None:
    if plain(a) and plain(b):
        assert verdict(a, b) is verdict(b, a)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_gets_a_verdict(a: str, b: str) -> None:
    assert verdict(a, b) in (True, False, None)


@given(st.integers(-(10**40), 10**40), st.integers(-(10**40), 10**40))
def test_integers_are_compared_exactly(a: int, b: int) -> None:
    assert verdict(str(a), f"{b:,}") is (a == b)
    assert verdict(f"{a}", f"{a + 1}") is False


@given(
    st.fractions(max_denominator=10**12),
    st.fractions(max_denominator=10**12),
    st.integers(1, 99),
)
def test_fractions_are_compared_exactly(a: Fraction, b: Fraction, n: int) -> None:
    scaled = rf"\frac{{{n * a.numerator}}}{{{n * a.denominator}}}"
    assert verdict(str(a), scaled) is True
    assert verdict(scaled, f"{b.numerator}/{b.denominator}") is (a == b)
    assert verdict(rf"\sqrt{{2}} + {a.numerator}/{a.denominator}", rf"({b}) + \sqrt 2") is (a == b)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, max_value=10**9))
def test_decimals_equal_their_fractions(decimal: object) -> None:
    exact = Fraction(str(decimal))
    assert verdict(f"{decimal:f}", rf"\frac{{{exact.numerator}}}{{{exact.denominator}}}") is True
    assert verdict(f"{decimal:f}", str(exact + Fraction(1, 10**30))) is False


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_lists_have_no_order_and_points_have_one(items: list[int], random: object) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (", ".join(map(str, values)) for values in (items, shuffled))
    assert verdict(first, rf"\{{{second}\}}") is True
    assert verdict(f"({first})", f"({second})") is (items == shuffled)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6))
def test_polynomials_equal_their_factored_form(zeros: list[int]) -> None:
    expanded = [1]
    for zero in zeros:
        shifted = [*expanded, 0]
        for index, coefficient in enumerate(expanded):
            shifted[index + 1] -= zero * coefficient
        expanded = shifted
    terms = [f"({c})x^{{{len(zeros) - n}}}" for n, c in enumerate(expanded)]
    factored = "".join(f"(x - ({zero}))" for zero in zeros)
    assert verdict("+".join(terms), factored) is True
    assert verdict("+".join(terms), f"{factored} + 1") is False


@settings(deadline=None)
@given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3).map("".join))
def test_hostile_answer_of_full_length_gets_a_verdict(unit: str) -> None:
    text = (unit * MAX_CHARACTERS)[:MAX_CHARACTERS]
    assert verdict(text, "1") in (True, False, None)


@pytest.mark.parametrize("unit", HOSTILE)
def test_long_text_is_read(unit: str) -> None:
    """A reading in quadratic time would take an hour."""
    text = (unit * LONG)[:LONG]
    tokenize(plain(text))


@pytest.mark.parametrize("unit", HOSTILE)
def test_long_answer_is_undecided(unit: str) -> None:
    text = (unit * LONG)[:LONG]
    assert verdict(text, "1") is None
    assert verdict("1", text) is None


def test_answer_can_have_several_readings() -> None:
    kinds = [type(value).__name__ for value in read("(2, 4)")]
    assert kinds == ["Sequence", "Region"]
