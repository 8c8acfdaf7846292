"""Personas that a task asks in a shard: the choice of its settings among the hub's."""

import polars as pl

from persona_assets.project import Project
from persona_assets.resources.session import Session
from persona_assets.settings import Task
from persona_assets.steps.choice import Choice, choose_personas, cosines_to

VECTORS = "persona_embeddings"
"""Further input of a task that chooses by meaning."""

VECTOR_SETTINGS = ("embedder", "embedding_dimensions", "embedding_precision")
"""Further settings that decide the rows of a task that chooses by meaning."""


def chosen_personas(
    project: Project, task: Task, hub: pl.DataFrame, vectors: pl.LazyFrame | None, session: Session
) -> Choice:
    """Choose the personas of a shard that a task asks.

    A description is embedded in the session of the task: a call per shard, which the shards after
    the first find paid for.

    Args:
        project: Settings.
        task: Settings of the task.
        hub: Rows of `persona_hub`.
        vectors: Rows of `persona_embeddings`, needed where the task chooses by meaning.
        session: Models of the task.
    """
    if task.like is None or vectors is None:
        return choose_personas(hub, task)
    [described] = session.embed([task.like], project.settings.embedding_precision)
    return choose_personas(hub, task, cosines_to(vectors.collect(), described))
