"""Unique samples: near-duplicates of a task leave, as personas leave on their way to the hub."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.steps.hub import DUPLICATES, build_duplicates
from persona_assets.storage.step_result import StepResult, quarantine

if TYPE_CHECKING:
    from persona_assets.dedup.index.shard_index import JoinedRows

VERSION = "1"

SAMPLE_DUPLICATES = pl.Schema(
    {"sample_id": pl.String(), **{name: DUPLICATES[name] for name in list(DUPLICATES)[1:]}}
)
"""Columns of duplicate samples: those of duplicate personas, by sample."""


def sample_text(fields: Sequence[str]) -> pl.Expr:
    """Return the text of a sample whose words are compared: its fields, one a line.

    Example:
        >>> row = pl.DataFrame({"name": "Tide table", "description": "When to sail.", "n": 1})
        >>> row.select(sample_text(["name", "description"])).item()
        'Tide table\\nWhen to sail.'
    """
    return pl.concat_str([pl.col(name) for name in fields], separator="\n", ignore_nulls=True)


def build_sample_duplicates(joined: "JoinedRows", by_content: bool) -> StepResult:
    """List the duplicates of a join over all shards, each with its survivor.

    Args:
        joined: Samples of all shards and their similar pairs.
        by_content: See `build_duplicates`.
    """
    rows = build_duplicates(joined, "lexical", by_content).rows
    return StepResult(rows.rename({"persona_id": "sample_id"}))


def build_unique_samples(task: str, samples: pl.DataFrame, duplicates: pl.DataFrame) -> StepResult:
    """Keep the samples of a shard that are no duplicates.

    Args:
        task: Name of the task.
        samples: Samples of the shard.
        duplicates: Table of the schema SAMPLE_DUPLICATES.
    """
    repeated = pl.col("sample_id").is_in(duplicates["sample_id"].implode())
    dropped = samples.filter(repeated)["sample_id"]
    reasons = ((sample_id, "lexical_duplicate") for sample_id in dropped)
    return StepResult(
        samples.filter(~repeated), quarantine(f"unique_{task}", reasons), len(samples)
    )
