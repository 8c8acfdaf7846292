"""A program whose answer is a literal states it; a program that computes it in any way does not."""

import json

import pytest

from persona_assets.steps.stated_answers import states_answer
from persona_assets_tests.steps.answers_double import ROOT

STATED = [
    "answer = 42",
    "print(42)",
    "print('42')",
    "answer = '3/7'",
    "answer = -5",
    "answer: int = 7",
    "answer = (1, 2)",
    "answer = f'{42}'",
    "answer = 0\nanswer = 42",
    "price = 15\ncount = 24\nanswer = 360",
    "rope = 6 * 7\nanswer = 42",
    "result = 360\nprint(result)",
    "roots = [1, 2]\nassert len(roots) == 2\nanswer = roots",
    "result = 360\ndef check(n):\n    return n > 0\ncheck(result)\nanswer = result",
    "a = b = 3\nanswer = a",
    "x = 6\ny = 7\nprint(f'{42} units')",
    "print('The answer is', 42)",
    "from fractions import Fraction\nanswer = Fraction(3, 7)",
    "import sympy as sp\nprint(sp.Rational(1, 3))",
    "import math\nanswer = math.pi",
    "from math import e\nanswer = e",
    "def solution():\n    return 42\nanswer = solution()",
    "def solve():\n    x = 5\n    return x\nprint(solve())",
    "def main():\n    print(42)\nif __name__ == '__main__':\n    main()",
    "def check(n):\n    print(n * 2)\nprint(42)",
]
COMPUTED = [
    "print(6 * 7)",
    "answer = 6 * 7",
    "x = 3\nanswer = x + 1",
    "a = 6 * 7\nprint(a)",
    "a = 6 * 7\nanswer = f'{a}'",
    "print(max(3, 4))",
    "print(sum([1, 2]))",
    "import math\nprint(math.comb(5, 2))",
    "import math\nprint(math.sqrt(2))",
    "answer = [i for i in range(3)]",
    "for i in range(10):\n    if i * i == 49:\n        answer = i",
    "count = 0\nfor i in range(5):\n    count = 3\nanswer = count",
    "n = 0\nwhile n < 5:\n    n += 1\nprint(n)",
    "x = 0\nx += 5\nprint(x)",
    "x = 3\nif x > 2:\n    answer = 'yes'\nelse:\n    answer = 'no'",
    "answer = 'yes' if 2**10 > 1000 else 'no'",
    "a = []\na.append(3)\nprint(a)",
    "a = [0]\na[0] = 6 * 7\nprint(a)",
    "a = [0]\na[0] += 6 * 7\nprint(a)",
    "a = [0, 1, 0]\nfor i in range(2, 3):\n    a[i] = a[i - 1] + a[i - 2]\nanswer = a",
    "a = []\ndef fill(n, out):\n    out.append(n * n)\nfill(3, a)\nanswer = a",
    "import heapq\na = []\nheapq.heappush(a, 6 * 7)\nprint(a)",
    "a, b = divmod(7, 2)\nanswer = a",
    "def f(n):\n    return n\nanswer = f(3)",
    "def f():\n    if 3 > 2:\n        return 4\n    return 5\nanswer = f()",
    "def f():\n    global answer\n    answer = 3 * 4\nf()",
    "x = 5\ndef f():\n    return x * 2\nprint(f())",
    "def f():\n    return f()\nanswer = f()",
    "from sympy import *\nx = symbols('x')\nprint(solve(x - 3, x)[0])",
    "try:\n    answer = 1\nexcept ValueError:\n    answer = 2",
    "for i in range(3):\n    print(i)",
    "x = (",
    "",
]


@pytest.mark.parametrize("program", STATED)
def test_literal_is_stated(program: str) -> None:
    assert states_answer(program)


@pytest.mark.parametrize("program", COMPUTED)
def test_computation_is_not_stated(program: str) -> None:
    assert not states_answer(program)


def test_shipped_demonstrations_compute() -> None:
    lines = (ROOT / "prompts/demonstrations/math_program.jsonl").read_text().splitlines()
    assert not any(states_answer(json.loads(line)["program"]) for line in lines)


@pytest.mark.parametrize("program", ["(" * 10_000, "answer = " + "-" * 5_000 + "1", "x\x00"])
def test_hostile_text_is_no_statement_and_no_error(program: str) -> None:
    assert not states_answer(program)
