"""Group `datasets`: one asset for every file in `prompts/tasks/` (section 4)."""

from dataclasses import replace

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, least, times
from persona_assets.assets.draws import draw_of
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.prompting.prompts import Prompt, Prompts
from persona_assets.resources.models import Models
from persona_assets.steps import tasks as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table


def datasets(prompts: Prompts) -> list[TableAsset]:
    """Declare the datasets of a prompts folder."""
    return [dataset(prompt) for prompt in prompts.tasks.values()]


def dataset(prompt: Prompt) -> TableAsset:
    """Declare the dataset of one task, named and described by its prompt file.

    Raises:
        PromptError: A field of the prompt's output has the name of a column of every dataset.
    """
    name = prompt.name

    def samples(bounds: CallBounds) -> int | None:
        task = bounds.settings.task(name)
        personas = bounds.rows("persona_hub") if task.share else 0
        return times(least(times(task.per_shard, bounds.shards), personas), task.per_persona)

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
        version=steps.VERSION,
        prompts=[name],
        settings=[name],
        rows=samples,
        calls=lambda bounds: bounds.question_calls(samples(bounds), name),
        partitions=shards,
        description=prompt.head.description,
    )
    def task(
        context: dg.AssetExecutionContext,
        persona_hub: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        draw = draw_of(project, name, context.partition_key)
        with open_session(context, models) as session:
            result = steps.build_samples(
                persona_hub.collect(),
                project.prompt(name, context.partition_key),
                project.settings.task(name),
                session.complete,
                draw_by=draw.column("persona", "persona_id"),
            )
        return materialize_result(replace(result, decisions=draw.decisions), session)

    return task
