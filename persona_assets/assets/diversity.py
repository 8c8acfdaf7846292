"""Group `analysis`: does diversity of personas make diversity of problems (figure 10)?"""

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import CallBounds, plus
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import table_asset
from persona_assets.plots.box_plot import draw_box_plot
from persona_assets.project import Project
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.resources.models import Models
from persona_assets.settings import Settings
from persona_assets.steps import diversity as steps
from persona_assets.steps import persona_pairs as pairs
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import ShardTables
from persona_assets.tables import Table

PROMPT = "diversity_problem"
SECOND = f"{PROMPT}@pair_writer"
"""The same prompt for the second model of panel c; without that role nothing asks it."""

FOCUSES = {"a: no focus": "", "b: finance and probability": "finance and probability"}


def _similarities(settings: Settings) -> tuple[float, ...]:
    """Return the buckets of all panels."""
    of_models = settings.pair_writer_similarity
    added = () if of_models is None else (of_models,)
    return tuple(dict.fromkeys((*settings.pair_similarities, *added)))


def _panels(project: Project) -> dict[str, steps.Panel]:
    """Return the panels of the figure: two focuses, and two models where a second is set."""
    settings = project.settings
    panels = {
        name: steps.Panel(
            project.prompt(PROMPT).with_variables(focus=focus), settings.pair_similarities
        )
        for name, focus in FOCUSES.items()
    }
    if settings.pair_writer_similarity is not None:
        for name in (PROMPT, SECOND):
            prompt = project.prompt(name).with_variables(focus="")
            role = prompt.head.role
            label = f"c: {settings.endpoint(role).model} ({role})"
            panels[label] = steps.Panel(prompt, [settings.pair_writer_similarity])
    return panels


def _problem_calls(bounds: CallBounds) -> int | None:
    settings = bounds.settings
    per_bucket = 2 * settings.pairs_per_bucket
    calls: list[int | None] = []
    for panel in _panels(bounds.project).values():
        personas = per_bucket * len(panel.buckets)
        role: str = panel.prompt.head.role
        name = SECOND if role == "pair_writer" else PROMPT
        calls += [bounds.question_calls(personas, name), bounds.embedding_calls(personas, 1)]
    return plus(*calls)


@table_asset(
    group="analysis",
    table=Table(
        pairs.PAIRS,
        "pair_id",
        unique=("bucket", "pair_id"),
        aggregates=True,
        members=("left_id", "right_id"),
    ),
    version=pairs.VERSION,
    settings=["pair_similarities", "pair_tolerance", "pairs_per_bucket", "pair_writer_similarity"],
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
        similarities=_similarities(settings),
        tolerance=settings.pair_tolerance,
        per_bucket=settings.pairs_per_bucket,
        threads=deduplicator.threads,
    )
    short = pairs.short_buckets(result.rows, _similarities(settings), settings.pairs_per_bucket)
    return dg.MaterializeResult(value=result, metadata={"short_buckets": short or "none"})


@table_asset(
    group="analysis",
    table=Table(
        steps.REPORT,
        "pair_id",
        unique=("panel", "bucket", "pair_id"),
        aggregates=True,
        members=("left_id", "right_id"),
    ),
    version=f"{steps.VERSION}.1",
    prompts=[PROMPT, SECOND],
    settings=["embedder", "embedding_dimensions", "pair_writer_similarity"],
    variables={
        PROMPT: tuple({"focus": focus} for focus in FOCUSES.values()),
        SECOND: ({"focus": ""},),
    },
    calls=_problem_calls,
)
def diversity_report(
    context: dg.AssetExecutionContext,
    persona_pairs: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[StepResult]:
    """How alike the problems of alike personas are: two focuses, two models (figure 10)."""
    panels, drawn_pairs = _panels(project), persona_pairs.collect()
    with open_session(context, models) as session:
        result = steps.build_diversity_report(drawn_pairs, panels, session.complete, session.embed)
    settings = project.settings
    drawn = draw_box_plot(
        result.rows,
        settings.pairs_per_bucket,
        {name: panel.buckets for name, panel in panels.items()},
        steps.paper_quartiles(panels),
    )
    short = pairs.short_buckets(drawn_pairs, _similarities(settings), settings.pairs_per_bucket)
    return materialize_result(
        result,
        session,
        **picture("figure", drawn),
        quartiles=dg.MetadataValue.md(steps.quartiles_markdown(steps.beside_paper(result.rows))),
        paper=steps.PAPER_NOTE,
        short_buckets=short or "none",
    )
