"""Accuracy of a model on a set of problems, with its interval (section 4.1.2, figure 9)."""

from collections.abc import Callable, Sequence

import polars as pl

from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete, PromptRow, run_prompt
from persona_assets.steps.answers import extract_final_answer
from persona_assets.steps.grading import Accuracy, Equal, accuracy, supported_improvement
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "1"

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


def judge_equality(prompt: Prompt, complete: Complete) -> Equal:
    """Compare answers by a model's verdict (section 4.1.2); None for a pair without a verdict."""

    def equal(pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        prompt_rows = [
            PromptRow(str(number), {}, {"expected": expected, "given": given})
            for number, (expected, given) in enumerate(pairs)
        ]
        results, _ = run_prompt(prompt, prompt_rows, complete)
        verdicts = {result.row.row_id: result.value["verdict"] == "yes" for result in results}
        return [verdicts.get(row.row_id) for row in prompt_rows]

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
    """Measure the share of problems that a model answers correctly.

    A truncated answer, or one without a final answer, is incorrect. A failed call, or an answer
    that `equal` cannot decide, is excluded and dropped with its reason. Without problems the
    accuracy is null.

    Args:
        problems: Columns `problem_id`, `problem`, `answer`.
        prompt: Prompt `evaluation`, decoded greedily.
        complete: Model under test.
        equal: Comparison of (expected, given) answers.
        extract: Final answer of a reply.
        benchmark: Name of the problem set.
        training_size: Number of training problems of the model.
        model: Hash of the model's weights.

    Returns:
        One row of the schema ACCURACY.
    """
    prompt_rows = [
        PromptRow(row["problem_id"], row, {"problem": row["problem"]})
        for row in problems.iter_rows(named=True)
    ]
    results, rest = run_prompt(prompt, prompt_rows, complete)
    failed = [(row_id, reason) for row_id, reason in rest if reason.startswith("error:")]
    given = {result.row.row_id: extract(result.value["solution"]) for result in results}
    answered = [(row, final) for row in prompt_rows if (final := given.get(row.row_id))]
    equalities = equal([(row.source["answer"], final) for row, final in answered])
    verdicts = {row.row_id: same for (row, _), same in zip(answered, equalities, strict=True)}
    failed += [(row_id, "undecided") for row_id, verdict in verdicts.items() if verdict is None]
    excluded = {row_id for row_id, _ in failed}
    completions = {result.row.row_id: result.completion["completion_id"] for result in results}
    graded = [
        {
            "problem_id": row.row_id,
            "expected": row.source["answer"],
            "given": given.get(row.row_id),
            "correct": verdicts.get(row.row_id) is True,
            "completion_id": completions.get(row.row_id),
        }
        for row in prompt_rows
        if row.row_id not in excluded
    ]
    figure = accuracy(sum(result["correct"] for result in graded), len(graded))
    row = {
        "training_size": training_size,
        "benchmark": benchmark,
        "model": model,
        "n": figure.n,
        "correct": figure.correct,
        "accuracy": figure.accuracy,
        "low": figure.low,
        "high": figure.high,
        "results": graded,
    }
    return StepResult(typed_frame([row], ACCURACY), quarantine("evaluation", failed))


def accuracy_sentence(row: pl.DataFrame) -> str:
    """Return an accuracy in words, with its interval and n."""
    return str(_accuracies(row)[0])


def curve_verdicts(curve: pl.DataFrame) -> list[str]:
    """Compare the largest with the smallest training size, in one sentence per benchmark."""
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
    """Collect accuracies by benchmark and number of training problems (figure 9)."""
    rows = accuracies.select(CURVE.names()).sort("benchmark", "training_size")
    return StepResult(rows, rows_in=len(accuracies))
