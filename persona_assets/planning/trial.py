"""A trial of a task: the first rows of a run, with their prompts, before the rest is bought.

The calls are journaled where the run of the task looks for them, so that the run buys the rest.
"""

import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

import polars as pl

from persona_assets.assets.datasets import source_of
from persona_assets.assets.draws import draw_of
from persona_assets.assets.judged import JUDGED, is_judged
from persona_assets.assets.origins import Source, origin_tables, origins
from persona_assets.generation import Usage
from persona_assets.project import Project
from persona_assets.prompting.front_matter import HUB
from persona_assets.prompting.prompt_folder import RUBRICS
from persona_assets.resources.models import Models
from persona_assets.resources.sandbox import Sandbox
from persona_assets.settings import nearest
from persona_assets.steps.conversations import first_request
from persona_assets.steps.judging import build_judged_samples
from persona_assets.steps.tasks import build_samples, sample_rows


class TrialError(ValueError):
    """A trial is not possible; the message says what is missing."""


@dataclass(frozen=True)
class TrialRow:
    """A row of a trial.

    Attributes:
        shard: Shard of the persona.
        messages: Messages of the request, of a conversation the first; none for a row that was not
            asked.
        row: The published row, with its judgement where the task is judged; None if it was dropped.
        reason: Why the row was dropped; "" if it was not.
    """

    shard: str
    messages: tuple[Mapping[str, str], ...]
    row: Mapping[str, Any] | None
    reason: str


@dataclass(frozen=True)
class Trial:
    """Rows of a trial, and what they cost.

    Attributes:
        rows: Rows in the order of the run.
        usage: Calls of the trial; calls of an earlier trial are replayed.
        probes: Calls that probed the endpoints before.
        cost: US dollars of the new calls and the probes; None if a price is unknown.
    """

    rows: list[TrialRow]
    usage: Usage
    probes: Usage
    cost: Decimal | None


def try_task(
    project: Project, models: Models, task: str, number: int, report: Callable[[str], None]
) -> Trial:
    """Make the first rows of a task and publish none of them.

    Args:
        project: Prompts, settings and tables.
        models: Endpoints; the caps on spending hold.
        task: Name of the task.
        number: Number of rows.
        report: Called with each line of progress.

    Raises:
        TrialError: No such task, or there is no hub yet.
        EndpointError: As a run of the task.
    """
    if task not in project.prompts.tasks:
        raise TrialError(
            f"no task is named {task!r}{nearest(task, project.prompts.tasks)}; there are "
            f"{', '.join(sorted(project.prompts.tasks))}"
        )
    source = source_of(project.prompts, project.settings.tasks, project.prompts.tasks[task])
    needed = HUB if source is None else source.table
    shards = project.storage.shards(needed)
    if not shards:
        raise TrialError(
            f"a trial needs rows of {needed}, and there is none yet: persona-assets run --select "
            f"'+key:{needed}'"
        )
    rows: list[TrialRow] = []
    usage, probes = Usage(), Usage()
    run_id = f"trial-{uuid.uuid4()}"
    for shard in shards:
        if len(rows) < number:
            made, spent, probed = _try_shard(
                project, models, task, source, shard, number - len(rows), run_id, report
            )
            rows += made
            usage += spent
            probes += probed
    both = usage + probes
    return Trial(rows, usage, probes, None if both.unpriced else both.cost)


def _try_shard(
    project: Project,
    models: Models,
    name: str,
    source: Source | None,
    shard: str,
    number: int,
    run_id: str,
    report: Callable[[str], None],
) -> tuple[list[TrialRow], Usage, Usage]:
    """Make up to `number` rows of a shard; also return its calls, and its probes."""
    prompt = project.prompt(name, shard)
    task = project.settings.task(name)
    personas = min(ceil(number / task.per_persona), task.per_shard or number)
    first = task.model_copy(update={"per_shard": 0 if task.per_shard == 0 else personas})
    tables = {
        argument: project.storage.scan(table, shard)
        for argument, table in origin_tables(prompt, task, source).items()
    }
    made_from = None if source is None else source.prompt
    draw_by = draw_of(project, name, shard).column_of(prompt)
    sandbox = Sandbox(kind=project.settings.sandbox)
    with models.session(name, shard, run_id, report) as session, closing(sandbox):
        found = origins(project, prompt, tables, session, source).personas
        result = build_samples(
            found,
            prompt,
            first,
            session.complete,
            project.protection,
            source=made_from,
            draw_by=draw_by,
            run_program=sandbox.run,
        )
        usage, probes = session.usage, session.probe_usage
    made, dropped = result.rows, result.dropped
    if is_judged(project.prompts, project.settings.tasks, name):
        rubric = project.prompt(f"{RUBRICS}{name}", shard)
        with models.session(f"{JUDGED}{name}", shard, run_id, report) as session:
            judged = build_judged_samples(name, made, rubric, task.judge or 0.0, session.complete)
            usage += session.usage
            probes += session.probe_usage
        made, dropped = judged.rows, pl.concat([dropped, judged.dropped])
    published = {row["sample_id"]: row for row in made.iter_rows(named=True)}
    reasons = dict(dropped.select("id", "reason").iter_rows())
    rows: list[TrialRow] = []
    for row in sample_rows(found, prompt, first, source=made_from, draw_by=draw_by):
        asked = prompt.shortage(row.inputs) is None
        messages = first_request(prompt, row).messages if asked else ()
        made_row = published.get(row.row_id)
        rows.append(TrialRow(shard, messages, made_row, reasons.get(row.row_id, "")))
    return rows, usage, probes
