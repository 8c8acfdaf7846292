"""Accuracy of a model on a set of problems, with its interval (section 4.1.2, tables 1 and 2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import Complete, PromptRow, Requests, run_prompt
from persona_assets.steps.answers import extract_final_answer
from persona_assets.steps.grading import Equal
from persona_assets.steps.measurement import FIGURES, figures_of
from persona_assets.steps.outcomes import EXCLUDED, Reply, choose_replies, read_reply
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "2"

ACCURACY = pl.Schema(
    {
        "training_size": pl.Int64(),
        "examples": pl.Int64(),
        "benchmark": pl.String(),
        "model": pl.String(),
        "decoding": pl.String(),
        **FIGURES,
    }
)
"""Accuracy of a fine-tuned model: `examples` is the number of problems that it was trained on, null
without a model; `model` is the hash of its weights."""

SYNTHETIC = "synthetic"
"""Name of the synthetic test (table 1) as a benchmark."""


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
    labels: Mapping[str, Any],
    extract: Callable[[str], str | None] = extract_final_answer,
    samples: int = 1,
    same: Equal | None = None,
    schema: pl.Schema = ACCURACY,
) -> StepResult:
    """Measure the share of problems that a model answers correctly.

    A truncated, refused or unparseable reply is incorrect. A failed call, or an answer that `equal`
    cannot decide, is excluded from n and dropped with its reason. Without problems the accuracy is
    null.

    Args:
        problems: Columns `problem_id`, `problem`, `answer`, and `subject` and `level` where the
            benchmark has them.
        prompt: Prompt `evaluation`.
        complete: Model under test.
        equal: Comparison of (expected, given) answers.
        labels: Columns of the row besides the figures.
        extract: Final answer of a reply.
        samples: Number of replies per problem; of several, the most frequent answer counts.
        same: Comparison of two given answers for that vote; None for `equal`.
        schema: Schema of the row.

    Returns:
        One row of the schema.
    """
    rows = list(problems.iter_rows(named=True))
    replies = _ask(rows, prompt, complete, extract, samples)
    chosen = choose_replies(replies, same or equal)
    answered = [
        (place, row["answer"], reply.given)
        for place, (row, reply) in enumerate(zip(rows, chosen, strict=True))
        if reply.given is not None
    ]
    verdicts = equal([(expected, given) for _, expected, given in answered])
    correct = {place: verdict for (place, _, _), verdict in zip(answered, verdicts, strict=True)}
    results = [
        _result(row, reply, correct.get(place))
        for place, (row, reply) in enumerate(zip(rows, chosen, strict=True))
    ]
    dropped = [
        (result["problem_id"], reply.reason or result["outcome"])
        for result, reply in zip(results, chosen, strict=True)
        if result["outcome"] in EXCLUDED
    ]
    row = {**labels, **figures_of(results)}
    return StepResult(typed_frame([row], schema), quarantine("evaluation", dropped))


def decoding_name(shots: int, temperature: float | None, samples: int) -> str:
    """Describe how a model is asked, such as "zero-shot, greedy", as in the paper.

    Args:
        shots: Number of demonstrations.
        temperature: Temperature of the requests; None for the endpoint's own.
        samples: Number of replies per problem.

    Example:
        >>> decoding_name(4, 0.7, 8)
        '4-shot, temperature 0.7, majority of 8'
    """
    kind = "zero-shot" if shots == 0 else f"{shots}-shot"
    if temperature == 0:
        drawn = "greedy"
    elif temperature is None:
        drawn = "temperature of the endpoint"
    else:
        drawn = f"temperature {temperature:g}"
    return ", ".join([kind, drawn, *([f"majority of {samples}"] if samples > 1 else [])])


def _ask(
    rows: Sequence[Mapping[str, Any]],
    prompt: Prompt,
    complete: Complete,
    extract: Callable[[str], str | None],
    samples: int,
) -> list[list[Reply]]:
    """Return the replies to each problem, in the order of their samples."""
    inputs = [
        PromptRow(row["problem_id"], row, {"problem": row["problem"]}, index)
        for row in rows
        for index in range(samples)
    ]
    requests = Requests(inputs, lambda row: prompt.request(row.inputs, row.index))
    [field] = prompt.head.output
    replies = [read_reply(answer, field, extract) for answer in complete(requests)]
    return [replies[start : start + samples] for start in range(0, len(replies), samples)]


def _result(row: Mapping[str, Any], reply: Reply, correct: bool | None) -> dict[str, Any]:
    verdicts = {True: "correct", False: "wrong", None: "undecided"}
    outcome = reply.outcome or verdicts[correct]
    return {
        "problem_id": row["problem_id"],
        "subject": row.get("subject"),
        "level": row.get("level"),
        "expected": row["answer"],
        "given": reply.given,
        "correct": None if outcome in EXCLUDED else outcome == "correct",
        "outcome": outcome,
        "votes": reply.votes,
        "completion_id": reply.completion_id,
    }
