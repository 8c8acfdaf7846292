"""Origins of a task's rows in a shard: which tables it reads, and which of their rows it asks.

The settings of a task choose personas of the hub. A task of personas asks the chosen ones, one of
pairs the pairs among them, and a task of samples those that were made for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.project import Project
from persona_assets.prompting.front_matter import HUB
from persona_assets.prompting.prompt import Prompt
from persona_assets.resources.session import Session
from persona_assets.settings import Task
from persona_assets.steps.choice import Choice, choose_personas, cosines_to
from persona_assets.steps.origins import (
    PARENT,
    origins_of_samples,
    related_by_hop,
    strangers,
    with_parents,
    within_cosine,
)

VECTORS = "persona_embeddings"
"""Input of a task that chooses by meaning, or pairs by cosine."""

MAP = "persona_map"
"""Input of a task that spreads its personas over clusters."""

VECTOR_SETTINGS = ("embedder", "embedding_dimensions", "embedding_precision")
"""Further settings that decide the rows of a task that chooses by meaning."""

SAMPLES = "samples"
"""Argument for the samples of another task."""


@dataclass(frozen=True)
class Source:
    """Task whose samples another task's rows are made from.

    Attributes:
        prompt: Its prompt.
        table: Its last table: unique, and judged if it has a judge.
    """

    prompt: Prompt
    table: str


def origin_tables(prompt: Prompt, task: Task, source: Source | None) -> dict[str, str]:
    """Return the tables that a task reads, by the argument of its function."""
    by_cosine = isinstance(prompt.head.related, tuple)
    tables = {} if source is None else {SAMPLES: source.table}
    if source is None or task.chooses:
        tables[HUB] = HUB
    if task.like is not None or by_cosine:
        tables[VECTORS] = VECTORS
    if task.stratify and "cluster" in task.stratify:
        tables[MAP] = MAP
    return tables


def asset_inputs(tables: Mapping[str, str]) -> dict[str, dg.AssetIn]:
    """Return tables as inputs of an asset, by argument."""
    return {argument: dg.AssetIn(asset_key(name)) for argument, name in tables.items()}


def origins(
    project: Project,
    prompt: Prompt,
    tables: Mapping[str, pl.LazyFrame],
    session: Session,
    source: Source | None,
) -> Choice:
    """Return the origins of a shard that a task may ask, and a sentence on the choice.

    A description is embedded in the session of the task: a call per shard, which the shards after
    the first find paid for.

    Args:
        project: Settings.
        prompt: Prompt of the task.
        tables: Rows of the tables of `origin_tables`, by argument.
        session: Models of the task.
        source: Task whose samples are read; None for personas.
    """
    task = project.settings.task(prompt.name)
    vectors = tables[VECTORS].collect() if VECTORS in tables else None
    chosen: Choice | None = None
    hub = tables[HUB].collect() if HUB in tables else pl.DataFrame()
    if MAP in tables:
        places = tables[MAP].select("persona_id", "cluster").collect()
        hub = hub.join(places, on="persona_id", how="left", maintain_order="left")
    if HUB in tables:
        chosen = _chosen(project, task, hub, vectors, session)
    if source is not None:
        samples = tables[SAMPLES].collect()
        if chosen is not None:
            samples = samples.join(chosen.personas, on="persona_id", how="semi")
        told = f"{len(samples):,} samples of {source.prompt.name}"
        found = origins_of_samples(samples, source.prompt)
        return Choice(found, f"{told}; {chosen.told}" if chosen else told)
    if chosen is None:
        return Choice(hub, "")
    if prompt.head.related is None:
        return replace(chosen, personas=_personas(prompt, chosen.personas, hub))
    pairs = _paired(prompt, chosen.personas, vectors)
    return Choice(pairs, f"{len(pairs):,} pairs; {chosen.told}")


def possible_origins(
    project: Project, prompt: Prompt, source: Source | None, shard: str
) -> pl.DataFrame | None:
    """Return the origins of a shard before any choice; None where a table is missing."""
    tables = origin_tables(prompt, Task(), source)
    if any(project.storage.footer(name, shard) is None for name in tables.values()):
        return None
    rows = {each: project.storage.scan(name, shard).collect() for each, name in tables.items()}
    if source is not None:
        return origins_of_samples(rows[SAMPLES], source.prompt)
    if prompt.head.related is None:
        return _personas(prompt, rows[HUB], rows[HUB])
    return _paired(prompt, rows[HUB], rows.get(VECTORS))


def _personas(prompt: Prompt, personas: pl.DataFrame, hub: pl.DataFrame) -> pl.DataFrame:
    """Return personas with the inputs that the templates of a task use."""
    return personas if prompt.names.isdisjoint(PARENT) else with_parents(personas, hub)


def _chosen(
    project: Project, task: Task, hub: pl.DataFrame, vectors: pl.DataFrame | None, session: Session
) -> Choice:
    if task.like is None or vectors is None:
        return choose_personas(hub, task)
    [described] = session.embed([task.like], project.settings.embedding_precision)
    return choose_personas(hub, task, cosines_to(vectors, described))


def _paired(prompt: Prompt, hub: pl.DataFrame, vectors: pl.DataFrame | None) -> pl.DataFrame:
    related = prompt.head.related
    if isinstance(related, tuple) and vectors is not None:
        return within_cosine(hub, vectors, *related)
    return related_by_hop(hub) if related == "hop" else strangers(hub)
