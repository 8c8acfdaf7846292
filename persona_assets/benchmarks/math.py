"""MATH (Hendrycks et al. 2021): `problem`, `solution` with a boxed answer, `type`, `level`."""

from collections.abc import Mapping
from typing import Any

from persona_assets.benchmarks.base import Benchmark, Problem, label_field, text_field
from persona_assets.steps.answers import extract_final_answer


class Math(Benchmark):
    r"""Problems of the layout {"problem": ..., "solution": "... \boxed{7} ..."}."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        """Read one problem; the answer is the final answer of its solution."""
        problem, solution = text_field(row, "problem"), text_field(row, "solution")
        if problem is None or solution is None:
            return None
        answer = extract_final_answer(solution)
        if answer is None:
            return None
        return Problem(problem, answer, label_field(row, "type"), label_field(row, "level"))
