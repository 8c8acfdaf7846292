"""A neighbour contains a problem if it has its numbers and formulas, and these are rare."""

import pytest

from persona_assets.steps.second_look import EVIDENCE, SecondLook

FERRY = (
    "A ferry carries $18$ cars of $1{,}200$ kg each. How many sacks of $50$ kg may still come on "
    "board if the deck bears $30{,}000$ kg at most?"
)
REWORDED = (
    "The deck holds 30000 kg. With 18 cars of 1,200 kg aboard, what number of bags weighing 50 kg "
    "can the crew add?"
)
ROOTS = "Let $r$ be a root of $x^2 + 14x - 9$. Find $\\frac{r}{2}$."
WORDS = "Determine the number of ways to arrange the letters of the word HARBOUR."
COMMON = "Find the sum of the first $2$ odd numbers."
ALIGNED = "Solve \\begin{align*} 3x + 7y &= 41 \\\\ 5x - y &= 17 \\end{align*} for $x$."
PROBLEMS = [FERRY, ROOTS, WORDS, COMMON, ALIGNED, *(f"Take {n} and 2 pears." for n in range(3, 9))]
LOOK = SecondLook(PROBLEMS)


def evidence(problem: str, text: str) -> float:
    return LOOK.compare(PROBLEMS.index(problem), text).evidence


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (FERRY, REWORDED),
        (ROOTS, "What is half of $r$, that is $\\dfrac r2$, if \\(x^{2}+14x-9\\) is zero at r?"),
        (ALIGNED, "For which x do 3x + 7y = 41 and 5x - y = 17 hold?"),
        *((problem, problem) for problem in (FERRY, ROOTS, ALIGNED)),
    ],
)
def test_a_problem_in_other_words_has_its_numbers_and_formulas(problem: str, text: str) -> None:
    assert evidence(problem, text) > EVIDENCE


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (FERRY, REWORDED.replace("18", "19")),
        (FERRY, f"{REWORDED} There are 4 sailors."),
        (ROOTS, ROOTS.replace("14x", "9x + 14")),
        (ALIGNED, ALIGNED.replace("- y", "+ y")),
    ],
)
def test_other_numbers_or_formulas_are_no_evidence(problem: str, text: str) -> None:
    assert evidence(problem, text) == 0


def test_a_phrase_and_a_common_number_are_too_little_evidence() -> None:
    assert evidence(WORDS, WORDS.replace("HARBOUR", "LANTERN")) < EVIDENCE
    assert evidence(COMMON, "What do the first 2 odd numbers add up to?") < EVIDENCE


def test_share_is_that_of_the_problem_s_tokens_and_rare_ones_weigh_more() -> None:
    look = SecondLook(["Count the gulls.", "Count the boats.", "Count the masts."])
    rare, common = (look.compare(0, text).share for text in ("gulls", "the"))
    assert 0 < common < rare < 1
    assert look.compare(0, "the count of gulls").share == 1


@pytest.mark.parametrize("text", ["", "$$", "\\", "[asy]", "½ ≤ ∞", "求 x 的值。", "\\begin{align"])
def test_texts_without_words_resemble_nothing(text: str) -> None:
    assert evidence(FERRY, text) == 0
    assert SecondLook([text]).compare(0, FERRY).evidence == 0
