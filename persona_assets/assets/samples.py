"""Group `samples`: the unique samples of each task.

`duplicate_<task>` joins the samples of all shards by their words, and `unique_<task>` keeps the
rest of a shard. Where a task asks for it, samples are compared by meaning, too: `distinct_<task>`
is then the rest of a shard by words, `embedded_<task>` holds its vectors, `similar_<task>` joins
them, and `unique_<task>` keeps the rest of both.

What is made from samples reads `unique_<task>`: an edit of one task makes no other task stale, and
a new shard leaves the tables of older shards unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
from persona_assets.assets.call_bounds import MOST_PROBES, CallBounds
from persona_assets.assets.hub import duplicates_result
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.dedup.text.words import VERSION as WORDS_VERSION
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.deduplicator import Deduplicator, TaskSamples, TaskVectors
from persona_assets.resources.models import Models
from persona_assets.resources.session import EMBEDDING_BATCH, EMBEDDING_BATCH_BYTES
from persona_assets.settings import Settings, SettingsError, Task
from persona_assets.steps import hub, scripts
from persona_assets.steps import samples as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table

GROUP = "samples"

DUPLICATE = "duplicate_"
"""Prefix of the name of a table of duplicates by words, before the name of its group of tasks."""

SIMILAR = "similar_"
"""Prefix of the name of a table of duplicates by meaning, before the name of its group of tasks."""

DISTINCT = "distinct_"
"""Prefix of the name of a table of samples without duplicates by words."""

EMBEDDED = "embedded_"
"""Prefix of the name of a table of vectors of samples."""

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


def unique_samples(
    prompts: Prompts, settings: Mapping[str, Task], contracts: Mapping[str, Table]
) -> list[TableAsset]:
    """Declare the tables from the samples of a prompts folder to the unique samples, inputs first.

    Args:
        prompts: Prompt files.
        settings: Settings by task.
        contracts: Contract of the samples, by task.

    Raises:
        SettingsError: A task cannot be compared by meaning.
    """
    assets: list[TableAsset] = []
    for group, tasks in tasks_by_group(prompts).items():
        embedded = compared_by_meaning(tasks, settings)
        by_words, by_meaning = f"{DUPLICATE}{group}", f"{SIMILAR}{group}"
        assets.append(duplicates(group, tasks))
        for prompt in embedded:
            name = prompt.name
            assets.append(survivors(DISTINCT, name, contracts[name], name, by_words))
            assets.append(embeddings(prompt, f"{DISTINCT}{name}"))
        if embedded:
            assets.append(similar(group, embedded))
        for prompt in tasks:
            name = prompt.name
            last = (f"{DISTINCT}{name}", by_meaning) if prompt in embedded else (name, by_words)
            assets.append(survivors(UNIQUE, name, contracts[name], *last))
    return assets


def duplicates(group: str, tasks: Sequence[Prompt]) -> TableAsset:
    """Declare the duplicates by words of one or several tasks, over all shards."""
    names = [prompt.name for prompt in tasks]

    @table_asset(
        name=f"{DUPLICATE}{group}",
        group=GROUP,
        table=Table(steps.SAMPLE_DUPLICATES, "sample_id", duplicates=True),
        version=f"{steps.VERSION}.{WORDS_VERSION}.{_fields(tasks)}",
        settings=[*(f"{name}.unique" for name in names), "lexical_method", "survivor_priority"],
        ins=_all_shards(names),
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
            for prompt in compared(tasks, settings.tasks)
        ]
        threshold = min(settings.task(name).unique_threshold for name in names)
        with deduplicator.samples(group, samples, threshold) as joined:
            result = steps.build_sample_duplicates(
                joined.rows, "lexical", settings.survives_by_content
            )
            return duplicates_result(result, joined, threshold)

    return duplicate_samples


def embeddings(prompt: Prompt, samples: str) -> TableAsset:
    """Declare the vectors of the samples of a task.

    Args:
        prompt: Prompt of the task.
        samples: Name of the table of samples without duplicates by words.
    """
    name = prompt.name

    def calls(bounds: CallBounds) -> int | None:
        batch = least_batch(bounds.settings)
        return bounds.embedding_calls(bounds.rows(name), bounds.shards, MOST_PROBES, batch)

    @table_asset(
        name=f"{EMBEDDED}{name}",
        group=GROUP,
        table=Table(steps.SAMPLE_EMBEDDINGS, "sample_id"),
        version=f"{steps.VERSION}.{hub.VERSION}.{scripts.VERSION}.{_fields([prompt])}",
        settings=["embedder", "embedding_dimensions", "embedding_precision", "embedding_bytes"],
        rows=lambda bounds: bounds.rows(name),
        calls=calls,
        partitions=shards,
        ins={"samples": dg.AssetIn(asset_key(samples))},
        description=f"A unit vector for each sample of {name} that repeats no earlier sample's "
        "words, and how well the model reads its script.",
    )
    def embedded(
        context: dg.AssetExecutionContext,
        samples: pl.LazyFrame,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        settings, fields = project.settings, prompt.unique_fields
        rows = samples.collect()
        with open_session(context, models) as session:
            embed = partial(
                session.embed,
                precision=settings.embedding_precision,
                batch_bytes=EMBEDDING_BATCH_BYTES,
            )
            result = steps.build_sample_embeddings(rows, fields, settings.embedding_bytes, embed)
        unread = hub.count_unread([result.rows.lazy()], least_cosine([name], settings))
        cut = steps.count_cut(rows, fields, settings.embedding_bytes)
        return materialize_result(result, session, **unread, cut_texts=cut)

    return embedded


def least_batch(settings: Settings) -> int:
    """Return the fewest samples of an embedding call that holds as many as it may."""
    return max(1, min(EMBEDDING_BATCH, EMBEDDING_BATCH_BYTES // settings.embedding_bytes))


def similar(group: str, tasks: Sequence[Prompt]) -> TableAsset:
    """Declare the duplicates by meaning of one or several tasks, over all shards."""
    names = [prompt.name for prompt in tasks]
    inputs = [f"{prefix}{name}" for name in names for prefix in (EMBEDDED, DISTINCT)]

    @table_asset(
        name=f"{SIMILAR}{group}",
        group=GROUP,
        table=Table(steps.SAMPLE_DUPLICATES, "sample_id", duplicates=True),
        version=f"{steps.VERSION}.{hub.VERSION}.{_fields(tasks)}",
        settings=[
            *(f"{name}.similar" for name in names),
            "embedding_precision",
            "survivor_priority",
        ],
        ins=_all_shards(inputs),
        description=f"Samples of {', '.join(names)} that mean what an earlier one means, each with "
        "the survivor that stands for it.",
    )
    def similar_samples(
        project: dg.ResourceParam[Project],
        deduplicator: dg.ResourceParam[Deduplicator],
        **tables: ShardTables,
    ) -> dg.MaterializeResult[StepResult]:
        settings, threshold = project.settings, least_cosine(names, project.settings)
        vectors = [
            TaskVectors(
                prompt.name,
                tables[argument(f"{EMBEDDED}{prompt.name}")],
                tables[argument(f"{DISTINCT}{prompt.name}")],
                prompt.unique_fields,
            )
            for prompt in tasks
        ]
        scans = (table.scan() for task in vectors for table in task.embeddings)
        unread = hub.count_unread(scans, threshold)
        with deduplicator.similar_samples(group, vectors, threshold) as joined:
            result = steps.build_sample_duplicates(
                joined.rows, "semantic", settings.survives_by_content
            )
            joined = replace(joined, figures={**joined.figures, **unread})
            return duplicates_result(result, joined, threshold)

    return similar_samples


def survivors(prefix: str, name: str, contract: Table, samples: str, duplicates: str) -> TableAsset:
    """Declare the samples of a task that are no duplicates.

    Args:
        prefix: Prefix of the table's name, before the name of the task.
        name: Name of the task.
        contract: Contract of the samples.
        samples: Name of the table of samples.
        duplicates: Name of the table of duplicates.
    """
    table = f"{prefix}{name}"
    repeated = "words" if duplicates.startswith(DUPLICATE) else "words or meaning"

    @table_asset(
        name=table,
        group=GROUP,
        table=Table(contract.schema, contract.row_id, contract.parent),
        version=steps.VERSION,
        rows=lambda bounds: bounds.rows(name),
        partitions=shards,
        ins={
            "samples": dg.AssetIn(asset_key(samples)),
            "duplicates": dg.AssetIn(asset_key(duplicates)),
        },
        description=f"Samples of {name} that repeat no earlier sample's {repeated}.",
    )
    def unique(samples: pl.LazyFrame, duplicates: pl.LazyFrame) -> StepResult:
        return steps.build_unique_samples(table, samples.collect(), duplicates.collect())

    return unique


def _all_shards(names: Sequence[str]) -> dict[str, dg.AssetIn]:
    """Return tables as inputs of an asset over all shards, by argument."""
    return {
        argument(name): dg.AssetIn(asset_key(name), dagster_type=SHARD_TABLES) for name in names
    }


def compared(tasks: Sequence[Prompt], settings: Mapping[str, Task]) -> list[Prompt]:
    """Return the tasks that have text and whose setting `unique` is on."""
    return [
        prompt
        for prompt in tasks
        if prompt.unique_fields and settings.get(prompt.name, Task()).unique
    ]


def compared_by_meaning(tasks: Sequence[Prompt], settings: Mapping[str, Task]) -> list[Prompt]:
    """Return the tasks of a group whose samples are compared by meaning: all that are compared.

    Raises:
        SettingsError: A task has no text, or another task of its group is compared by words alone.
    """
    asking = [prompt for prompt in tasks if _asks_for_meaning(prompt, settings)]
    among = compared(tasks, settings)
    for prompt in asking:
        setting = f"setting PERSONA_TASKS__{prompt.name.upper()}__UNIQUE_COSINE"
        if prompt not in among:
            raise SettingsError(
                f"{setting}: the task's samples have no text to compare; leave it unset"
            )
        if lacking := [other.name for other in among if other not in asking]:
            raise SettingsError(
                f"{setting}: samples of {prompt.name} and {lacking[0]} are compared with each "
                f"other (unique: {{among: {prompt.head.unique.among}}}); set "
                f"PERSONA_TASKS__{lacking[0].upper()}__UNIQUE_COSINE, too, or neither"
            )
    return asking


def least_cosine(tasks: Sequence[str], settings: Settings) -> float:
    """Return the smallest cosine above which samples of tasks are duplicates; 1 without any."""
    cosines = (settings.task(task).unique_cosine for task in tasks)
    return min((cosine for cosine in cosines if cosine is not None), default=1.0)


def _asks_for_meaning(prompt: Prompt, settings: Mapping[str, Task]) -> bool:
    task = settings.get(prompt.name, Task())
    return task.unique and task.unique_cosine is not None


def _fields(tasks: Sequence[Prompt]) -> str:
    """Return the fields of tasks that are compared, as a part of a version."""
    return ",".join(f"{prompt.name}:{'+'.join(prompt.unique_fields)}" for prompt in tasks)
