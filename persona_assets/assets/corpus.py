"""Group `corpus`: web text, one shard per file."""

from dataclasses import replace

import dagster as dg

from persona_assets.assets.call_bounds import times
from persona_assets.assets.table_asset import table_asset
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.steps import corpus as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

MAX_CHARS = 1_000_000
"""Characters of the longest text stored whole; the setting `text_chars` limits a model's view."""


@table_asset(
    group="corpus",
    table=Table(steps.SCHEMA, "text_id", makes=True, text="text"),
    version=steps.VERSION,
    settings=["texts_per_shard", "corpus_fields"],
    rows=lambda bounds: (
        times(bounds.settings.texts_per_shard, bounds.shards)
        if bounds.texts is None
        else bounds.texts
    ),
    partitions=shards,
)
def raw_corpus(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    corpus: dg.ResourceParam[Corpus],
) -> StepResult:
    """Texts of one corpus file with source, licence and language; bad records are quarantined."""
    shard = context.partition_key
    source = corpus.fingerprint(shard)
    records = corpus.read(shard) if source else []
    result = steps.build_raw_corpus(
        shard, records, limit=project.settings.texts_per_shard, max_chars=MAX_CHARS
    )
    return replace(result, source=source)
