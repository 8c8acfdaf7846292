"""Calls of a table as its journal and completions record them, without a lease."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from persona_assets.generation import CallRecord, CompletionStore, Journal
from persona_assets.generation.money.usage import UNFINISHED
from persona_assets.storage.storage import Storage

RECORD_SCHEMA = pl.Schema(
    {
        "key": pl.String(),
        "time": pl.String(),
        "run_id": pl.String(),
        "model": pl.String(),
        "prompt_version": pl.String(),
        "batch": pl.Boolean(),
        "error_code": pl.String(),
        "finish_reason": pl.String(),
        "input_tokens": pl.Int64(),
        "cached_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "reasoning_tokens": pl.Int64(),
        "cost_usd": pl.Decimal(38, 12),
        "reused": pl.Boolean(),
        "stored": pl.Boolean(),
    }
)
"""Columns of the records of calls; `stored` is true of the calls of finished tables."""


def read_call_records(storage: Storage, asset: str, partition: str | None) -> pl.DataFrame:
    """Read the calls recorded for a table, those of earlier prompts and models included.

    Args:
        storage: Holds the table's journal and completions.
        asset: Name of the asset.
        partition: Shard; None for a table without shards.

    Returns:
        A row per record, with RECORD_SCHEMA.
    """
    path = storage.journal(asset, partition)
    completions = storage.completions(asset, partition)
    rows: list[tuple[Any, ...]] = []
    for record in Journal(path, completions).live():
        tokens = record.tokens
        counts = (
            (tokens.input, tokens.cached, tokens.output, tokens.reasoning)
            if tokens is not None
            else (None,) * 4
        )
        rows.append(
            (
                record.key,
                record.time,
                record.run_id,
                record.model,
                record.prompt_version,
                record.batch,
                # As in a completions file: a response that was broken off is paid, no error.
                None if record.failure == UNFINISHED else record.failure,
                record.finish_reason,
                *counts,
                record.cost,
                record.reused,
                False,
            )
        )
    frames = [pl.DataFrame(rows, schema=RECORD_SCHEMA, orient="row")]
    if completions.exists():
        # Files of earlier versions lack columns.
        stored = pl.scan_parquet(
            completions,
            schema=RECORD_SCHEMA,
            missing_columns="insert",
            extra_columns="ignore",
        )
        frames.insert(0, stored.collect().with_columns(stored=pl.lit(True)))
    return pl.concat(frames).with_columns(
        pl.col("batch", "reused").fill_null(False),
        pl.col("time", "run_id", "prompt_version").fill_null(""),
    )


def find_call_records(
    storage: Storage, asset: str, partition: str | None, keys: Iterable[str]
) -> dict[str, CallRecord]:
    """Return the first record that settles each call in the completions of a table, by key."""
    path = storage.completions(asset, partition)
    if not path.exists():
        return {}
    with CompletionStore(path) as store:
        records = ((key, store.get(key)) for key in keys)
        return {key: record for key, record in records if record is not None}
