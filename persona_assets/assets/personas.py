"""Group `personas`: Text-to-Persona, six rounds of Persona-to-Persona, and the quality filter."""

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.partitions import shards
from persona_assets.plots import charts
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.rules import protection
from persona_assets.steps import personas as steps
from persona_assets.steps import quality
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

HOPS = [f"hop_{number}_personas" for number in range(1, steps.HOPS + 1)]


def _text_personas(bounds: CallBounds) -> int | None:
    return times(bounds.rows("raw_corpus"), bounds.settings.perspectives_per_text)


@table_asset(
    group="personas",
    table=Table(steps.TEXT_PERSONAS, "persona_id", "parent_id", makes=True, text="persona"),
    version=f"{steps.VERSION}.{protection.VERSION}",
    prompts=["text_to_persona"],
    settings=["perspectives", "perspectives_per_text", "text_chars", *protection.SETTINGS],
    rows=_text_personas,
    calls=lambda bounds: bounds.question_calls(_text_personas(bounds), "text_to_persona"),
    partitions=shards,
)
def text_personas(
    context: dg.AssetExecutionContext,
    raw_corpus: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[StepResult]:
    """Who is likely to read, write, like or dislike each text (section 2.1)."""
    with open_session(context, models) as session:
        result = steps.build_text_personas(
            raw_corpus.collect(),
            project.prompt("text_to_persona", context.partition_key),
            session.complete,
            perspectives=project.settings.perspectives,
            per_text=project.settings.perspectives_per_text,
            max_chars=project.settings.text_chars,
            protection=project.protection,
        )
    return materialize_result(result, session)


def hop_personas(number: int) -> TableAsset:
    """Declare one round of expansion: a partitioned asset cannot depend on itself."""
    earlier = ["text_personas", *HOPS[: number - 1]]

    def expanded(bounds: CallBounds) -> int | None:
        limit = times(bounds.settings.personas_per_hop, bounds.shards)
        return least(limit, bounds.rows(earlier[-1]))

    @table_asset(
        name=HOPS[number - 1],
        group="personas",
        table=Table(steps.HOP, "persona_id", "parent_id", makes=True, text="persona"),
        version=f"{steps.VERSION}.{quality.rules_version()}.{protection.VERSION}",
        prompts=["persona_to_persona"],
        settings=["relations_per_persona", "personas_per_hop", *protection.SETTINGS],
        rows=lambda bounds: times(expanded(bounds), bounds.settings.relations_per_persona),
        calls=lambda bounds: bounds.question_calls(expanded(bounds), "persona_to_persona"),
        partitions=shards,
        ins={name: dg.AssetIn(name) for name in earlier},
        description=(
            f"Who is close to the personas of the round before, each by a named relation: round "
            f"{number} of six (section 2.2)."
        ),
    )
    def hop(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as session:
            result = steps.build_hop_personas(
                [tables[name].collect() for name in earlier],
                project.prompt("persona_to_persona", context.partition_key),
                session.complete,
                number=number,
                relations=project.settings.relations_per_persona,
                limit=project.settings.personas_per_hop,
                protection=project.protection,
            )
        expanded = session.usage.calls + session.usage.replayed
        return materialize_result(
            result, session, yield_per_persona=len(result.rows) / max(expanded, 1)
        )

    return hop


hops = [hop_personas(number) for number in range(1, steps.HOPS + 1)]


@table_asset(
    group="personas",
    table=Table(steps.CANDIDATES, "persona_id", "parent_id", verdicts=True),
    version=f"{steps.VERSION}.{quality.rules_version()}",
    rows=lambda bounds: plus(*(bounds.rows(name) for name in ["text_personas", *HOPS])),
    partitions=shards,
    ins={name: dg.AssetIn(name) for name in ["text_personas", *HOPS]},
)
def persona_candidates(
    text_personas: pl.LazyFrame, **tables: pl.LazyFrame
) -> dg.MaterializeResult[StepResult]:
    """All personas of a shard, each kept or rejected by the quality filter with the reason."""
    result = steps.build_persona_candidates(
        text_personas.collect(), [tables[name].collect() for name in HOPS]
    )
    yields = charts.draw_bars(steps.count_by_hop(result.rows), "Personas by hop", "hop", "personas")
    return dg.MaterializeResult(value=result, metadata=picture("personas_by_hop", yields))
