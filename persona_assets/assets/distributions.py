"""Group `analysis`: the distribution of a choice over the samples of a task.

A task has one if its file names a field with an `enum` in `distribution`.
"""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.judged import finished_samples
from persona_assets.assets.metadata import picture
from persona_assets.assets.origins import MAP
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.plots.stacked_bars import draw_stacked_bars
from persona_assets.prompting.front_matter import HUB
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.settings import Task
from persona_assets.steps import distribution as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

DISTRIBUTION = "distribution_"
"""Prefix of the name of a distribution, before the name of its task."""

CLUSTERS = "persona_clusters"
"""Table with the labels of clusters."""


def distributions(prompts: Prompts, tasks: Mapping[str, Task]) -> list[TableAsset]:
    """Declare the distributions of the tasks of a prompts folder, given the settings by task."""
    return [
        distribution(
            name,
            prompt.head.distribution,
            prompt.head.output[prompt.head.distribution]["enum"],
            tasks.get(name, Task()).stratify or steps.STRATA,
            finished_samples(prompts, tasks, name),
        )
        for name, prompt in sorted(prompts.tasks.items())
        if prompt.head.distribution is not None
    ]


def distribution(
    name: str, field: str, values: list[str], strata: tuple[str, ...], table: str
) -> TableAsset:
    """Declare the distribution of a field over the samples of a task.

    Args:
        name: Name of the task.
        field: Field with an `enum`.
        values: Its values, in order.
        strata: Columns of the hub that form the strata.
        table: Last table of the task.
    """

    strata = tuple(dict.fromkeys(strata))
    divisions = ", ".join(dict.fromkeys((*strata, steps.CLUSTER)))

    @table_asset(
        name=f"{DISTRIBUTION}{name}",
        group="analysis",
        table=Table(steps.DISTRIBUTION, "value", unique=("stratum", "value"), aggregates=True),
        version=f"{steps.VERSION}.{field}.{'+'.join(values)}.{'+'.join(strata)}",
        ins={
            "samples": dg.AssetIn(asset_key(table)),
            "personas": dg.AssetIn(asset_key(HUB)),
            "places": dg.AssetIn(asset_key(MAP)),
            "clusters": dg.AssetIn(asset_key(CLUSTERS)),
        },
        description=f"Shares of each {field} in {name}, by {divisions}: personas are no sample of "
        "a population, so these shares compare and do not forecast.",
    )
    def shares(
        samples: pl.LazyFrame, personas: pl.LazyFrame, places: pl.LazyFrame, clusters: pl.LazyFrame
    ) -> dg.MaterializeResult[StepResult]:
        columns = ["persona_id", *(each for each in strata if each != steps.CLUSTER)]
        hub = steps.with_clusters(
            personas.select(columns).collect(),
            places.select("persona_id", "cluster").collect(),
            clusters.collect(),
        )
        result = steps.build_distribution(
            samples.select("persona_id", field).collect(), hub, field, values, strata
        )
        figures: dict[str, dg.MetadataValue] = {}
        for by, title in ((", ".join(strata), "figure"), (steps.CLUSTER, "figure_by_cluster")):
            shown = result.rows.filter(pl.col("strata").is_in([steps.ALL, by]))
            figures |= picture(title, draw_stacked_bars(shown, f"{name}: {field} by {by}"))
        return dg.MaterializeResult(
            value=result,
            metadata={
                **figures,
                "shares": steps.sentence(result.rows),
                "caution": steps.CAUTION,
            },
        )

    return shares
