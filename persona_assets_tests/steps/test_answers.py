"""Parsers find the final answer or the program in any reply, in linear time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.answers import extract_final_answer, extract_program
from persona_assets_tests.shared_data import shared_file


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"So the sum is $\boxed{42}$.", "42"),
        (r"$\fbox{7}$", "7"),
        (r"First $\boxed{3}$, then $\boxed{4}$.", "4"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x : x > 0 \right\}}", r"\{ x : x > 0 \}"),
        (r"\boxed{\left(1,\, 2\right)}", "(1, 2)"),
        (r"\boxed{x \rightarrow \leftarrow}", r"x \rightarrow \leftarrow"),
        (
            r"\boxed{\begin{pmatrix} 1 \\, 2 \end{pmatrix}}",
            r"\begin{pmatrix} 1 \\, 2 \end{pmatrix}",
        ),
        (r"\boxed{\$18.90}", "18.90"),
        (r"\boxed{10\%}", r"10\%"),
        (r"\boxed{1{,}000}", "1{,}000"),
        (r"\boxed{\boxed{5}}", "{5}"),
        (r"$\boxed 5$ in all", "5"),
        (r"$\boxed 5 + x$ in all", "5 + x"),
        (r"so \boxed 5 apples", "5"),
        (r"\\boxed{7}", "7"),
        (r"{ an open brace, \boxed{9}", "9"),
        (r"} a closed one, \boxed{9}", "9"),
        (r"\boxed{}, so the answer is 6.", "6"),
        (r"The answer is 3. No: \boxed{4}. The answer is 5.", "4"),
    ],
)
def test_final_answer_is_the_content_of_the_last_box(solution: str, answer: str) -> None:
    assert extract_final_answer(solution) == answer


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("We add.\nAnswer: 42", "42"),
        ("The answer is $42$.", "42"),
        ("The answer is $42$ because $40 + 2 = 42$.", "42"),
        ("The answer is 3.5. This follows from the sum.", "3.5"),
        ("**Answer:** 42", "42"),
        ("**The answer is 42.**", "42"),
        ("The answer is **42**", "42"),
        ("**Final Answer**\n\n$42$", "42"),
        ("Answer:\n42", "42"),
        ("### Final answer\n42", "42"),
        ("Final Answer: The final answer is $x^2$. I hope it is correct.", "x^2"),
        ("The answer is: \\(42\\)", "42"),
        ("The answer to the second part is 42.", "42"),
        ("answer = 42", "42"),
        ("The answer is $5 a day", "5 a day"),
        ("16 - 3 - 4 = <<16-3-4=9>>9\n#### 18", "18"),
        ("#### 1,234", "1,234"),
        ("The answer is 1.\nNo.\nThe answer is 2.\nChecked.", "2"),
    ],
)
def test_final_answer_without_a_box_is_the_last_stated_answer(solution: str, answer: str) -> None:
    assert extract_final_answer(solution) == answer


@pytest.mark.parametrize(
    "solution",
    [
        "",
        "We cannot say.",
        r"The answer is \boxed{\frac{1}{2",
        r"\boxed{}",
        r"\boxed{ $ $ }",
        "Answer:",
        "#### ",
        "An unanswerable question: 5",
    ],
)
def test_final_answer_of_a_solution_without_an_answer_is_none(solution: str) -> None:
    assert extract_final_answer(solution) is None


@pytest.mark.parametrize(
    ("reply", "source"),
    [
        ("```python\nx = 1\nanswer = x\n```", "x = 1\nanswer = x"),
        ("Here:\n\n```py\nanswer = 1\n```\nIt prints:\n```\n1\n```", "answer = 1"),
        ("```python\na = 1\n```\nor better\n```python\nanswer = 2\n```\nDone.", "answer = 2"),
        ("```\nanswer = 1\n```", "answer = 1"),
        ("```Python\nanswer = 1", "answer = 1"),
        ("1. So:\n   ~~~python\n   if x:\n       answer = 1\n   ~~~", "if x:\n    answer = 1"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
        ("answer = 3 * 4", "answer = 3 * 4"),
        ("# count\nimport math\nanswer = math.comb(4, 2)\n", None),
        ("def f():\n    return 1\nanswer = f()", "def f():\n    return 1\nanswer = f()"),
    ],
)
def test_program_is_the_last_python_block_or_the_bare_code(reply: str, source: str | None) -> None:
    assert extract_program(reply) == (reply.strip() if source is None else source)


@pytest.mark.parametrize(
    "reply",
    ["", "The answer is 5.", "# Solution\nWe add 2 and 3.", "```json\n{}\n```", "```python\n```"],
)
def test_program_of_a_reply_without_code_is_none(reply: str) -> None:
    assert extract_program(reply) is None


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


@pytest.mark.parametrize(
    "piece",
    [
        *("\\", "\\boxed{", "\\boxed ", "\\boxed{}", "{", "}", "#", "$", " ", "\n", "answer "),
        *(
            "answer is ",
            "answer:",
            "answer:*",
            ".*",
            "```\n",
            "~~~ x\n",
            "~",
            "`",
            "\\left ",
            "x =",
        ),
    ],
)
def test_parsers_take_linear_time_on_hostile_text(piece: str) -> None:
    # 200,000 characters: an algorithm of quadratic time would not end.
    text = piece * (200_000 // len(piece))
    for reply in (text, f"answer: {text}!", f"\\boxed{{{text}"):
        assert extract_final_answer(reply) != ""
        assert extract_program(reply) != ""


def test_final_answer_of_every_math_benchmark_solution_is_found() -> None:
    lines = shared_file("math_test.jsonl").read_text().splitlines()
    answers = [extract_final_answer(json.loads(line)["solution"]) for line in lines]
    assert len(answers) == 5_000
    assert None not in answers
