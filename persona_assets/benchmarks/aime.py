"""AIME (American Invitational Mathematics Examination): `problem`, `answer` from 0 to 999."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from persona_assets.benchmarks.base import Benchmark, Problem, text_field

_ANSWER = re.compile(r"\d{1,3}")
_NUMBER = re.compile(r"[+]?0*(\d+)(?:\.0*)?")


class Aime(Benchmark):
    """Problems of the plain layout {"problem": ..., "answer": "073"}, graded as whole numbers."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        """Read one problem; another kind of answer is another benchmark's."""
        problem, answer = text_field(row, "problem"), row.get("answer")
        if problem is None or row.get("solution"):
            return None
        if isinstance(answer, bool) or not isinstance(answer, int | str):
            return None
        text = str(answer).strip()
        return Problem(problem, str(int(text))) if _ANSWER.fullmatch(text) else None

    @staticmethod
    def grade(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        """Compare (expected, given) answers as whole numbers; no judge is asked.

        >>> Aime.grade([("73", "073"), ("73", "73.5"), ("73", "1000073")])
        [True, False, False]
        """
        return [_whole(expected) == _whole(given) is not None for expected, given in pairs]


def _whole(answer: str) -> str | None:
    number = _NUMBER.fullmatch(answer.replace(",", "").strip())
    return number[1] if number else None
