"""Parsers find the final answer or the program in any reply, in linear time."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.answers import extract_final_answer, extract_program
from persona_assets.steps.reply.typography import tidy
from persona_assets_tests.shared_data import shared_file

# Beginnings, ends and halves of everything that the parsers look for.
PIECES = [
    *("\\", "\\boxed{", "\\boxed ", "\\boxed{}", "\\boxed{5}, ", "\\boxed 5$", "\\boxed\\a"),
    *("\\framebox[", "=\\boxed{5}_", "\\left ", "\\text{", "{", "}", "$", "$$\n", "(", "\\\\"),
    *(
        " ",
        "\n",
        "\n\n",
        "\t",
        "#",
        "#### ",
        "#### 5\n",
        "**",
        "**5",
        "__",
        "- ",
        ".*",
        "a. ",
        "...",
    ),
    *("answer ", "answer is ", "answer:", "answer:*", "answer is 5. ", "answer is $5$, ", "答案是"),
    *("Answer:\n", "Answer:\n$$\n", "answer, x, ", "answer is **", "$5$ and ", "x =", "= ", "1,"),
    *("```\n", "~~~ x\n", "~", "`", "```python ", "```python\n```\n", "Question:\n", "\nQ: "),
    *("<think>", "</think>", "<answer>", "</answer>", "[THINK]", "<|", "<|im_end|>", "<s>"),
    *("<s> assistant", "<|channel|>", "<|channel|>final<|message|>"),
]

ATOMS = [r"\left(", r"\right)", r"\,", r"\!", r"\frac{1}{2}", r"\$", *"$`.,; ~x1+{}", "**"]

ZOO = Path(__file__).parent / "zoo"


class Row(NamedTuple):
    """Row of a zoo: a reply and the answer or program in it."""

    name: str
    reply: str
    expected: str | None


def zoo(name: str) -> list[Row]:
    return [Row(**json.loads(line)) for line in (ZOO / name).read_text().splitlines()]


@pytest.mark.parametrize("row", zoo("final_answers.jsonl"), ids=lambda row: row.name)
def test_final_answer_of_a_reply(row: Row) -> None:
    assert extract_final_answer(row.reply) == row.expected


@pytest.mark.parametrize("row", zoo("programs.jsonl"), ids=lambda row: row.name)
def test_program_of_a_reply(row: Row) -> None:
    assert extract_program(row.reply) == row.expected


@pytest.mark.parametrize(
    "answer", sorted({row.expected for row in zoo("final_answers.jsonl") if row.expected})
)
def test_final_answer_in_a_box_is_itself(answer: str) -> None:
    assert extract_final_answer(rf"\boxed{{{answer}}}") == answer


@given(st.text(alphabet="\\boxed{}fa#$ answeri:=.`~\n5*", max_size=200))
def test_final_answer_of_any_text_is_tidy_or_none(text: str) -> None:
    answer = extract_final_answer(text)
    assert answer is None or (answer == answer.strip() and answer and "$" not in answer)
    assert extract_program(text) != ""


@given(
    st.recursive(st.text(alphabet="x1+ ", max_size=5), lambda s: st.builds("{{{}{}}}".format, s, s))
)
def test_final_answer_keeps_balanced_content_of_a_box(content: str) -> None:
    expected = " ".join(content.split()) if content.strip("{} ") else None
    assert extract_final_answer(rf"text \boxed{{{content}}} text") == expected


@settings(max_examples=500)
@given(st.lists(st.sampled_from(ATOMS), max_size=12).map("".join))
def test_typography_of_a_tidy_answer_stays(text: str) -> None:
    answer = tidy(text)
    assert answer is None or tidy(answer) == answer


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_parsers_never_raise(text: str) -> None:
    for reply in (text, f"<answer>{text}", f"\\boxed{{{text}", f"So {text} = 5."):
        assert extract_final_answer(reply) != ""
        assert extract_program(reply) != ""


@pytest.mark.parametrize("piece", PIECES)
def test_parsers_take_linear_time_on_hostile_text(piece: str) -> None:
    # 200,000 characters: an algorithm of quadratic time would not end.
    text = piece * (200_000 // len(piece))
    for reply in (text, f"\\boxed{{ answer: {text}!"):
        assert extract_final_answer(reply) != ""
    assert extract_program(text) != ""


def last_box(solution: str) -> str:
    """Return the content of the last box, found by counting braces."""
    start = solution.rindex(r"\boxed") + len(r"\boxed")
    if solution[start] != "{":
        return solution[start : solution.index("$", start)]
    depth = 0
    for end in range(start, len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[end], 0)
        if depth == 0:
            return solution[start + 1 : end]
    raise ValueError(solution)


def test_final_answer_of_every_math_benchmark_solution_ends_with_its_last_box() -> None:
    lines = shared_file("math_test.jsonl").read_text().splitlines()
    solutions = [json.loads(line)["solution"] for line in lines]
    joined = 0
    for solution in solutions:
        answer, last = extract_final_answer(solution), tidy(last_box(solution))
        if answer != last:
            assert answer is not None
            assert answer.endswith(f", {last}")
            joined += 1
    assert (len(solutions), joined) == (5_000, 4)


def test_final_answer_of_every_grade_school_solution_follows_its_mark() -> None:
    lines = shared_file("gsm8k_test.jsonl").read_text().splitlines()
    solutions = [json.loads(line)["answer"] for line in lines]
    assert len(solutions) == 1_319
    for solution in solutions:
        assert extract_final_answer(solution) == solution.rpartition("#### ")[2]


@pytest.mark.parametrize(
    "form",
    [
        "The answer is $%s$.",
        "Final answer: the final answer is $%s$. I hope it is right.",
        "**Answer:** $%s$",
        r"The answer is: \(%s\)",
        "答案是$%s$。",
        "#### %s",
        "<answer>%s</answer>",
        "<think>The answer is 0.</think>Answer: %s<|im_end|>",
        "Answer: %s\n\nQuestion: How many?\n#### 3",
    ],
)
def test_final_answer_is_found_in_every_form(form: str) -> None:
    lines = shared_file("math_test.jsonl").read_text().splitlines()[::10]
    for line in lines:
        answer = extract_final_answer(json.loads(line)["solution"])
        assert answer is not None
        assert extract_final_answer(form % answer) == answer
