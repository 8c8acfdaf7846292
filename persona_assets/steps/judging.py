"""Judging of samples: scores of a rubric, with the judge's reason, before anything is made of them.

Belongs here: which samples are judged, and which pass. Does not belong here: what is scored, which
is a file in `prompts/rubrics/`.
"""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import COMPLETION_COLUMNS, Complete, PromptRow, run_prompt
from persona_assets.settings import nearest
from persona_assets.steps.origins import is_conversation, without_completions
from persona_assets.storage.step_result import StepResult, quarantine

VERSION = "1"

JUDGEMENT = "judgement"
"""Column of a judged sample: scores, reason, model and completion id of the judge; null for a
sample that was not drawn."""


JUDGED_ROWS = "judged_rows"
"""Number of judged samples of a table, in the decisions of its footer."""


def judged_schema(samples: pl.Schema, rubric: Prompt) -> pl.Schema:
    """Return the columns of judged samples: those of the samples, and the judgement.

    Raises:
        PromptError: A field of the rubric or of the samples has a name that is taken, or a
            template of the rubric uses a name that is none of the samples.
    """
    if JUDGEMENT in samples:
        raise PromptError(
            f"prompt {rubric.name}: the samples have a field {JUDGEMENT} of their own, the name of "
            "the judge's column: give the output field of the task another name"
        )
    seen = {*(name for name in samples if name not in _UNSEEN), *rubric.head.variables}
    if unknown := sorted(rubric.names - seen):
        raise PromptError(
            f"{rubric.name}.md: a template uses {unknown[0]}{nearest(unknown[0], seen)}; a judge "
            f"sees: {', '.join(sorted(seen))}"
        )
    if taken := sorted(COMPLETION_COLUMNS.keys() & rubric.columns.keys()):
        raise PromptError(
            f"prompt {rubric.name}: a judgement has a column {taken[0]} of its own: give the "
            "output field another name"
        )
    judgement = pl.Struct({**rubric.columns, **COMPLETION_COLUMNS})
    return pl.Schema({**samples, JUDGEMENT: judgement})


def build_judged_samples(
    task: str,
    samples: pl.DataFrame,
    rubric: Prompt,
    share: float,
    complete: Complete,
) -> StepResult:
    """Keep the samples whose scores reach the thresholds of a rubric, and those not drawn.

    Samples are drawn by a hash of their content, so that a larger share contains every smaller one.
    A sample without a usable judgement is dropped: nothing passes for lack of a verdict.

    Args:
        task: Name of the task.
        samples: Unique samples of a shard.
        rubric: Rubric, with thresholds by score.
        share: Share of the samples that are judged.
        complete: Chat model of the judge.
    """
    fields = [name for name in samples.columns if name not in _UNSEEN]
    rows = [
        PromptRow(row["sample_id"], row, {name: _input(row[name]) for name in fields})
        for row in samples.iter_rows(named=True)
        if uniform("judge", task, *(_as_text(_input(row[name])) for name in fields)) < share
    ]
    results, failed = run_prompt(rubric, rows, complete)
    dropped = [(row_id, f"judge_{reason}") for row_id, reason in failed]
    judgements: dict[str, Mapping[str, Any]] = {}
    for result in results:
        reason = rejection(result.value, rubric.head.threshold)
        if reason is None:
            judgements[result.row.row_id] = {**result.value, **result.completion}
        else:
            dropped.append((result.row.row_id, reason))
    gone = pl.Series([row_id for row_id, _ in dropped], dtype=pl.String())
    kept = samples.filter(~pl.col("sample_id").is_in(gone.implode()))
    schema = judged_schema(samples.schema, rubric)
    found = [judgements.get(sample_id) for sample_id in kept["sample_id"]]
    return StepResult(
        kept.with_columns(pl.Series(JUDGEMENT, found, schema[JUDGEMENT])),
        quarantine(f"judged_{task}", dropped),
        len(samples),
        decisions={JUDGED_ROWS: float(len(rows))},
    )


def rejection(scores: Mapping[str, Any], threshold: Mapping[str, float]) -> str | None:
    """Return the reason of the first score below its threshold; None if all reach it.

    Example:
        >>> rejection({"solvable": 2, "reason": "No width is given."}, {"solvable": 4})
        'judge_solvable: 2 where 4 is needed'
    """
    for name, least in threshold.items():
        if scores[name] < least:
            return f"judge_{name}: {scores[name]:g} where {least:g} is needed"
    return None


_IDS = {"sample_id", "source_id", "persona_id", "other_id"}
_UNSEEN = {*_IDS, "repairs", "licence", "language", *COMPLETION_COLUMNS}
"""Columns that a rubric does not see. Its requests depend on the content of a sample alone, and a
judge gives its reason in English."""


def _input(value: Any) -> Any:
    """Return a value as a rubric sees it: text, or the messages of a conversation."""
    return without_completions(value) if is_conversation(value) else _as_text(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
