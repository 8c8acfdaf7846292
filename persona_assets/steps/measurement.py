"""Measurement of a model on problems: results, accuracy with its interval, counts by outcome.

Belongs here: figures that follow from results. Does not belong here: asking the model and grading
its answers, see `evaluation`; two models on the same problems, see `comparison`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.steps.grading import accuracy
from persona_assets.steps.outcomes import OUTCOMES

RESULT = pl.Schema(
    {
        "problem_id": pl.String(),
        "subject": pl.String(),
        "level": pl.String(),
        "expected": pl.String(),
        "given": pl.String(),
        "correct": pl.Boolean(),
        "outcome": pl.String(),
        "votes": pl.Int64(),
        "completion_id": pl.String(),
    }
)
"""Columns of the result of a problem; `correct` is null for an outcome that is excluded."""

BY = ("subject", "level")
"""Labels of a problem by which accuracies are told apart."""

GROUP = pl.Schema(
    {
        "by": pl.String(),
        "value": pl.String(),
        "n": pl.Int64(),
        "correct": pl.Int64(),
        "accuracy": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
"""Columns of the accuracy on the problems of a subject or of a level."""

_COUNTED: list[str] = [outcome for outcome in OUTCOMES if outcome != "correct"]

FIGURES = pl.Schema(
    {
        "n": pl.Int64(),
        "correct": pl.Int64(),
        "accuracy": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        **dict.fromkeys(_COUNTED, pl.Int64()),
        "groups": pl.List(pl.Struct(GROUP)),
        "results": pl.List(pl.Struct(RESULT)),
    }
)
"""Figures of a measurement: accuracy, problems by outcome, accuracy by group, all results."""


def figures_of(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of results, columns of FIGURES."""
    outcomes = Counter(result["outcome"] for result in results)
    return {
        **_shares(results),
        **{outcome: outcomes[outcome] for outcome in _COUNTED},
        "groups": list(_groups(results)),
        "results": list(results),
    }


def accuracy_sentence(rows: pl.DataFrame) -> str:
    """Return accuracies in words, each with its interval and n, and the errors without an answer.

    Args:
        rows: Rows with the columns of FIGURES.
    """
    sentences: list[str] = []
    for row in rows.iter_rows(named=True):
        silent = [
            f"{row[outcome]} {outcome}"
            for outcome in _COUNTED
            if outcome != "wrong" and row[outcome]
        ]
        figure = str(accuracy(row["correct"], row["n"]))
        sentences.append(f"{figure}; {', '.join(silent)}" if silent else figure)
    return "\n".join(sentences)


def groups_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the accuracies by subject and level of a measurement, columns of GROUP."""
    listed = rows.select("groups").explode("groups").drop_nulls()
    return listed.unnest("groups") if len(listed) else pl.DataFrame(schema=GROUP)


def readable_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the accuracies by subject and level in words: `by`, `value`, `accuracy`."""
    groups = groups_of(rows)
    figures = groups.select("correct", "n").iter_rows()
    words = pl.Series("accuracy", [str(accuracy(*figure)) for figure in figures], pl.String)
    return groups.select("by", "value").with_columns(words)


def without_answer(rows: pl.DataFrame) -> dict[str, list[str]]:
    """Return the completion ids of a measurement by outcome, those with a final answer left out."""
    found: dict[str, list[str]] = {}
    for results in rows["results"]:
        for result in results:
            if result["given"] is None:
                found.setdefault(result["outcome"], []).append(result["completion_id"])
    return found


def _shares(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = [result["correct"] for result in results if result["correct"] is not None]
    figure = accuracy(sum(verdicts), len(verdicts))
    names = ("n", "correct", "accuracy", "low", "high")
    return {name: getattr(figure, name) for name in names}


def _groups(results: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for by in BY:
        values = sorted({result[by] for result in results if result[by] is not None})
        for value in values:
            members = [result for result in results if result[by] == value]
            yield {"by": by, "value": value, **_shares(members)}
