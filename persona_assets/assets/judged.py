"""Group `samples`: the samples of a task that its judge accepts.

A task is judged if its setting `judge` is a share and `prompts/rubrics/` has a file of its name.
"""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.samples import GROUP, UNIQUE
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import RUBRICS, Prompts
from persona_assets.resources.models import Models
from persona_assets.settings import Task
from persona_assets.steps import judging as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

JUDGED = "judged_"
"""Prefix of the name of a table of judged samples, before the name of its task."""


def is_judged(prompts: Prompts, tasks: Mapping[str, Task], name: str) -> bool:
    """Return True if the samples of a task are judged."""
    return prompts.rubric(name) is not None and bool(tasks.get(name, Task()).judge)


def finished_samples(prompts: Prompts, tasks: Mapping[str, Task], name: str) -> str:
    """Return the name of the last table of a task: what is made from its samples reads it."""
    prefix = JUDGED if is_judged(prompts, tasks, name) else UNIQUE
    return f"{prefix}{name}"


def judged_samples(
    prompts: Prompts, tasks: Mapping[str, Task], contracts: Mapping[str, Table]
) -> list[TableAsset]:
    """Declare the judged samples of the tasks of a prompts folder.

    Args:
        prompts: Prompt files.
        tasks: Settings by task.
        contracts: Contract of the samples, by task.
    """
    return [
        judged(prompt, rubric, contracts[name])
        for name, prompt in sorted(prompts.tasks.items())
        if is_judged(prompts, tasks, name) and (rubric := prompts.rubric(name)) is not None
    ]


def judged(prompt: Prompt, rubric: Prompt, contract: Table) -> TableAsset:
    """Declare the judged samples of a task, given the contract of its samples.

    Raises:
        PromptError: A field of the task or of the rubric has a name that is taken.
    """
    name = prompt.name
    scored = f"{RUBRICS}{name}"

    @table_asset(
        name=f"{JUDGED}{name}",
        group=GROUP,
        table=Table(steps.judged_schema(contract.schema, rubric), contract.row_id, contract.parent),
        version=f"{steps.VERSION}.{sorted(rubric.head.threshold.items())}",
        prompts=[scored],
        settings=[f"{name}.judge"],
        rows=lambda bounds: bounds.rows(f"{UNIQUE}{name}"),
        calls=lambda bounds: bounds.question_calls(
            bounds.drawn(bounds.rows(f"{UNIQUE}{name}"), bounds.settings.task(name).judge or 0.0),
            scored,
        ),
        partitions=shards,
        ins={"samples": dg.AssetIn(asset_key(f"{UNIQUE}{name}"))},
        description=f"Samples of {name} that its judge accepts: {rubric.head.description}",
    )
    def judge(
        context: dg.AssetExecutionContext,
        samples: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        share = project.settings.task(name).judge or 0.0
        with open_session(context, models) as session:
            result = steps.build_judged_samples(
                name,
                samples.collect(),
                project.prompt(scored, context.partition_key),
                share,
                session.complete,
            )
        passed = result.rows[steps.JUDGEMENT].count()
        return materialize_result(result, session, judged=passed + len(result.dropped))

    return judge
