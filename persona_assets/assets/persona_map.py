"""Group `hub`: the map of the hub and its clusters, by meaning.

The map is fitted once on landmarks and kept: a new shard is placed by them, and neither moves a
persona nor makes the tables of older shards stale.
"""

from collections.abc import Iterator, Mapping

import dagster as dg
import polars as pl
from pydantic import Field

from persona_assets.assets.metadata import picture
from persona_assets.assets.table_asset import table_asset
from persona_assets.orchestration.runner import MAP_LANDMARKS
from persona_assets.partitions import shards
from persona_assets.plots.density import draw_density
from persona_assets.project import Project
from persona_assets.steps import clusters, landmarks
from persona_assets.steps import persona_map as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table


class MapFit(dg.Config):
    """Fit of the map."""

    refit: bool = Field(default=False, description="Fit the map anew: all personas move.")
    clusters: int | None = Field(
        default=None, ge=1, description="Number of clusters: fits the map anew, too."
    )


@table_asset(
    group="hub",
    table=Table(landmarks.LANDMARKS, "persona_id", aggregates=True, members=("persona_id",)),
    version=f"{steps.VERSION}.{landmarks.VERSION}",
    settings=["semantic_threshold"],
    name=MAP_LANDMARKS,
    kinds=["pacmap"],
)
def map_landmarks(
    config: MapFit,
    persona_hub: ShardTables,
    persona_embeddings: ShardTables,
    project: dg.ResourceParam[Project],
) -> dg.MaterializeResult[StepResult]:
    """Personas on which the map of the hub is fitted, once until a refit is asked for."""
    threshold = project.settings.semantic_threshold

    def tables() -> Iterator[tuple[pl.LazyFrame, pl.LazyFrame]]:
        for hub, embeddings in zip(persona_hub, persona_embeddings, strict=True):
            yield hub.scan(), embeddings.scan()

    fit = None if config.refit or config.clusters else _last_fit(project)
    kept = fit and steps.keep_map(*fit, tables)
    result = kept or steps.fit_map(tables, threshold, config.clusters)
    now = steps.state_of(kept.rows, tables, threshold) if kept else result.decisions
    return dg.MaterializeResult(
        value=result,
        metadata={
            "fit": "kept" if kept else "new",
            "clusters": result.rows["cluster"].n_unique(),
            **steps.growth(result.decisions, now),
        },
    )


def _last_fit(project: Project) -> tuple[pl.DataFrame, Mapping[str, float]] | None:
    """Return the landmarks on disk and the decisions of their fit; None if there are none."""
    footer = project.storage.footer(MAP_LANDMARKS, None)
    if footer is None:
        return None
    return project.storage.scan(MAP_LANDMARKS, None).collect(), footer.decisions


@table_asset(
    group="hub",
    table=Table(steps.MAP, "persona_id"),
    version=steps.VERSION,
    settings=["semantic_threshold"],
    rows=lambda bounds: bounds.rows("persona_hub"),
    partitions=shards,
)
def persona_map(
    persona_hub: pl.LazyFrame,
    persona_embeddings: pl.LazyFrame,
    map_landmarks: pl.LazyFrame,
    project: dg.ResourceParam[Project],
) -> StepResult:
    """Place and cluster of each persona of the hub whose vector has a meaning."""
    return steps.build_persona_map(
        persona_hub.collect(),
        persona_embeddings.collect(),
        map_landmarks.collect(),
        project.settings.semantic_threshold,
    )


@table_asset(
    group="hub",
    table=Table(clusters.CLUSTERS, "cluster", aggregates=True),
    version=clusters.VERSION,
)
def persona_clusters(
    persona_map: ShardTables, persona_hub: ShardTables
) -> dg.MaterializeResult[StepResult]:
    """Clusters of the map: size, the words that set each apart, and the most typical personas."""
    result = clusters.build_clusters(
        (placed.scan().collect(), hub.scan().collect())
        for placed, hub in zip(persona_map, persona_hub, strict=True)
    )
    places = [table.scan().select("x", "y").collect() for table in persona_map]
    left_off = sum(sum(table.dropped.values()) for table in persona_map)
    title = f"Personas by meaning, {sum(map(len, places)):,} on the map, {left_off:,} left off"
    drawn = draw_density(places, result.rows, title)
    return dg.MaterializeResult(
        value=result, metadata={**picture("map", drawn), "left_off": left_off}
    )
