"""The protocol of a benchmark, and the registry of all benchmarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.registry import Registry
from persona_assets.steps.answers import extract_final_answer
from persona_assets.steps.grading import Equal

PROBLEMS = pl.Schema(
    {
        "problem_id": pl.String(),
        "problem": pl.String(),
        "answer": pl.String(),
        "subject": pl.String(),
        "level": pl.String(),
    }
)
"""Columns of a benchmark's problems; `subject` and `level` are null where the layout has none."""


@dataclass(frozen=True)
class Problem:
    """One problem with its reference answer."""

    problem: str
    answer: str
    subject: str | None = None
    level: str | None = None


class Benchmark:
    """One layout of problems, and how answers to them are extracted and graded.

    Subclasses implement `load`; extraction and grading have defaults.
    """

    grade: Equal | None = None
    """Comparison of (expected, given) answers; None for the project's own: judge or algebra."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        """Read one JSON object.

        Returns:
            The problem, or None if the object has another layout or no answer.
        """
        raise TypeError(f"{type(self).__name__} has no layout of its own: implement load")

    def extract(self, reply: str) -> str | None:
        """Return the final answer of a model's reply, or None if there is none."""
        return extract_final_answer(reply)


DEFAULT = Benchmark()
"""Extraction and grading of problems that come from no benchmark file."""

BENCHMARKS: Registry[type[Benchmark]] = Registry(
    "persona_assets.benchmarks",
    {
        "math": "persona_assets.benchmarks.math:Math",
        "gsm8k": "persona_assets.benchmarks.gsm8k:Gsm8k",
        "aime": "persona_assets.benchmarks.aime:Aime",
    },
)
"""All layouts, in the order in which they are tried on a row."""


def text_field(row: Mapping[str, Any], name: str) -> str | None:
    """Return a field that holds text, or None if it is missing, empty or of another type."""
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def label_field(row: Mapping[str, Any], name: str) -> str | None:
    """Return a field as text, or None if it is missing."""
    value = row.get(name)
    return None if value is None else str(value)
