"""Accuracy of a model on a set of problems, with its interval (section 4.1.2), and figure 9."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.outcome import Outcome, drops, frame
from persona_assets.prompts import Prompt
from persona_assets.steps.answers import final_answer
from persona_assets.steps.asking import Ask, Complete, ask
from persona_assets.steps.grading import Accuracy, Equal, accuracy, supported_improvement

VERSION = "1"

MODEL = pl.Schema(
    {
        "training_size": pl.Int64,
        "examples": pl.Int64,
        "base_model": pl.String,
        "format": pl.String,
        "path": pl.String,
        "sha256": pl.String,
        "steps": pl.Int64,
        "first_loss": pl.Float64,
        "last_loss": pl.Float64,
    }
)
_RESULT = pl.Struct(
    {
        "problem_id": pl.String,
        "expected": pl.String,
        "given": pl.String,
        "correct": pl.Boolean,
        "completion_id": pl.String,
    }
)
ACCURACY = pl.Schema(
    {
        "training_size": pl.Int64,
        "benchmark": pl.String,
        "model": pl.String,
        "n": pl.Int64,
        "correct": pl.Int64,
        "accuracy": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "results": pl.List(_RESULT),
    }
)
CURVE = pl.Schema({name: kind for name, kind in ACCURACY.items() if name != "results"})


def training_rows(train: pl.DataFrame, size: int) -> list[dict[str, str]]:
    """The `size` training rows with the smallest hash: a smaller set is part of every larger one."""
    rows = sorted(train.iter_rows(named=True), key=lambda row: uniform("train", row["sample_id"]))
    return [{"problem": row["problem"], "solution": row["solution"]} for row in rows[:size]]


def fine_tuned_model(
    trained: Mapping[str, Any] | None, training_size: int, base_model: str
) -> Outcome:
    """One row about a trained model (see TrainedModel); none where there was nothing to train on."""
    if trained is None:
        return Outcome(frame([], MODEL))
    known = {name: trained[name] for name in MODEL.names() if name in trained}
    row = {**known, "training_size": training_size, "base_model": base_model}
    dropped = [(str(index), reason) for index, reason in trained["dropped"]]
    return Outcome(frame([{**row, "path": str(trained["path"])}], MODEL), drops("training", dropped))


def judged(prompt: Prompt, complete: Complete) -> Equal:
    """Equality of answers as a model judges it (section 4.1.2); None where it gives no verdict."""

    def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        asks = [Ask("", {"expected": expected, "given": given}) for expected, given in pairs]
        return [
            answer.value["verdict"] == "yes" if answer.value else None
            for _, answer, _ in ask(prompt, asks, complete)
        ]

    return equal


def evaluate(
    problems: pl.DataFrame,
    prompt: Prompt,
    complete: Complete,
    equal: Equal,
    *,
    benchmark: str,
    training_size: int,
    model: str,
) -> Outcome:
    """One row: the share of problems that the model answers rightly, greedily decoded.

    `problems` has problem_id, problem and answer. An answer that is cut off, or has no final answer,
    counts as wrong; a call that failed counts as nothing and is dropped with its reason. No problems
    give a null accuracy.
    """
    expected = {row["problem_id"]: row["answer"] for row in problems.iter_rows(named=True)}
    asks = [
        Ask(row["problem_id"], {"problem": row["problem"]})
        for row in problems.iter_rows(named=True)
    ]
    given: dict[str, tuple[str, str]] = {}
    dropped = []
    for one, answer, _ in ask(prompt, asks, complete):
        if answer.status == "error":
            dropped.append((one.row_id, answer.reason))
            continue
        solution = answer.value["solution"] if answer.value else ""
        given[one.row_id] = (final_answer(solution) or "", answer.completion_id)
    answered = [row_id for row_id, (final, _) in given.items() if final]
    verdicts = equal([(expected[row_id], given[row_id][0]) for row_id in answered])
    right = {row_id for row_id, verdict in zip(answered, verdicts, strict=True) if verdict}
    figure = accuracy(len(right), len(given))
    row = {
        "training_size": training_size,
        "benchmark": benchmark,
        "model": model,
        "n": figure.n,
        "correct": figure.correct,
        "accuracy": figure.accuracy,
        "low": figure.low,
        "high": figure.high,
        "results": [
            {
                "problem_id": row_id,
                "expected": expected[row_id],
                "given": final or None,
                "correct": row_id in right,
                "completion_id": completion_id,
            }
            for row_id, (final, completion_id) in given.items()
        ],
    }
    return Outcome(frame([row], ACCURACY), drops("evaluation", dropped))


def stated(row: pl.DataFrame) -> str:
    """An accuracy in words, with its interval and n."""
    return str(_accuracies(row)[0])


def verdicts(curve: pl.DataFrame) -> list[str]:
    """For each benchmark a sentence on the largest against the smallest training size."""
    sentences = []
    for (benchmark,), rows in curve.group_by("benchmark", maintain_order=True):
        ordered = rows.sort("training_size")
        sizes, figures = ordered["training_size"], _accuracies(ordered)
        compared = supported_improvement(figures[0], figures[-1])
        sentences.append(f"{benchmark}, {sizes[0]} to {sizes[-1]} problems: {compared}")
    return sentences


def _accuracies(rows: pl.DataFrame) -> list[Accuracy]:
    return [accuracy(row["correct"], row["n"]) for row in rows.iter_rows(named=True)]


def scaling_curve(accuracies: pl.DataFrame) -> Outcome:
    """Figure 9: accuracy by benchmark and number of training problems."""
    rows = accuracies.select(CURVE.names()).sort("benchmark", "training_size")
    return Outcome(rows, rows_in=len(accuracies))
