"""MATH (Hendrycks et al. 2021): `problem`, `solution` with a boxed answer, `type`, `level`."""

from collections.abc import Mapping
from typing import Any

from persona_assets.benchmarks.base import Benchmark, Problem, label_field, text_field
from persona_assets.steps.answers import extract_final_answer


class Math(Benchmark):
    r"""Problems of the layout {"problem": ..., "solution": "... \boxed{7} ..."}."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        """Read one problem; the answer is the final answer of its solution.

        Also read are a worked solution under `answer`, `question` beside `solution`, and the labels
        of MATH-500: `subject` for `type`, and a bare number for `level`.
        """
        solution = text_field(row, "solution")
        worked = solution or text_field(row, "answer")
        problem = text_field(row, "problem") or (solution and text_field(row, "question"))
        if not problem or worked is None:
            return None
        answer = extract_final_answer(worked)
        if answer is None:
            return None
        subject = label_field(row, "type") or label_field(row, "subject")
        level = label_field(row, "level")
        return Problem(problem, answer, subject, f"Level {level}" if _is_number(level) else level)


def _is_number(level: str | None) -> bool:
    return level is not None and level.isdecimal()
