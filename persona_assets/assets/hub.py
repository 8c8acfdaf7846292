"""Group `hub`: near-duplicates over all shards go, and the Persona Hub remains (section 2.3)."""

import dagster as dg
import polars as pl

from persona_assets.assets.calls import POOL, result, session
from persona_assets.assets.reads import reads
from persona_assets.dedup.words import VERSION as WORDS_VERSION
from persona_assets.outcome import Outcome
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.steps import hub as steps


@dg.asset(
    group_name="hub",
    kinds={"parquet"},
    metadata=reads(
        f"{steps.VERSION}.{WORDS_VERSION}", settings=["lexical_threshold", "lexical_method"]
    ),
)
def lexical_duplicates(
    persona_candidates: pl.LazyFrame, project: dg.ResourceParam[Project]
) -> Outcome:
    """Personas with the words of an earlier one, each with the survivor that stands for it."""
    return steps.lexical_duplicates(
        persona_candidates.collect(),
        project.settings.lexical_threshold,
        project.settings.lexical_method,
    )


@dg.asset(partitions_def=shards, group_name="hub", kinds={"parquet"}, metadata=reads(steps.VERSION))
def lexical_survivors(
    persona_candidates: pl.LazyFrame, lexical_duplicates: pl.LazyFrame
) -> Outcome:
    """Candidates that pass the quality filter and repeat no earlier persona's words."""
    return steps.lexical_survivors(persona_candidates.collect(), lexical_duplicates.collect())


@dg.asset(
    partitions_def=shards,
    group_name="hub",
    kinds={"parquet"},
    pool=POOL,
    metadata=reads(steps.VERSION, settings=["embedder", "embedding_dimensions"]),
)
def persona_embeddings(
    context: dg.AssetExecutionContext,
    lexical_survivors: pl.LazyFrame,
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[Outcome]:
    """A unit vector for each lexical survivor."""
    with session(context, models) as asked:
        outcome = steps.persona_embeddings(lexical_survivors.collect(), asked.embed)
    return result(outcome, asked)


@dg.asset(
    group_name="hub",
    kinds={"parquet"},
    metadata=reads(steps.VERSION, settings=["semantic_threshold"]),
)
def semantic_duplicates(
    persona_embeddings: pl.LazyFrame, project: dg.ResourceParam[Project]
) -> Outcome:
    """Personas that mean what an earlier one means, each with the survivor that stands for it."""
    return steps.semantic_duplicates(
        persona_embeddings.collect(), project.settings.semantic_threshold
    )


@dg.asset(partitions_def=shards, group_name="hub", kinds={"parquet"}, metadata=reads(steps.VERSION))
def persona_hub(lexical_survivors: pl.LazyFrame, semantic_duplicates: pl.LazyFrame) -> Outcome:
    """The Persona Hub: every persona that no earlier one makes redundant."""
    return steps.persona_hub(lexical_survivors.collect(), semantic_duplicates.collect())
