"""Group `corpus`: web text, one shard per file; and ready personas, one shard per table."""

from dataclasses import replace

import dagster as dg

from persona_assets.assets.call_bounds import plus
from persona_assets.assets.table_asset import table_asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.settings import Settings
from persona_assets.steps import corpus as steps
from persona_assets.storage.shard_keys import is_ready
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

MAX_CHARS = 1_000_000
"""Characters of the longest text stored whole; the setting `text_chars` limits a model's view."""


def most_rows(settings: Settings, shard: str) -> int | None:
    """Return the number of records read from the head of a shard; None for all."""
    return settings.ready_per_shard if is_ready(shard) else settings.texts_per_shard


@table_asset(
    group="corpus",
    table=Table(steps.SCHEMA, "text_id", makes=True, text="text"),
    version=steps.VERSION,
    settings=["texts_per_shard", "corpus_fields", "ready_fields", "ready_per_shard"],
    rows=lambda bounds: plus(bounds.texts, bounds.ready),
    partitions=shards,
)
def raw_corpus(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    corpus: dg.ResourceParam[Corpus],
) -> StepResult:
    """Texts of a corpus file, or ready personas, with sources; bad records are quarantined."""
    shard = context.partition_key
    source = corpus.fingerprint(shard)
    records = corpus.read(shard) if source else []
    withdrawals = project.storage.withdrawals()
    result = steps.build_raw_corpus(
        shard,
        records,
        limit=most_rows(project.settings, shard),
        max_chars=MAX_CHARS,
        withdrawn=withdrawals.active,
    )
    obeyed = withdrawals.contents_of(shard, result.withdrawn)
    return replace(result, source=source, withdrawn=obeyed)
