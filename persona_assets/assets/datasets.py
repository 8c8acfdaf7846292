"""Group `datasets`: one asset for every file in `prompts/tasks/` (section 4)."""

import dagster as dg
import polars as pl

from persona_assets.assets.model_calls import POOL, materialize_result, open_session
from persona_assets.assets.reads import reads
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.prompting.prompts import Prompt, Prompts
from persona_assets.resources.models import Models
from persona_assets.steps import tasks as steps
from persona_assets.storage.step_result import StepResult


def datasets(prompts: Prompts) -> list[dg.AssetsDefinition]:
    """The datasets of a prompts folder."""
    return [dataset(prompt) for prompt in prompts.tasks.values()]


def dataset(prompt: Prompt) -> dg.AssetsDefinition:
    """The dataset of one task: its name and its description are the prompt file's."""
    name = prompt.name

    @dg.asset(
        name=name,
        partitions_def=shards,
        group_name="datasets",
        kinds={"llm", "parquet"},
        pool=POOL,
        description=prompt.head.description,
        metadata=reads(steps.VERSION, prompts=[name], settings=[name]),
    )
    def task(
        context: dg.AssetExecutionContext,
        persona_hub: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as asked:
            outcome = steps.build_samples(
                persona_hub.collect(),
                project.prompt(name, context.partition_key),
                project.settings.task(name),
                asked.complete,
            )
        return materialize_result(outcome, asked)

    return task
