"""Result of a step: published rows, and quarantined rows with stage and reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from persona_assets.storage.footer import SourceFile

QUARANTINE_SCHEMA = pl.Schema({"id": pl.String(), "stage": pl.String(), "reason": pl.String()})
"""Schema of a quarantine table: id of the dropped row, step that dropped the row, and reason."""


def quarantine(stage: str, pairs: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """Build a quarantine frame from (id, reason) pairs of a stage."""
    rows = [(row_id, stage, reason) for row_id, reason in pairs]
    return pl.DataFrame(rows, schema=QUARANTINE_SCHEMA, orient="row")


def typed_frame(rows: Iterable[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Build a frame of exactly the given schema; without rows, an empty frame of that schema."""
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def split_repeats(
    rows: Iterable[Mapping[str, Any]], key: str
) -> tuple[list[Mapping[str, Any]], list[tuple[str, str]]]:
    """Split rows into the first row of each id, and (id, "repeat") for every later row.

    Args:
        rows: Rows that have the column `key`.
        key: Column of the id.

    Example:
        >>> split_repeats([{"id": "a", "n": 1}, {"id": "a", "n": 2}], "id")
        ([{'id': 'a', 'n': 1}], [('a', 'repeat')])
    """
    first_rows: dict[str, Mapping[str, Any]] = {}
    repeats: list[tuple[str, str]] = []
    for row in rows:
        if row[key] in first_rows:
            repeats.append((row[key], "repeat"))
        else:
            first_rows[row[key]] = row
    return list(first_rows.values()), repeats


@dataclass(frozen=True)
class StepResult:
    """Rows that a step made, and rows that it dropped.

    Args:
        rows: Rows to publish.
        dropped: Quarantine of `QUARANTINE_SCHEMA`.
        rows_in: Number of input rows of a one-to-one step, equal to `len(rows) + len(dropped)`;
            None for a step that fans out or reduces.
        source: Corpus file that was read; set by `raw_corpus` only.
        decisions: See `Footer`.
        repairs: Number of published rows by what was taken off or redacted in them.
        figures: Figures of how the rows were made, by name, for the UI.
        withdrawn: See `Footer`.

    Raises:
        ValueError: `rows_in` differs from the number of rows out and dropped.
    """

    rows: pl.DataFrame
    dropped: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUARANTINE_SCHEMA))
    rows_in: int | None = None
    source: SourceFile | None = None
    decisions: Mapping[str, float] = field(default_factory=dict[str, float])
    repairs: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])
    withdrawn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rows_in is not None and self.rows_in != len(self.rows) + len(self.dropped):
            raise ValueError(
                f"rows are unaccounted for: {self.rows_in} in, {len(self.rows)} out, "
                f"{len(self.dropped)} dropped"
            )

    def reasons(self) -> dict[str, int]:
        """Count dropped rows by reason, most frequent first; detail after a colon is omitted."""
        reason = pl.col("reason").str.split(": ").list.first()
        counts = self.dropped.group_by(reason).len()
        return dict(counts.sort("len", "reason", descending=[True, False]).iter_rows())
