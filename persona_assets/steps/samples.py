"""Unique samples: near-duplicates of a task leave, as personas leave on their way to the hub.

First those with the words of an earlier sample, then, where a task asks for it, those with its
meaning.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.steps.hub import (
    DUPLICATES,
    VECTORS,
    Embed,
    build_duplicates,
    build_embeddings,
)
from persona_assets.storage.step_result import StepResult, quarantine

if TYPE_CHECKING:
    from persona_assets.dedup.index.shard_index import JoinedRows

VERSION = "1"

SAMPLE_DUPLICATES = pl.Schema(
    {"sample_id": pl.String(), **{name: DUPLICATES[name] for name in list(DUPLICATES)[1:]}}
)
"""Columns of duplicate samples: those of duplicate personas, by sample."""

SAMPLE_EMBEDDINGS = pl.Schema({"sample_id": pl.String(), **VECTORS})
"""Columns of the embeddings of samples."""


def sample_text(fields: Sequence[str]) -> pl.Expr:
    """Return the text of a sample whose words are compared: its fields, one a line.

    Example:
        >>> row = pl.DataFrame({"name": "Tide table", "description": "When to sail.", "n": 1})
        >>> row.select(sample_text(["name", "description"])).item()
        'Tide table\\nWhen to sail.'
    """
    return pl.concat_str([pl.col(name) for name in fields], separator="\n", ignore_nulls=True)


def embedded_text(fields: Sequence[str], most_bytes: int) -> pl.Expr:
    """Return the text of a sample that is embedded: the beginning of its `sample_text`.

    Example:
        >>> row = pl.DataFrame({"name": "Café", "description": "Open until ten."})
        >>> row.select(embedded_text(["name", "description"], 4)).item()
        'Caf'
    """

    def beginning(text: str) -> str:
        # A character that is cut in the middle is left out.
        return text.encode()[:most_bytes].decode(errors="ignore")

    return sample_text(fields).map_elements(beginning, pl.String())


def count_cut(samples: pl.DataFrame, fields: Sequence[str], most_bytes: int) -> int:
    """Count the samples of which only the beginning is embedded."""
    return int(samples.select((sample_text(fields).str.len_bytes() > most_bytes).sum()).item())


def build_sample_duplicates(joined: "JoinedRows", stage: str, by_content: bool) -> StepResult:
    """List the duplicates of a join over all shards, each with its survivor.

    Args:
        joined: Samples of all shards and their similar pairs.
        stage: "lexical" or "semantic".
        by_content: See `build_duplicates`.
    """
    rows = build_duplicates(joined, stage, by_content).rows
    return StepResult(rows.rename({"persona_id": "sample_id"}))


def build_sample_embeddings(
    samples: pl.DataFrame, fields: Sequence[str], most_bytes: int, embed: Embed
) -> StepResult:
    """Embed the beginning of each sample; see `embedded_text` and `build_embeddings`."""
    texts = samples.select(embedded_text(fields, most_bytes)).to_series()
    return build_embeddings(samples["sample_id"], texts, embed)


def build_unique_samples(table: str, samples: pl.DataFrame, duplicates: pl.DataFrame) -> StepResult:
    """Keep the samples of a shard that are no duplicates.

    Args:
        table: Name of the table of the kept samples.
        samples: Samples of the shard.
        duplicates: Table of the schema SAMPLE_DUPLICATES.
    """
    reason = pl.format("{}_duplicate", pl.col("stage"))
    reasons = duplicates.select("sample_id", reason=reason)
    dropped = samples.select("sample_id").join(reasons, on="sample_id", maintain_order="left")
    kept = samples.join(duplicates, on="sample_id", how="anti", maintain_order="left")
    return StepResult(kept, quarantine(table, dropped.iter_rows()), len(samples))
