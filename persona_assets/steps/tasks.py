"""Persona-driven synthesis (sections 3 and 4): one step for every task."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from persona_assets.ids import sample_id, uniform
from persona_assets.languages import ENGLISH, UNKNOWN, base_language
from persona_assets.prompting.prompts import Prompt, PromptError
from persona_assets.prompting.run_prompt import COMPLETION_COLUMNS, Complete, PromptRow, run_prompt
from persona_assets.rules.protection import DROP, Protection
from persona_assets.settings import Task
from persona_assets.steps.personas import spoken_language, wrong_language
from persona_assets.steps.verdicts import REPAIRS, Verdicts, count_repairs
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "2"


def dataset_schema(prompt: Prompt) -> pl.Schema:
    """Return the columns of a dataset: ids, fields of the prompt, repairs, model, completion.

    Raises:
        PromptError: A field of the prompt has the name of a column of every dataset.
    """
    ids = {"sample_id": pl.String(), "persona_id": pl.String(), "persona": pl.String()}
    ours = {**ids, **REPAIRS, "licence": pl.String(), **COMPLETION_COLUMNS}
    # A field of this name is older than the column: renaming it would change paid requests.
    language = {} if "language" in prompt.columns else {"language": pl.String()}
    if taken := sorted(ours.keys() & prompt.columns.keys()):
        raise PromptError(
            f"prompt {prompt.name}: the dataset has a column {', '.join(taken)} of its own: give "
            "the output field another name"
        )
    after = {**REPAIRS, "licence": pl.String(), **language, **COMPLETION_COLUMNS}
    return pl.Schema({**ids, **prompt.columns, **after})


def draw_personas(
    hub: pl.DataFrame, name: str, task: Task, draw_by: str = "persona"
) -> pl.DataFrame:
    """Draw the personas of a shard that a task uses.

    A persona is drawn by a hash of the column `draw_by` and the task: independent of the order of
    shards, and a larger share contains every smaller share.
    """
    ranked = hub.with_columns(
        rank=pl.col(draw_by).map_elements(lambda i: uniform(name, i), pl.Float64())
    )
    in_share = ranked.filter(pl.col("rank") < task.share).sort("rank").drop("rank")
    return in_share if task.per_shard is None else in_share.head(task.per_shard)


def sample_inputs(personas: pl.DataFrame, prompt: Prompt, per_persona: int) -> list[PromptRow]:
    """Return the inputs of the prompt for each sample of each persona.

    Args:
        personas: Rows of `persona_hub`.
        prompt: Prompt of the task, bound to the shard.
        per_persona: Samples per persona.
    """
    return [
        PromptRow(
            sample_id(prompt.name, row["persona_id"], index),
            {**row, "language": language},
            {"persona": row["persona"], **asked},
            index,
        )
        for row in personas.iter_rows(named=True)
        for language, asked in [prompt.answer_language(row.get("language") or UNKNOWN)]
        for index in range(per_persona)
    ]


def build_samples(
    hub: pl.DataFrame,
    prompt: Prompt,
    task: Task,
    complete: Complete,
    protection: Protection = DROP,
    *,
    draw_by: str = "persona",
) -> StepResult:
    """Ask for the samples of each drawn persona; one row or one drop per sample.

    Args:
        hub: Rows of `persona_hub`.
        prompt: Prompt of the task, bound to the shard.
        task: Share of the hub, and samples per persona.
        complete: Chat model.
        protection: What is done about personal data.
        draw_by: Column by whose hash the personas are drawn.
    """
    personas = draw_personas(hub, prompt.name, task, draw_by)
    prompt_rows = sample_inputs(personas, prompt, task.per_persona)
    results, dropped = run_prompt(prompt, prompt_rows, complete)
    verdicts = Verdicts(prompt, protection)
    rows: list[dict[str, Any]] = []
    for result in results:
        verdict = verdicts.of(
            result.value, result.row.source["persona"], result.row.source["language"]
        )
        language, text = result.row.source["language"], _longest_text(verdict.value)
        # A person may quote a foreign text, or ask for its translation.
        quotes = prompt.head.kind == "instruction" and base_language(language) == ENGLISH
        expected = UNKNOWN if quotes else language
        reason = verdict.reason or wrong_language(text, expected)
        if reason is not None:
            dropped.append((result.row.row_id, reason))
            continue
        rows.append(
            {
                "sample_id": result.row.row_id,
                "persona_id": result.row.source["persona_id"],
                "persona": result.row.source["persona"],
                "language": spoken_language(text, language),
                **verdict.value,
                "repairs": list(verdict.repairs),
                "licence": result.row.source["licence"],
                **result.completion,
            }
        )
    return StepResult(
        typed_frame(rows, dataset_schema(prompt)),
        quarantine(prompt.name, dropped),
        len(prompt_rows),
        repairs=count_repairs(row["repairs"] for row in rows),
    )


def _longest_text(value: Any) -> str:
    """Return the longest string of an answer, in objects and lists, too: names tell no language."""
    if isinstance(value, str):
        return value
    parts = value.values() if isinstance(value, Mapping) else value
    texts = map(_longest_text, parts if isinstance(value, Mapping | list) else ())
    return max(texts, key=len, default="")
