"""Group `datasets`: one asset for every file in `prompts/tasks/` (section 4)."""

from collections.abc import Mapping
from dataclasses import replace

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.chosen import VECTOR_SETTINGS, VECTORS, chosen_personas
from persona_assets.assets.draws import draw_of
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.personas import HOPS
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.prompting.prompts import Prompt, Prompts
from persona_assets.resources.models import Models
from persona_assets.rules import protection
from persona_assets.settings import Task
from persona_assets.steps import tasks as steps
from persona_assets.steps.verdicts import rules_version
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table


def datasets(prompts: Prompts, tasks: Mapping[str, Task]) -> list[TableAsset]:
    """Declare the datasets of a prompts folder, given the settings by task."""
    return [dataset(prompt, tasks.get(prompt.name, Task())) for prompt in prompts.tasks.values()]


def dataset(prompt: Prompt, settings: Task) -> TableAsset:
    """Declare the dataset of one task, named and described by its prompt file.

    A task that chooses personas by meaning reads their vectors, too.

    Raises:
        PromptError: A field of the prompt's output has the name of a column of every dataset.
    """
    name = prompt.name
    by_meaning = settings.like is not None
    inputs = ["persona_hub", *([VECTORS] if by_meaning else [])]

    def samples(bounds: CallBounds) -> int | None:
        task = bounds.settings.task(name)
        personas = bounds.rows("persona_hub") if task.share else 0
        shard_limits = (times(limit, bounds.shards) for limit in (task.per_shard, task.nearest))
        return times(least(*shard_limits, personas, _of_hops(bounds, task)), task.per_persona)

    def calls(bounds: CallBounds) -> int | None:
        described = bounds.embedding_calls(1, bounds.shards) if by_meaning else 0
        return plus(bounds.question_calls(samples(bounds), name), described)

    @table_asset(
        name=name,
        group="datasets",
        table=Table(
            steps.dataset_schema(prompt),
            "sample_id",
            "persona_id",
            makes=True,
            text=next(iter(prompt.unique_fields), None),
        ),
        version=f"{steps.VERSION}.{rules_version(kind=prompt.head.kind)}",
        earlier=["1"],
        prompts=[name],
        settings=[name, *protection.SETTINGS, *(VECTOR_SETTINGS if by_meaning else ())],
        rows=samples,
        calls=calls,
        partitions=shards,
        ins={each: dg.AssetIn(each) for each in inputs},
        description=prompt.head.description,
    )
    def task(
        context: dg.AssetExecutionContext,
        persona_hub: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        **vectors: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        draw = draw_of(project, name, context.partition_key)
        settings = project.settings.task(name)
        with open_session(context, models) as session:
            choice = chosen_personas(
                project, settings, persona_hub.collect(), vectors.get(VECTORS), session
            )
            result = steps.build_samples(
                choice.personas,
                project.prompt(name, context.partition_key),
                settings,
                session.complete,
                project.protection,
                draw_by=draw.column("persona", "persona_id"),
            )
        result = replace(result, decisions=draw.decisions)
        return materialize_result(result, session, chosen=choice.told)

    return task


def _of_hops(bounds: CallBounds, task: Task) -> int | None:
    """Return the most personas of the hops that a task asks."""
    if task.hops is None:
        return None
    tables = ["text_personas", *HOPS]
    return plus(*(bounds.rows(tables[hop]) for hop in set(task.hops) & set(range(len(tables)))))
