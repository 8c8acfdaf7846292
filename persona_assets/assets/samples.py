"""Group `samples`: the unique samples of each task.

Two assets a task: `duplicate_<task>` joins the samples of all shards, and `unique_<task>` keeps
the rest of a shard. What is made from samples reads `unique_<task>`: an edit of one task makes no
other task stale, and a new shard leaves the tables of older shards unchanged.
"""

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
from persona_assets.assets.hub import duplicates_result
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.dedup.text.words import VERSION as WORDS_VERSION
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.prompting.prompts import Prompt, Prompts
from persona_assets.resources.deduplicator import Deduplicator, TaskSamples
from persona_assets.steps import samples as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table

GROUP = "samples"

PREFIX = "duplicate_"
"""Prefix of the name of a table of duplicates, before the name of its group of tasks."""

UNIQUE = "unique_"
"""Prefix of the name of a table of unique samples, before the name of its task."""

# An asset's function takes its tasks as keyword arguments, which have no annotation each.
SHARD_TABLES = dg.PythonObjectDagsterType(ShardTables, name="TaskTables")


def tasks_by_group(prompts: Prompts) -> dict[str, list[Prompt]]:
    """Return the tasks whose samples are compared with each other, by the name of the group.

    A task is a group of its own unless its front matter names another: `unique: {among: NAME}`.
    """
    groups: dict[str, list[Prompt]] = {}
    for name, prompt in sorted(prompts.tasks.items()):
        groups.setdefault(prompt.head.unique.among or name, []).append(prompt)
    return groups


def unique_samples(prompts: Prompts, contracts: Mapping[str, Table]) -> list[TableAsset]:
    """Declare the duplicates and the unique samples of the tasks of a prompts folder.

    Args:
        prompts: Prompt files.
        contracts: Contract of the samples, by task.
    """
    assets: list[TableAsset] = []
    for group, tasks in tasks_by_group(prompts).items():
        assets.append(duplicates(group, tasks))
        assets += [survivors(group, prompt.name, contracts[prompt.name]) for prompt in tasks]
    return assets


def duplicates(group: str, tasks: Sequence[Prompt]) -> TableAsset:
    """Declare the duplicates among the samples of one or several tasks, over all shards."""
    names = [prompt.name for prompt in tasks]
    fields = ",".join(f"{prompt.name}:{'+'.join(prompt.unique_fields)}" for prompt in tasks)

    @table_asset(
        name=f"{PREFIX}{group}",
        group=GROUP,
        table=Table(steps.SAMPLE_DUPLICATES, "sample_id", duplicates=True),
        version=f"{steps.VERSION}.{WORDS_VERSION}.{fields}",
        settings=[*(f"{name}.unique" for name in names), "lexical_method", "survivor_priority"],
        ins={
            argument(name): dg.AssetIn(asset_key(name), dagster_type=SHARD_TABLES) for name in names
        },
        description=f"Samples of {', '.join(names)} with the words of an earlier one, each with "
        "the survivor that stands for it.",
    )
    def duplicate_samples(
        project: dg.ResourceParam[Project],
        deduplicator: dg.ResourceParam[Deduplicator],
        **tables: ShardTables,
    ) -> dg.MaterializeResult[StepResult]:
        settings = project.settings
        samples = [
            TaskSamples(prompt.name, tables[argument(prompt.name)], prompt.unique_fields)
            for prompt in compared(project, tasks)
        ]
        threshold = min(settings.task(name).unique_threshold for name in names)
        with deduplicator.samples(group, samples, threshold) as joined:
            by_content = settings.survivor_priority == "content"
            result = steps.build_sample_duplicates(joined.rows, by_content)
            return duplicates_result(result, joined, threshold)

    return duplicate_samples


def survivors(group: str, name: str, contract: Table) -> TableAsset:
    """Declare the unique samples of a task, given the contract of its samples."""

    @table_asset(
        name=f"{UNIQUE}{name}",
        group=GROUP,
        table=Table(contract.schema, contract.row_id, contract.parent),
        version=steps.VERSION,
        rows=lambda bounds: bounds.rows(name),
        partitions=shards,
        ins={
            "samples": dg.AssetIn(asset_key(name)),
            "duplicates": dg.AssetIn(asset_key(f"{PREFIX}{group}")),
        },
        description=f"Samples of {name} that repeat no earlier sample's words.",
    )
    def unique(samples: pl.LazyFrame, duplicates: pl.LazyFrame) -> StepResult:
        return steps.build_unique_samples(name, samples.collect(), duplicates.collect())

    return unique


def compared(project: Project, tasks: Sequence[Prompt]) -> list[Prompt]:
    """Return the tasks that have text and whose setting `unique` is on."""
    return [
        prompt
        for prompt in tasks
        if prompt.unique_fields and project.settings.task(prompt.name).unique
    ]
