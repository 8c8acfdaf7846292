"""A benchmark of math problems with known answers, from a JSON-lines file.

The layouts of MATH (`problem`, `solution` with its answer in a box, `type`, `level`) and GSM8K
(`question`, `answer` with its answer after `####`) are read as they are.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path

import polars as pl

from persona_assets.ids import content_id, uniform
from persona_assets.steps.answers import extract_final_answer
from persona_assets.storage.step_result import typed_frame

PROBLEMS = pl.Schema(
    {
        "problem_id": pl.String(),
        "problem": pl.String(),
        "answer": pl.String(),
        "subject": pl.String(),
        "level": pl.String(),
    }
)


class BenchmarkError(ValueError):
    """The benchmark cannot be read; the message says where and why."""


class Benchmark:
    """The benchmark at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.name.partition(".")[0]

    @cached_property
    def sha256(self) -> str:
        """Hash of the file. Raises BenchmarkError if it cannot be read."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def problems(self, limit: int | None = None) -> pl.DataFrame:
        """The problems, or `limit` of them drawn by hash: always the same ones.

        Raises BenchmarkError naming the first line that is no problem with an answer.
        """
        rows = []
        for number, line in enumerate(self._bytes().splitlines(), start=1):
            try:
                row = json.loads(line)
                problem = row.get("problem") or row["question"]
                answer = extract_final_answer(row.get("solution") or row["answer"])
                problem_id = content_id("benchmark", problem)
            except (ValueError, KeyError, AttributeError, TypeError):
                raise BenchmarkError(self._wrong(number)) from None
            if answer is None:
                raise BenchmarkError(self._wrong(number))
            rows.append(
                {
                    "problem_id": problem_id,
                    "problem": problem,
                    "answer": answer,
                    "subject": _text(row.get("type")),
                    "level": _text(row.get("level")),
                }
            )
        rows.sort(key=lambda row: uniform("benchmark", row["problem_id"]))
        return typed_frame(rows[:limit], PROBLEMS)

    def _wrong(self, number: int) -> str:
        return (
            f"{self.path} line {number}: expected a JSON object with problem and solution, the "
            "answer in \\boxed{}, or with question and answer, the answer after ####"
        )

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise BenchmarkError(
                f"no benchmark at {self.path} ({error.strerror}): set PERSONA_BENCHMARK"
            ) from None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
