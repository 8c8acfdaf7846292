"""GSM8K (Cobbe et al. 2021): `question`, and `answer` with the final answer after `####`."""

from collections.abc import Mapping
from typing import Any

from persona_assets.benchmarks.base import Benchmark, Problem, text_field
from persona_assets.steps.answers import extract_final_answer


class Gsm8k(Benchmark):
    """Problems of the layout {"question": ..., "answer": "... #### 7"}."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        """Read one problem; the answer is the final answer of its worked solution."""
        problem, solution = text_field(row, "question"), text_field(row, "answer")
        if problem is None or solution is None:
            return None
        answer = extract_final_answer(solution)
        return None if answer is None else Problem(problem, answer)
