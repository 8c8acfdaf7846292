"""Group `analysis`: does diversity of personas make diversity of problems (figure 10)?"""

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, plus, times
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import table_asset
from persona_assets.plots import charts
from persona_assets.project import Project
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.resources.models import Models
from persona_assets.steps import diversity as steps
from persona_assets.steps import persona_pairs as pairs
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table

PANELS = {"a: no focus": "", "b: finance and probability": "finance and probability"}


def _problem_calls(bounds: CallBounds) -> int | None:
    settings = bounds.settings
    personas = 2 * settings.pairs_per_bucket * len(settings.pair_similarities)
    problems = bounds.question_calls(personas, "diversity_problem")
    per_panel = plus(problems, bounds.embedding_calls(personas, 1))
    return times(per_panel, len(PANELS))


@table_asset(
    group="analysis",
    table=Table(pairs.PAIRS, "pair_id", unique=("bucket", "pair_id"), aggregates=True),
    version=pairs.VERSION,
    settings=["pair_similarities", "pair_tolerance", "pairs_per_bucket"],
)
def persona_pairs(
    persona_hub: pl.LazyFrame,
    persona_embeddings: ShardTables,
    project: dg.ResourceParam[Project],
    deduplicator: dg.ResourceParam[Deduplicator],
) -> dg.MaterializeResult[StepResult]:
    """Pairs of personas of given similarity, the same number of each."""
    settings = project.settings
    result = pairs.build_persona_pairs(
        persona_hub.select("persona_id", "persona").collect(),
        lambda: (table.scan() for table in persona_embeddings),
        similarities=settings.pair_similarities,
        tolerance=settings.pair_tolerance,
        per_bucket=settings.pairs_per_bucket,
        threads=deduplicator.threads,
    )
    short = pairs.short_buckets(result.rows, settings.pair_similarities, settings.pairs_per_bucket)
    return dg.MaterializeResult(value=result, metadata={"short_buckets": short or "none"})


@table_asset(
    group="analysis",
    table=Table(steps.REPORT, "pair_id", unique=("panel", "bucket", "pair_id"), aggregates=True),
    version=f"{steps.VERSION}.1",
    prompts=["diversity_problem"],
    settings=["embedder", "embedding_dimensions"],
    variables={"diversity_problem": tuple({"focus": focus} for focus in PANELS.values())},
    calls=_problem_calls,
)
def diversity_report(
    context: dg.AssetExecutionContext,
    persona_pairs: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[StepResult]:
    """How alike the problems of alike personas are, without and with a focus (figure 10, a, b)."""
    prompt = project.prompt("diversity_problem")
    drawn_pairs = persona_pairs.collect()
    with open_session(context, models) as session:
        panels = {panel: prompt.with_variables(focus=focus) for panel, focus in PANELS.items()}
        result = steps.build_diversity_report(drawn_pairs, panels, session.complete, session.embed)
    settings = project.settings
    drawn = charts.draw_box_plot(result.rows, settings.pairs_per_bucket, settings.pair_similarities)
    short = pairs.short_buckets(drawn_pairs, settings.pair_similarities, settings.pairs_per_bucket)
    return materialize_result(
        result,
        session,
        **picture("figure", drawn),
        quartiles=dg.MetadataValue.md(steps.quartiles_markdown(steps.quartiles(result.rows))),
        short_buckets=short or "none",
    )
