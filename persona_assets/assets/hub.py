"""Group `hub`: near-duplicates over all shards go, and the Persona Hub remains (section 2.3)."""

from dataclasses import replace
from fractions import Fraction
from functools import partial

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_name
from persona_assets.assets.call_bounds import MOST_PROBES, CallBounds
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import table_asset
from persona_assets.dedup.text.words import VERSION as WORDS_VERSION
from persona_assets.partitions import shards
from persona_assets.plots.histogram import draw_similarity_histogram
from persona_assets.project import Project
from persona_assets.resources.deduplicator import Deduplicator, DuplicateJoin
from persona_assets.resources.models import Models
from persona_assets.steps import hub as steps
from persona_assets.steps import scripts
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table


def _candidates(bounds: CallBounds) -> int | None:
    return bounds.rows("persona_candidates")


@table_asset(
    group="hub",
    table=Table(steps.DUPLICATES, "persona_id", duplicates=True),
    version=f"{steps.VERSION}.{WORDS_VERSION}",
    settings=["lexical_threshold", "lexical_method", "survivor_priority"],
)
def lexical_duplicates(
    context: dg.AssetExecutionContext,
    persona_candidates: ShardTables,
    project: dg.ResourceParam[Project],
    deduplicator: dg.ResourceParam[Deduplicator],
) -> dg.MaterializeResult[StepResult]:
    """Personas with the words of an earlier one, each with the survivor that stands for it."""
    with deduplicator.lexical(persona_candidates, context) as joined:
        result = steps.build_duplicates(
            joined.rows, "lexical", project.settings.survives_by_content
        )
        return duplicates_result(result, joined, project.settings.lexical_threshold)


@table_asset(
    group="hub",
    table=Table(steps.HUB, "persona_id", "parent_id"),
    version=steps.VERSION,
    rows=_candidates,
    partitions=shards,
)
def lexical_survivors(
    persona_candidates: pl.LazyFrame, lexical_duplicates: pl.LazyFrame
) -> StepResult:
    """Candidates that pass the quality filter and repeat no earlier persona's words."""
    return steps.build_lexical_survivors(persona_candidates.collect(), lexical_duplicates.collect())


@table_asset(
    group="hub",
    table=Table(steps.EMBEDDINGS, "persona_id"),
    version=f"{steps.VERSION}.{scripts.VERSION}",
    settings=["embedder", "embedding_dimensions", "embedding_precision"],
    rows=_candidates,
    calls=lambda bounds: bounds.embedding_calls(_candidates(bounds), bounds.shards, MOST_PROBES),
    partitions=shards,
)
def persona_embeddings(
    context: dg.AssetExecutionContext,
    lexical_survivors: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[StepResult]:
    """A unit vector for each lexical survivor, and how well the model reads its script."""
    settings = project.settings
    with open_session(context, models) as session:
        embed = partial(session.embed, precision=settings.embedding_precision)
        survivors = lexical_survivors.collect()
        # A text that returns finds the calls that it was once part of.
        is_paid = session.has_vectors(steps.embedded_texts(survivors["persona"]))
        known = None if is_paid else _known_vectors(context, project)
        result = steps.build_persona_embeddings(survivors, embed, known)
    unread = steps.count_unread([result.rows.lazy()], settings.semantic_threshold)
    return materialize_result(result, session, **unread)


def _known_vectors(context: dg.AssetExecutionContext, project: Project) -> pl.DataFrame | None:
    """Return the vectors of a shard's table on disk if the current model and code made them.

    A persona that leaves or comes changes the batches of an embedding endpoint: without them, the
    vectors of its neighbours would be bought again.
    """
    name, shard = asset_name(context.asset_key), context.partition_key
    footer = project.storage.footer(name, shard)
    current = context.assets_def.get_asset_spec(context.asset_key).code_version
    if footer is None or footer.code_version != current:
        return None
    return project.storage.scan(name, shard).collect()


@table_asset(
    group="hub",
    table=Table(steps.DUPLICATES, "persona_id", duplicates=True),
    version=steps.VERSION,
    settings=["semantic_threshold", "embedding_precision", "survivor_priority"],
)
def semantic_duplicates(
    persona_embeddings: ShardTables,
    lexical_survivors: ShardTables,
    project: dg.ResourceParam[Project],
    deduplicator: dg.ResourceParam[Deduplicator],
) -> dg.MaterializeResult[StepResult]:
    """Personas that mean what an earlier one means, each with the survivor that stands for it."""
    threshold = project.settings.semantic_threshold
    unread = steps.count_unread((table.scan() for table in persona_embeddings), threshold)
    with deduplicator.semantic(persona_embeddings, lexical_survivors) as joined:
        result = steps.build_duplicates(
            joined.rows, "semantic", project.settings.survives_by_content
        )
        return duplicates_result(
            result, replace(joined, figures={**joined.figures, **unread}), threshold
        )


@table_asset(
    group="hub",
    table=Table(steps.HUB, "persona_id", "parent_id"),
    version=steps.VERSION,
    rows=_candidates,
    partitions=shards,
)
def persona_hub(lexical_survivors: pl.LazyFrame, semantic_duplicates: pl.LazyFrame) -> StepResult:
    """The Persona Hub: every persona that no earlier one makes redundant."""
    return steps.build_persona_hub(lexical_survivors.collect(), semantic_duplicates.collect())


def duplicates_result(
    result: StepResult, joined: DuplicateJoin, threshold: Fraction | float
) -> dg.MaterializeResult[StepResult]:
    """Return the duplicates with figures of the join and a histogram of similarities."""
    drawn = draw_similarity_histogram(
        result.rows["similarity"], threshold, "Similarity of duplicates to their survivors"
    )
    value = replace(result, figures=joined.figures)
    return dg.MaterializeResult(value=value, metadata=picture("similarities", drawn))
