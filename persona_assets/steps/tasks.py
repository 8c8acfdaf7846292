"""Persona-driven synthesis (sections 3 and 4): one step for every task.

What a row is made from is in origins.py, conversations are in conversations.py.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from persona_assets.ids import content_id, sample_id, uniform
from persona_assets.languages import ENGLISH, UNKNOWN, base_language
from persona_assets.postprocess import STEPS, RunProgram, run_nothing
from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.run_prompt import (
    COMPLETION_COLUMNS,
    Complete,
    PromptRow,
    run_prompt,
)
from persona_assets.rules.protection import DROP, Protection
from persona_assets.settings import Task, nearest
from persona_assets.steps.conversations import converse
from persona_assets.steps.origins import (
    OTHER,
    PARENT,
    PERSONA,
    answer_columns,
    origin_of,
    source_texts,
    texts_in,
)
from persona_assets.steps.personas import spoken_language, wrong_language
from persona_assets.steps.verdicts import (
    REPAIRS,
    Verdict,
    Verdicts,
    count_repairs,
    expected_language,
)
from persona_assets.storage.step_result import StepResult, quarantine, typed_frame

VERSION = "2"


def dataset_schema(prompt: Prompt, source: Prompt | None = None) -> pl.Schema:
    """Return the columns of a dataset: ids, fields of the prompt, repairs, model, completion.

    Args:
        prompt: Prompt of the task.
        source: Prompt of the task whose samples the rows are made from; None for personas.

    Raises:
        PromptError: A field of the prompt has the name of a column of every dataset, or `keep`
            names a field that the source does not have, or a step of Python needs a column that is
            not there.
    """
    if source is not None:
        has = answer_columns(source)
        if missing := [name for name in prompt.head.keep if name not in has]:
            raise PromptError(
                f"prompt {prompt.name}: keep names {missing[0]}{nearest(missing[0], has)}; the "
                f"fields of {source.name} are: {', '.join(has)}"
            )
    _check_steps(prompt, source)
    fields = answer_columns(prompt)
    ids = {"sample_id": pl.String(), **origin_of(prompt, source).columns}
    ours = {**ids, **REPAIRS, "licence": pl.String(), **COMPLETION_COLUMNS}
    # A field of this name is older than the column: renaming it would change paid requests.
    language = {} if "language" in fields else {"language": pl.String()}
    if taken := sorted(ours.keys() & fields.keys()):
        raise PromptError(
            f"prompt {prompt.name}: the dataset has a column {', '.join(taken)} of its own: give "
            "the output field another name"
        )
    after = {**REPAIRS, "licence": pl.String(), **language, **COMPLETION_COLUMNS}
    return pl.Schema({**ids, **fields, **after})


def _check_steps(prompt: Prompt, source: Prompt | None) -> None:
    """Raise PromptError unless each step of Python has the columns that it needs."""
    has = {*prompt.columns, *origin_of(prompt, source).columns}
    has |= set(answer_columns(source)) if source is not None else set()
    for name in prompt.head.then:
        step = STEPS.get(name)
        if missing := [column for column in step.needs if column not in has]:
            raise PromptError(
                f"prompt {prompt.name}: the step {name} in then needs a column {missing[0]}: name "
                "a step before it that adds one, or a task in from that has one"
            )
        has |= set(step.columns)


def draw_origins(
    origins: pl.DataFrame, name: str, task: Task, draw_by: str = "persona"
) -> pl.DataFrame:
    """Draw the origins of a shard that a task uses.

    An origin is drawn by a hash of the column `draw_by` and the task: independent of the order of
    shards, and a larger share contains every smaller share. In a stratified draw the first of each
    stratum come before the second of any.
    """
    ranked = origins.with_columns(
        rank=pl.col(draw_by).map_elements(lambda i: uniform(name, i), pl.Float64())
    )
    in_share = ranked.filter(pl.col("rank") < task.share).sort("rank").drop("rank")
    if task.stratify:
        place = pl.int_range(pl.len()).over(list(task.stratify))
        in_share = in_share.sort(place, maintain_order=True)
    return in_share if task.per_shard is None else in_share.head(task.per_shard)


def sample_rows(
    origins: pl.DataFrame,
    prompt: Prompt,
    task: Task,
    *,
    source: Prompt | None = None,
    draw_by: str = "persona",
) -> list[PromptRow]:
    """Return the inputs of a task's prompt, one per sample.

    Args:
        origins: What the rows are made from: rows of `persona_hub`, or see origins.py.
        prompt: Prompt of the task, bound to the shard.
        task: Share of the origins, and samples of each.
        source: Prompt of the task whose samples the rows are made from; None for personas.
        draw_by: Column by whose hash the origins are drawn.
    """
    drawn = draw_origins(origins, prompt.file, task, draw_by)
    return sample_inputs(drawn, prompt, task.per_persona, source)


def sample_inputs(
    origins: pl.DataFrame, prompt: Prompt, per_persona: int, source: Prompt | None = None
) -> list[PromptRow]:
    """Return the inputs of a task's prompt for each sample of each origin; see `sample_rows`."""
    origin = origin_of(prompt, source)
    made = [
        PromptRow(
            sample_id(prompt.name, origin.key(row), index),
            {**row, "language": language},
            {**{name: row[name] for name in origin.inputs}, **asked},
            index,
        )
        for row in origins.iter_rows(named=True)
        for language, asked in [prompt.answer_language(row.get("language") or UNKNOWN)]
        for index in range(per_persona)
    ]
    return made if prompt.shows_persona else [_without_persona(row, prompt) for row in made]


def _without_persona(row: PromptRow, prompt: Prompt) -> PromptRow:
    """Return a row whose request shows nothing of its persona.

    Requests of many rows are then the same text: each is a sample of its own, by a number from the
    row's id, which depends on no other shard. Subjects are dealt out by that number, too.
    """
    index = int(content_id("without persona", row.row_id)[:12], 16)
    inputs = {**row.inputs, **{name: "" for name in ("persona", *PARENT) if name in row.inputs}}
    subjects = {**prompt.head.variables, **prompt.prompting.variables}.get("focus", "").split(" | ")
    if len(subjects) > 1:
        inputs["focus"] = subjects[index % len(subjects)]
    return PromptRow(row.row_id, {**row.source, "persona": ""}, inputs, index)


def build_samples(
    origins: pl.DataFrame,
    prompt: Prompt,
    task: Task,
    complete: Complete,
    protection: Protection = DROP,
    *,
    source: Prompt | None = None,
    draw_by: str = "persona",
    run_program: RunProgram = run_nothing,
) -> StepResult:
    """Ask for the samples of each drawn origin; one row or one drop per sample.

    Args:
        origins: See `sample_rows`, as for `prompt`, `task`, `source` and `draw_by`.
        prompt: Prompt of the task.
        task: Settings of the task.
        complete: Chat model.
        protection: What is done about personal data.
        source: Prompt of the source.
        draw_by: Column of the draw.
        run_program: Sandbox, for the steps of Python that the prompt names in `then`.
    """
    prompt_rows = sample_rows(origins, prompt, task, source=source, draw_by=draw_by)
    verdicts = Verdicts(prompt, protection)
    repairs: Mapping[str, tuple[str, ...]] | None = None
    if prompt.head.turns:
        results, dropped, repairs = converse(prompt, prompt_rows, complete, verdicts)
    else:
        results, dropped = run_prompt(prompt, prompt_rows, complete)
    columns = tuple(origin_of(prompt, source).columns)
    rows: list[dict[str, Any]] = []
    for result in results:
        row, language = result.row.source, _language(prompt, result.row)
        if repairs is None:
            about = source_texts(prompt, result.row.inputs)
            verdict = verdicts.of(result.value, about, language)
        else:
            # Each message has its verdict already.
            verdict = Verdict(result.value, repairs[result.row.row_id])
        text = max(texts_in(verdict.value), key=len, default="")  # Names tell no language.
        # A person may quote a foreign text; code is in no language.
        is_code = prompt.head.kind == "code"
        quotes = prompt.head.kind == "instruction" and base_language(language) == ENGLISH
        expected = UNKNOWN if quotes or is_code else language
        reason = verdict.reason or wrong_language(text, expected)
        answer = verdict.value
        if reason is None:
            answer, reason = _postprocess(prompt, answer, row, run_program)
        if reason is not None:
            dropped.append((result.row.row_id, reason))
            continue
        rows.append(
            {
                "sample_id": result.row.row_id,
                **{name: row[name] for name in columns},
                "language": row["language"] if is_code else spoken_language(text, language),
                **answer,
                "repairs": list(verdict.repairs),
                "licence": row["licence"],
                **result.completion,
            }
        )
    return StepResult(
        typed_frame(rows, dataset_schema(prompt, source)),
        quarantine(prompt.name, dropped),
        len(prompt_rows),
        repairs=count_repairs(row["repairs"] for row in rows),
    )


def _language(prompt: Prompt, row: PromptRow) -> str:
    """Return the language that an answer must be in. A persona asks for no translation."""
    asking = {k: v for k, v in row.inputs.items() if k not in {*PERSONA, *OTHER, *PARENT}}
    return expected_language(row.source["language"], source_texts(prompt, asking))


def _postprocess(
    prompt: Prompt, answer: Mapping[str, Any], row: Mapping[str, Any], run_program: RunProgram
) -> tuple[Mapping[str, Any], str | None]:
    """Return an answer with the columns of the steps of Python, or the reason of the drop."""
    for name in prompt.head.then:
        added = STEPS.get(name)(answer, row, run_program)
        if isinstance(added, str):
            return answer, added
        answer = {**answer, **added}
    return answer, None
