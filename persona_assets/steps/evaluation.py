"""Accuracy of a model on a set of problems, with its interval (section 4.1.2), and figure 9."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.prompting.prompts import Prompt
from persona_assets.prompting.run_prompt import Complete, PromptRow, run_prompt
from persona_assets.steps.answers import extract_final_answer
from persona_assets.steps.grading import Accuracy, Equal, accuracy, supported_improvement
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

MODEL = pl.Schema(
    {
        "training_size": pl.Int64(),
        "examples": pl.Int64(),
        "base_model": pl.String(),
        "format": pl.String(),
        "path": pl.String(),
        "sha256": pl.String(),
        "steps": pl.Int64(),
        "first_loss": pl.Float64(),
        "last_loss": pl.Float64(),
    }
)
_RESULT = pl.Struct(
    {
        "problem_id": pl.String(),
        "expected": pl.String(),
        "given": pl.String(),
        "correct": pl.Boolean(),
        "completion_id": pl.String(),
    }
)
ACCURACY = pl.Schema(
    {
        "training_size": pl.Int64(),
        "benchmark": pl.String(),
        "model": pl.String(),
        "n": pl.Int64(),
        "correct": pl.Int64(),
        "accuracy": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "results": pl.List(_RESULT),
    }
)
CURVE = pl.Schema({name: kind for name, kind in ACCURACY.items() if name != "results"})


def training_rows(train: pl.DataFrame, size: int) -> list[dict[str, str]]:
    """The `size` training rows with the smallest hash: each set is part of every larger one."""
    rows = sorted(train.iter_rows(named=True), key=lambda row: uniform("train", row["sample_id"]))
    return [{"problem": row["problem"], "solution": row["solution"]} for row in rows[:size]]


def build_fine_tuned_model(
    trained: Mapping[str, Any] | None, *, training_size: int, base_model: str, data_dir: Path
) -> StepResult:
    """One row about a trained model (see TrainedModel), its path relative to the data folder.

    No row where nothing was trained; examples that were left out are dropped with their reason.
    """
    if trained is None:
        return StepResult(typed_frame([], MODEL))
    known = {name: trained[name] for name in MODEL.names() if name in trained}
    path = trained["path"].relative_to(data_dir).as_posix()
    row = {**known, "training_size": training_size, "base_model": base_model, "path": path}
    left_out = [(str(index), reason) for index, reason in trained["dropped"]]
    return StepResult(typed_frame([row], MODEL), quarantine("fine_tuned_model", left_out))


def judge_equality(prompt: Prompt, complete: Complete) -> Equal:
    """Equality of answers as a model judges it (section 4.1.2); None where it gives no verdict."""

    def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        asks = [
            PromptRow(str(number), {}, {"expected": expected, "given": given})
            for number, (expected, given) in enumerate(pairs)
        ]
        kept, _ = run_prompt(prompt, asks, complete)
        verdicts = {k.row.row_id: k.value["verdict"] == "yes" for k in kept}
        return [verdicts.get(one.row_id) for one in asks]

    return equal


def evaluate(
    problems: pl.DataFrame,
    prompt: Prompt,
    complete: Complete,
    equal: Equal,
    *,
    extract: Callable[[str], str | None] = extract_final_answer,
    benchmark: str,
    training_size: int,
    model: str,
) -> StepResult:
    """One row: the share of problems that the model answers rightly, greedily decoded.

    `problems` has problem_id, problem and answer. An answer that is cut off, or has no final
    answer, counts as wrong; a call that failed, or an answer that `equal` cannot decide on, counts
    as nothing and is dropped with its reason. No problems give a null accuracy.
    """
    asks = [
        PromptRow(row["problem_id"], row, {"problem": row["problem"]})
        for row in problems.iter_rows(named=True)
    ]
    kept, rest = run_prompt(prompt, asks, complete)
    failed = [(row_id, reason) for row_id, reason in rest if reason.startswith("error:")]
    given = {k.row.row_id: extract(k.value["solution"]) for k in kept}
    answered = [(one, final) for one in asks if (final := given.get(one.row_id))]
    verdicts = equal([(one.source["answer"], final) for one, final in answered])
    verdict_of = {one.row_id: it for (one, _), it in zip(answered, verdicts, strict=True)}
    failed += [(row_id, "undecided") for row_id, verdict in verdict_of.items() if verdict is None]
    left_out = {row_id for row_id, _ in failed}
    made_by = {k.row.row_id: k.made_by["completion_id"] for k in kept}
    results = [
        {
            "problem_id": one.row_id,
            "expected": one.source["answer"],
            "given": given.get(one.row_id),
            "correct": verdict_of.get(one.row_id) is True,
            "completion_id": made_by.get(one.row_id),
        }
        for one in asks
        if one.row_id not in left_out
    ]
    figure = accuracy(sum(result["correct"] for result in results), len(results))
    row = {
        "training_size": training_size,
        "benchmark": benchmark,
        "model": model,
        "n": figure.n,
        "correct": figure.correct,
        "accuracy": figure.accuracy,
        "low": figure.low,
        "high": figure.high,
        "results": results,
    }
    return StepResult(typed_frame([row], ACCURACY), quarantine("evaluation", failed))


def accuracy_sentence(row: pl.DataFrame) -> str:
    """An accuracy in words, with its interval and n."""
    return str(_accuracies(row)[0])


def curve_verdicts(curve: pl.DataFrame) -> list[str]:
    """For each benchmark a sentence on the largest against the smallest training size."""
    sentences: list[str] = []
    for (benchmark,), rows in curve.group_by("benchmark", maintain_order=True):
        ordered = rows.sort("training_size")
        sizes, figures = ordered["training_size"], _accuracies(ordered)
        compared = supported_improvement(figures[0], figures[-1])
        sentences.append(f"{benchmark}, {sizes[0]} to {sizes[-1]} problems: {compared}")
    return sentences


def _accuracies(rows: pl.DataFrame) -> list[Accuracy]:
    return [accuracy(row["correct"], row["n"]) for row in rows.iter_rows(named=True)]


def build_scaling_curve(accuracies: pl.DataFrame) -> StepResult:
    """Figure 9: accuracy by benchmark and number of training problems."""
    rows = accuracies.select(CURVE.names()).sort("benchmark", "training_size")
    return StepResult(rows, rows_in=len(accuracies))
