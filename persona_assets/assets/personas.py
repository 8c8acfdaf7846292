"""Group `personas`: Text-to-Persona, six rounds of Persona-to-Persona, and the quality filter."""

import dagster as dg
import polars as pl

from persona_assets.assets.model_calls import POOL, materialize_result, open_session
from persona_assets.assets.pictures import picture
from persona_assets.assets.reads import reads
from persona_assets.partitions import shards
from persona_assets.plots import charts
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.steps import personas as steps
from persona_assets.steps import quality
from persona_assets.storage.step_result import StepResult

HOPS = [f"hop_{number}_personas" for number in range(1, steps.HOPS + 1)]


@dg.asset(
    partitions_def=shards,
    group_name="personas",
    kinds={"llm", "parquet"},
    pool=POOL,
    metadata=reads(
        steps.VERSION,
        prompts=["text_to_persona"],
        settings=["perspectives", "perspectives_per_text", "text_chars"],
    ),
)
def text_personas(
    context: dg.AssetExecutionContext,
    raw_corpus: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[StepResult]:
    """Who is likely to read, write, like or dislike each text (section 2.1)."""
    with open_session(context, models) as asked:
        outcome = steps.build_text_personas(
            raw_corpus.collect(),
            project.prompt("text_to_persona", context.partition_key),
            asked.complete,
            perspectives=project.settings.perspectives,
            per_text=project.settings.perspectives_per_text,
            max_chars=project.settings.text_chars,
        )
    return materialize_result(outcome, asked)


def hop_personas(number: int) -> dg.AssetsDefinition:
    """The asset of one round of expansion: a partitioned asset cannot depend on itself."""
    earlier = ["text_personas", *HOPS[: number - 1]]

    @dg.asset(
        name=HOPS[number - 1],
        ins={name: dg.AssetIn(name) for name in earlier},
        partitions_def=shards,
        group_name="personas",
        kinds={"llm", "parquet"},
        pool=POOL,
        description=(
            f"Who is close to the personas of the round before, each by a named relation: round "
            f"{number} of six (section 2.2)."
        ),
        metadata=reads(
            f"{steps.VERSION}.{quality.VERSION}",
            prompts=["persona_to_persona"],
            settings=["relations_per_persona", "personas_per_hop"],
        ),
    )
    def hop(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as asked:
            outcome = steps.build_hop_personas(
                [tables[name].collect() for name in earlier],
                project.prompt("persona_to_persona", context.partition_key),
                asked.complete,
                number=number,
                relations=project.settings.relations_per_persona,
                limit=project.settings.personas_per_hop,
            )
        expanded = asked.usage.calls + asked.usage.replayed
        return materialize_result(
            outcome, asked, yield_per_persona=len(outcome.rows) / max(expanded, 1)
        )

    return hop


hops = [hop_personas(number) for number in range(1, steps.HOPS + 1)]


@dg.asset(
    ins={name: dg.AssetIn(name) for name in ["text_personas", *HOPS]},
    partitions_def=shards,
    group_name="personas",
    kinds={"parquet"},
    metadata=reads(f"{steps.VERSION}.{quality.VERSION}"),
)
def persona_candidates(
    text_personas: pl.LazyFrame, **tables: pl.LazyFrame
) -> dg.MaterializeResult[StepResult]:
    """All personas of a shard, each kept or rejected by the quality filter with the reason."""
    outcome = steps.build_persona_candidates(
        text_personas.collect(), [tables[name].collect() for name in HOPS]
    )
    yields = charts.draw_bars(
        steps.count_by_hop(outcome.rows), "Personas by hop", "hop", "personas"
    )
    return dg.MaterializeResult(value=outcome, metadata=picture("personas_by_hop", yields))
