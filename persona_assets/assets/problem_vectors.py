"""Vectors of problems, where the math sets are kept apart by meaning, too.

They exist where the setting `decontaminate_cosine` is a number: `forbidden_vectors` of the problems
of `decontaminate`, and those of the samples of `math_problems`, and of its variant without
personas, which may be there already (see samples.py).
"""

from collections.abc import Mapping
from functools import partial

import dagster as dg
import polars as pl

from persona_assets.asset_names import argument, asset_key
from persona_assets.assets.call_bounds import MOST_PROBES, CallBounds
from persona_assets.assets.math_solutions import PROBLEMS
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.samples import (
    EMBEDDED,
    SHARD_TABLES,
    UNIQUE,
    compared_by_meaning,
    embeddings,
    least_batch,
    tasks_by_group,
)
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.local_models.embedder import int8_margin
from persona_assets.project import Project
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.models import Models
from persona_assets.resources.session import EMBEDDING_BATCH_BYTES
from persona_assets.settings import CONTROL_TASK, Settings, Task
from persona_assets.steps import hub, scripts
from persona_assets.steps import neighbours as steps
from persona_assets.steps.neighbours import ProblemVectors
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table

VectorTable = ShardTables | pl.LazyFrame
"""Table of vectors as an input: of samples over all shards, or of forbidden problems."""

FORBIDDEN = "forbidden_vectors"
"""Name of the table of vectors of forbidden problems."""

SAMPLES = f"{EMBEDDED}{PROBLEMS}"
"""Name of the table of vectors of samples."""


def problem_vectors(prompts: Prompts, tasks: Mapping[str, Task]) -> list[TableAsset]:
    """Declare the vectors of forbidden problems and, unless samples have vectors, of samples."""
    solved = (PROBLEMS, CONTROL_TASK)
    samples = [prompts.tasks[name] for name in solved if name in prompts.tasks]
    embedded = [
        prompt.name
        for group in tasks_by_group(prompts).values()
        for prompt in compared_by_meaning(group, tasks)
    ]
    lacking = [prompt for prompt in samples if prompt.name not in embedded]
    return [forbidden_vectors(), *(embeddings(it, f"{UNIQUE}{it.name}") for it in lacking)]


def forbidden_vectors() -> TableAsset:
    """Declare the vectors of the problems that no problem of the math sets may contain."""

    def calls(bounds: CallBounds) -> int | None:
        if bounds.settings.embedder.embedded:
            return 0
        problems = len(bounds.project.forbidden_problems())
        return bounds.embedding_calls(problems, 1, MOST_PROBES, least_batch(bounds.settings))

    @table_asset(
        name=FORBIDDEN,
        group="math",
        table=Table(steps.FORBIDDEN_VECTORS, "problem_id", aggregates=True),
        version=f"{steps.VERSION}.{hub.VERSION}.{scripts.VERSION}",
        settings=[
            "decontaminate",
            "embedder",
            "embedding_dimensions",
            "embedding_precision",
            "embedding_bytes",
        ],
        calls=calls,
        description="A unit vector for each problem of the setting decontaminate, and how well the "
        "model reads its script.",
    )
    def vectors(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[StepResult]:
        settings = project.settings
        with open_session(context, models) as session:
            embed = partial(
                session.embed,
                precision=settings.embedding_precision,
                batch_bytes=EMBEDDING_BATCH_BYTES,
            )
            result = steps.build_forbidden_vectors(
                project.forbidden_problems(), settings.embedding_bytes, embed
            )
        return materialize_result(result, session)

    return vectors


def vector_inputs(by_meaning: bool, variant: str = "") -> dict[str, dg.AssetIn]:
    """Return the tables of vectors as inputs of an asset, by argument; none unless `by_meaning`.

    Args:
        by_meaning: True if problems are kept apart by meaning, too.
        variant: Variant whose problems are read beside those of personas; "" for these alone.
    """
    if not by_meaning:
        return {}
    samples = {
        argument(name): dg.AssetIn(asset_key(name), dagster_type=SHARD_TABLES)
        for name in _sample_tables(variant)
    }
    return {**samples, argument(FORBIDDEN): dg.AssetIn(asset_key(FORBIDDEN))}


def _sample_tables(variant: str) -> list[str]:
    return list(dict.fromkeys([SAMPLES, f"{SAMPLES}{variant}"]))


def vectors_of(settings: Settings, inputs: Mapping[str, VectorTable]) -> ProblemVectors | None:
    """Return the vectors of an asset's inputs; None if problems are compared by words alone.

    Args:
        settings: Settings of the project.
        inputs: Tables by argument; see `vector_inputs`.
    """
    cosine = settings.decontaminate_cosine
    if cosine is None:
        return None
    forbidden = inputs.get(argument(FORBIDDEN))
    samples = [table for table in inputs.values() if isinstance(table, ShardTables)]
    if not samples or not isinstance(forbidden, pl.LazyFrame):
        raise TypeError(f"{SAMPLES} and {FORBIDDEN} are no inputs: add vector_inputs() to ins")
    # Neighbours are looked at again: the error of a cosine must hide none.
    margin = int8_margin(cosine) if settings.embedding_precision == "int8" else 0.0
    scans = [table.scan() for tables in samples for table in tables]
    return ProblemVectors(scans, forbidden, cosine - margin)


def stored_vectors(project: Project, variant: str = "") -> ProblemVectors | None:
    """Return the vectors of a project's tables; None if problems are compared by words alone.

    Args:
        project: Settings and tables.
        variant: Variant whose problems are read beside those of personas.

    Raises:
        MissingTableError: A table does not exist.
    """
    if project.settings.decontaminate_cosine is None:
        return None
    storage = project.storage
    tables: dict[str, VectorTable] = {
        argument(name): storage.shard_tables(name) for name in _sample_tables(variant)
    }
    tables[argument(FORBIDDEN)] = storage.scan(FORBIDDEN, None)
    return vectors_of(project.settings, tables)
