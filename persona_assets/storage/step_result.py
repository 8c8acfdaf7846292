"""What every step returns: the rows it made and the rows it dropped, each drop with its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from persona_assets.storage.footer import SourceFile

QUARANTINE_SCHEMA = pl.Schema({"id": pl.String(), "stage": pl.String(), "reason": pl.String()})
"""Schema of a quarantine table: the dropped row's id, the step that dropped it, and why."""


def quarantine(stage: str, pairs: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """A quarantine frame from (id, reason) pairs of one stage."""
    rows = [(row_id, stage, reason) for row_id, reason in pairs]
    return pl.DataFrame(rows, schema=QUARANTINE_SCHEMA, orient="row")


def typed_frame(rows: Iterable[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Rows as a frame of exactly `schema`; no rows give an empty, typed frame."""
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def split_repeats(
    rows: Iterable[Mapping[str, Any]], key: str
) -> tuple[list[Mapping[str, Any]], list[tuple[str, str]]]:
    """The first row of each id, and (id, `repeat`) for every further one."""
    first: dict[str, Mapping[str, Any]] = {}
    repeats: list[tuple[str, str]] = []
    for row in rows:
        if row[key] in first:
            repeats.append((row[key], "repeat"))
        else:
            first[row[key]] = row
    return list(first.values()), repeats


@dataclass(frozen=True)
class StepResult:
    """Rows made and rows dropped.

    `rows_in` is the number of inputs of a one-to-one step: `len(rows) + len(dropped)` must equal
    it. Steps that fan out or reduce leave it None. `source` is the corpus file read, of
    `raw_corpus` alone.
    """

    rows: pl.DataFrame
    dropped: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUARANTINE_SCHEMA))
    rows_in: int | None = None
    source: SourceFile | None = None

    def __post_init__(self) -> None:
        if self.rows_in is not None and self.rows_in != len(self.rows) + len(self.dropped):
            raise ValueError(
                f"rows are unaccounted for: {self.rows_in} in, {len(self.rows)} out, "
                f"{len(self.dropped)} dropped"
            )

    def reasons(self) -> dict[str, int]:
        """Number of dropped rows by reason, most frequent first; detail after a colon left out."""
        reason = pl.col("reason").str.split(": ").list.first()
        counts = self.dropped.group_by(reason).len()
        return dict(counts.sort("len", "reason", descending=[True, False]).iter_rows())
