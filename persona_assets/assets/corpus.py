"""Group `corpus`: web text, one shard per file."""

from dataclasses import replace

import dagster as dg

from persona_assets.assets.reads import reads
from persona_assets.partitions import shards
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.steps import corpus as steps
from persona_assets.storage.step_result import StepResult

MAX_CHARS = 1_000_000
"""Longest text that is kept whole; how much of one a model sees is the setting `text_chars`."""


@dg.asset(
    partitions_def=shards,
    group_name="corpus",
    kinds={"parquet"},
    metadata=reads(steps.VERSION, settings=["texts_per_shard", "corpus_fields"]),
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
    outcome = steps.build_raw_corpus(
        shard, records, limit=project.settings.texts_per_shard, max_chars=MAX_CHARS
    )
    return replace(outcome, source=source)
