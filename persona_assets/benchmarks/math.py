"""MATH (Hendrycks et al. 2021): `problem`, `solution` with a boxed answer, `type`, `level`."""

from collections.abc import Mapping
from typing import Any

from persona_assets.benchmarks.base import Benchmark, Problem, label_field, text_field
from persona_assets.steps.answers import extract_final_answer


class Math(Benchmark):
    r"""Problems of the layout {"problem": ..., "solution": "... \boxed{7} ..."}."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        """Read one problem; the answer is the final answer of its solution.

        Also read are a worked solution under `answer`, and `question` beside `solution`.
        """
        solution = text_field(row, "solution")
        worked = solution or text_field(row, "answer")
        problem = text_field(row, "problem") or (solution and text_field(row, "question"))
        if not problem or worked is None:
            return None
        answer = extract_final_answer(worked)
        if answer is None:
            return None
        return Problem(problem, answer, label_field(row, "type"), label_field(row, "level"))
