"""Group `datasets`: one asset for every file in `prompts/tasks/` (section 4).

A variant of a task, which the settings name `task@variant`, is an asset of its own.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.draws import draw_of
from persona_assets.assets.judged import finished_samples
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.origins import (
    VECTOR_SETTINGS,
    VECTORS,
    Source,
    asset_inputs,
    origin_tables,
    origins,
)
from persona_assets.assets.personas import HOPS
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.partitions import shards
from persona_assets.postprocess import steps_version
from persona_assets.project import Project
from persona_assets.prompting.front_matter import HUB, FrontMatter, PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import EARLIER_VERSION as EARLIER_SANDBOX
from persona_assets.resources.sandbox import VERSION as SANDBOX_VERSION
from persona_assets.resources.sandbox import Sandbox
from persona_assets.rules import protection
from persona_assets.settings import SettingsError, Task, nearest
from persona_assets.steps import tasks as steps
from persona_assets.steps.demonstrations import TABLE
from persona_assets.steps.origins import check_inputs, origin_of
from persona_assets.steps.verdicts import rules_version
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table


def datasets(prompts: Prompts, tasks: Mapping[str, Task]) -> list[TableAsset]:
    """Declare the datasets of a prompts folder, given the settings by task.

    Raises:
        PromptError: A task is made from the samples of a task that does not exist.
    """
    return [
        dataset(prompt, tasks.get(prompt.name, Task()), source_of(prompts, tasks, prompt))
        for prompt in prompts.tasks.values()
    ]


def source_of(prompts: Prompts, tasks: Mapping[str, Task], prompt: Prompt) -> Source | None:
    """Return the task whose samples a task's rows are made from; None for personas.

    A variant reads the variant of that name of the other task, where there is one.

    Raises:
        PromptError: There is no such task.
    """
    name = prompt.head.source
    if name == HUB:
        return None
    if name not in prompts.tasks:
        raise PromptError(
            f"{prompts.folder / 'tasks' / prompt.file}.md: from names {name!r}, which is no task"
            f"{nearest(name, prompts.tasks)}; there are {HUB}, {', '.join(sorted(prompts.tasks))}"
        )
    variant = prompt.name.replace(prompt.file, name, 1)
    name = variant if variant in prompts.tasks else name
    return Source(prompts.tasks[name], finished_samples(prompts, tasks, name))


def dataset(prompt: Prompt, settings: Task, source: Source | None) -> TableAsset:
    """Declare the dataset of one task, named and described by its prompt file.

    Args:
        prompt: Prompt of the task.
        settings: Settings of the task: one that chooses personas by meaning reads their vectors.
        source: Task whose samples the rows are made from; None for personas.

    Raises:
        PromptError: A field of the prompt's output has the name of a column of every dataset, or a
            template uses a name that is no input.
        SettingsError: `stratify` is set for a task of pairs or of samples, or a prompt cannot ask
            without a persona.
    """
    name, head = prompt.name, prompt.head
    tables = origin_tables(prompt, settings, source)
    by_meaning = settings.like is not None
    made_from = None if source is None else source.prompt
    if settings.stratify and not head.of_personas:
        raise SettingsError(
            f"settings of the task {name}: stratify is for tasks whose rows are made from one "
            "persona each: remove it"
        )
    if not settings.persona and not (head.of_personas and prompt.can_ask_without_persona):
        raise SettingsError(
            f"settings of the task {name}: PERSONA=false needs a task whose rows are made from one "
            f"persona each, and a part {{% if persona %}} in prompts/tasks/{prompt.file}.md, whose "
            "requests are else incomplete without"
        )
    schema = steps.dataset_schema(prompt, made_from)
    check_inputs(prompt, made_from)
    origin = origin_of(prompt, made_from)

    def samples(bounds: CallBounds) -> int | None:
        task = bounds.settings.task(name)
        rows = bounds.drawn(bounds.rows(source.table if source else HUB), task.share)
        if source:
            return times(least(times(task.per_shard, bounds.shards), rows), task.per_persona)
        shard_limits = (times(limit, bounds.shards) for limit in (task.per_shard, task.nearest))
        return times(least(*shard_limits, rows, _of_hops(bounds, task)), task.per_persona)

    def calls(bounds: CallBounds) -> int | None:
        described = bounds.embedding_calls(1, bounds.shards) if by_meaning else 0
        turns, replies = head.turns or 1, (head.turns or 0) // 2 if head.answers else 0
        asked = bounds.question_calls(times(samples(bounds), turns - replies), name)
        answering = f"{name}@{head.answers}" if head.answers else name
        answered = bounds.question_calls(times(samples(bounds), replies), answering)
        return plus(asked, answered, described)

    @table_asset(
        name=name,
        group="datasets",
        table=Table(
            schema,
            "sample_id",
            origin.parent,
            makes=True,
            second=origin.second,
            text=next(iter(prompt.unique_fields), None),
        ),
        version=f"{steps.VERSION}.{rules_version(kind=head.kind)}{_shape(prompt)}",
        earlier=[
            f"{steps.VERSION}.{rules_version(kind=head.kind)}{_shape(prompt, EARLIER_SANDBOX)}",
            "1",
        ],
        prompts=[name],
        settings=[
            name,
            *protection.SETTINGS,
            *(VECTOR_SETTINGS if VECTORS in tables else ()),
            *([head.answers] if head.answers else ()),
            *(["sandbox"] if head.then else ()),
        ],
        rows=samples,
        calls=calls,
        partitions=shards,
        ins=asset_inputs(tables | ({TABLE: TABLE} if settings.infers_personas else {})),
        description=head.description,
    )
    def task(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        sandbox: dg.ResourceParam[Sandbox],
        **inputs: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        draw = draw_of(project, name, context.partition_key)
        bound = project.prompt(name, context.partition_key)
        with open_session(context, models) as session:
            choice = origins(project, bound, inputs, session, source)
            result = steps.build_samples(
                choice.personas,
                bound,
                project.settings.task(name),
                session.complete,
                project.protection,
                source=made_from,
                draw_by=draw.column_of(prompt),
                run_program=sandbox.run,
            )
        result = replace(result, decisions=draw.decisions)
        return materialize_result(result, session, chosen=choice.told)

    return task


def _shape(prompt: Prompt, sandbox: str = SANDBOX_VERSION) -> str:
    """Return the version of what rows are made from; "" for a row of one persona and one call."""
    fields = FrontMatter.model_fields
    shape = {
        name: value
        for name in ("source", "keep", "personas", "related", "turns", "answers", "then")
        if (value := getattr(prompt.head, name)) != fields[name].default
    }
    written = "" if not shape else f".{json.dumps(shape, sort_keys=True)}"
    runs = f".{sandbox}" if prompt.head.then else ""
    return f"{written}{steps_version(prompt.head.then)}{runs}"


def _of_hops(bounds: CallBounds, task: Task) -> int | None:
    """Return the most personas of the hops that a task asks."""
    if task.hops is None:
        return None
    tables = ["text_personas", *HOPS]
    return plus(*(bounds.rows(tables[hop]) for hop in set(task.hops) & set(range(len(tables)))))
