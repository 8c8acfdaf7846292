"""Groups `personas` and `personas/hops`: Text-to-Persona, six hops, and the quality filter."""

from collections.abc import Mapping
from dataclasses import replace

import dagster as dg
import polars as pl

from persona_assets.assets import groups
from persona_assets.assets.call_bounds import CallBounds, least, plus, times
from persona_assets.assets.draws import draw_of
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.assets.text_language import FOLLOWED, follows_text
from persona_assets.partitions import shards
from persona_assets.plots.bars import draw_bars
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.models import Models
from persona_assets.rules import protection
from persona_assets.steps import hop_budget, quality
from persona_assets.steps import personas as steps
from persona_assets.storage.shard_keys import is_ready
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

HOPS = [f"hop_{number}_personas" for number in range(1, hop_budget.HOPS + 1)]


def _asked_perspectives(bounds: CallBounds) -> int | None:
    return times(bounds.texts, bounds.settings.perspectives_per_text)


@table_asset(
    group="personas",
    table=Table(steps.TEXT_PERSONAS, "persona_id", "parent_id", makes=True, text="persona"),
    version=f"{steps.VERSION}.{protection.VERSION}",
    earlier=["1"],
    prompts=["text_to_persona"],
    settings=["perspectives", "perspectives_per_text", "text_chars", *protection.SETTINGS],
    rows=lambda bounds: plus(_asked_perspectives(bounds), bounds.ready),
    calls=lambda bounds: bounds.question_calls(_asked_perspectives(bounds), "text_to_persona"),
    partitions=shards,
)
def text_personas(
    context: dg.AssetExecutionContext,
    raw_corpus: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
) -> dg.MaterializeResult[StepResult]:
    """Who is likely to read, write, like or dislike each text (section 2.1), or ready personas."""
    if is_ready(context.partition_key):
        ready = steps.build_ready_personas(raw_corpus.collect(), project.protection)
        return dg.MaterializeResult(value=ready)
    draw = draw_of(project, "text_personas", context.partition_key)
    follow = follows_text(project, context.partition_key)
    with open_session(context, models) as session:
        result = steps.build_text_personas(
            raw_corpus.collect(),
            project.prompt("text_to_persona", context.partition_key),
            session.complete,
            perspectives=project.settings.perspectives,
            per_text=project.settings.perspectives_per_text,
            max_chars=project.settings.text_chars,
            draw_by=draw.column("text", "text_id"),
            protection=project.protection,
            follow=follow,
        )
    decisions = {**draw.decisions, **(FOLLOWED if follow else {})}
    languages = steps.count_languages(result.rows)
    return materialize_result(replace(result, decisions=decisions), session, languages=languages)


def hop_personas(number: int) -> TableAsset:
    """Declare one round of expansion: a partitioned asset cannot depend on itself."""
    earlier = ["text_personas", *HOPS[: number - 1]]

    def expanded(bounds: CallBounds) -> int | None:
        settings = bounds.settings
        limit = times(settings.personas_per_hop, bounds.text_shards)
        # A later hop never gets more expansions than an earlier, and each shard rounds up.
        per_hop = settings.relations_per_persona * number
        share = (
            None if settings.hub_size is None else settings.hub_size // per_hop + bounds.text_shards
        )
        # Ready personas are not expanded.
        parents = _asked_perspectives(bounds) if number == 1 else bounds.rows(earlier[-1])
        return least(limit, share, parents)

    @table_asset(
        name=HOPS[number - 1],
        group=groups.HOPS,
        table=Table(steps.HOP, "persona_id", "parent_id", makes=True, text="persona"),
        version=f"{steps.VERSION}.{quality.rules_version()}.{protection.VERSION}",
        earlier=["1.1"],
        prompts=["persona_to_persona"],
        settings=[
            "relations_per_persona",
            "personas_per_hop",
            "hub_size",
            "least_novelty",
            *protection.SETTINGS,
        ],
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
        corpus: dg.ResourceParam[Corpus],
        models: dg.ResourceParam[Models],
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        shard = context.partition_key
        if is_ready(shard):
            return dg.MaterializeResult(value=StepResult(steps.HOP.to_frame()))
        share = hub_share(project, corpus, shard) if number == 1 else decided_share(project, shard)
        draw = draw_of(project, HOPS[number - 1], shard)
        with open_session(context, models) as session:
            result = steps.build_hop_personas(
                [tables[name].collect() for name in earlier],
                project.prompt("persona_to_persona", shard),
                session.complete,
                number=number,
                relations=project.settings.relations_per_persona,
                limit=project.settings.personas_per_hop,
                target=share.get("personas"),
                novelty=project.settings.least_novelty,
                draw_by=draw.column("persona", "persona_id"),
                protection=project.protection,
            )
        usage = session.usage
        expanded = usage.calls + usage.replayed + usage.reused
        return materialize_result(
            replace(result, decisions={**share, **draw.decisions}),
            session,
            yield_per_persona=len(result.rows) / max(expanded, 1),
        )

    return hop


def hub_share(project: Project, corpus: Corpus, shard: str) -> Mapping[str, float]:
    """Return the setting `hub_size` and the shard's part of it; {} if there is no target.

    The first hop decides the part; its footer holds it for the other hops and for later runs.
    Ready personas have no part.
    """
    hub_size = project.settings.hub_size
    if hub_size is None:
        return {}
    texts = (key for key in corpus.shards() if not is_ready(key))
    sizes = {key: stamp[0] for key in texts if (stamp := corpus.stamp(key))}
    shares = {key: decided_share(project, key) for key in sizes}
    decided = {key: hop_budget.Share(**share) for key, share in shares.items() if share}
    return hop_budget.shard_share(hub_size, shard, sizes, decided)._asdict()


def decided_share(project: Project, shard: str) -> Mapping[str, float]:
    """Return the part of the hub in the footer of a shard's first hop; {} if it has none."""
    footer = project.storage.footer(HOPS[0], shard)
    decisions = {} if footer is None else footer.decisions
    return {name: decisions[name] for name in hop_budget.Share._fields if name in decisions}


hops = [hop_personas(number) for number in range(1, hop_budget.HOPS + 1)]


@table_asset(
    group="personas",
    table=Table(steps.CANDIDATES, "persona_id", "parent_id", verdicts=True),
    version=f"{steps.VERSION}.{quality.rules_version()}",
    earlier=["1.1"],
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
    yields = draw_bars(steps.count_by_hop(result.rows), "Personas by hop", "hop", "personas")
    return dg.MaterializeResult(value=result, metadata=picture("personas_by_hop", yields))
