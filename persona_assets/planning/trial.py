"""A trial of a task: the first rows of a run, with their prompts, before the rest is bought.

The calls are journaled where the run of the task looks for them, so that the run buys the rest.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from persona_assets.assets.chosen import VECTORS, chosen_personas
from persona_assets.assets.draws import draw_of
from persona_assets.generation import Usage
from persona_assets.ids import sample_id
from persona_assets.languages import UNKNOWN
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.settings import nearest
from persona_assets.steps.tasks import build_samples, draw_personas


class TrialError(ValueError):
    """A trial is not possible; the message says what is missing."""


@dataclass(frozen=True)
class TrialRow:
    """A row of a trial.

    Attributes:
        shard: Shard of the persona.
        messages: Messages of the request.
        row: The published row; None if it was dropped.
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
    shards = project.storage.shards("persona_hub")
    if not shards:
        raise TrialError(
            "a trial needs personas, and there is no persona_hub yet: persona-assets run --select "
            "'+key:persona_hub'"
        )
    rows: list[TrialRow] = []
    usage, probes = Usage(), Usage()
    run_id = f"trial-{uuid.uuid4()}"
    for shard in shards:
        if len(rows) < number:
            made, spent, probed = _try_shard(
                project, models, task, shard, number - len(rows), run_id, report
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
    hub = project.storage.scan("persona_hub", shard).collect()
    vectors = None if task.like is None else project.storage.scan(VECTORS, shard)
    draw_by = draw_of(project, name, shard).column("persona", "persona_id")
    with models.session(name, shard, run_id, report) as session:
        hub = chosen_personas(project, task, hub, vectors, session).personas
        result = build_samples(
            hub, prompt, first, session.complete, project.protection, draw_by=draw_by
        )
        usage, probes = session.usage, session.probe_usage
    published = {row["sample_id"]: row for row in result.rows.iter_rows(named=True)}
    reasons = dict(result.dropped.select("id", "reason").iter_rows())
    rows: list[TrialRow] = []
    for persona in draw_personas(hub, name, first, draw_by).iter_rows(named=True):
        for index in range(task.per_persona):
            key = sample_id(name, persona["persona_id"], index)
            _, asked = prompt.answer_language(persona["language"] or UNKNOWN)
            request = prompt.request({"persona": persona["persona"], **asked}, index)
            rows.append(TrialRow(shard, request.messages, published.get(key), reasons.get(key, "")))
    return rows, usage, probes
