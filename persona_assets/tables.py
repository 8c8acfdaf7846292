"""The contract of a table: its columns, its row id, and its place in lineage.

Belongs here: the class. Each contract stands beside the asset that makes the table, in `assets/`;
run-time checks, the catalog's macros and the call bounds derive from it.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Table:
    """Contract of one asset's table.

    Attributes:
        schema: Columns and their types, in order.
        row_id: Column that identifies a row.
        parent: Column with the id of the row that this row was made from.
        second: Column with the id of a second row that this row was made from.
        makes: True if the table creates its rows; False if it carries rows over from upstream under
            their ids. Tables that create rows are the edges of `trace`.
        unique: Columns that together identify a row, where `row_id` alone does not.
        aggregates: True if the table is made from whole tables, not row by row.
        members: Columns with the ids of the rows that the table aggregates, where these are not all
            rows of the tables that it is made from.
        text: Column with the row's own wording, shown by `why`.
        verdicts: True if rows carry `kept` (Boolean) and `reason` (String) of a filter.
        duplicates: True if rows are duplicates with `survivor_id`, `similarity` and `stage`.
        reports_on: Task on which the table reports; such tables have the same columns.

    Example:
        >>> schema = pl.Schema({"text_id": pl.String(), "text": pl.String()})
        >>> Table(schema, "text_id", makes=True, text="text").key
        ('text_id',)
    """

    schema: pl.Schema
    row_id: str
    parent: str | None = None
    makes: bool = False
    unique: tuple[str, ...] = ()
    aggregates: bool = False
    text: str | None = None
    verdicts: bool = False
    duplicates: bool = False
    second: str | None = None
    reports_on: str | None = None
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = {
            self.row_id,
            *self.unique,
            *self.members,
            *filter(None, (self.parent, self.second, self.text)),
        }
        if self.verdicts:
            named |= {"kept", "reason"}
        if self.duplicates:
            named |= {"survivor_id", "similarity", "stage"}
        if missing := sorted(named - set(self.schema)):
            raise ValueError(f"the contract names {', '.join(missing)}, which its schema lacks")

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that together differ in every row."""
        return self.unique or (self.row_id,)

    @property
    def parents(self) -> tuple[str, ...]:
        """Columns with the ids of the rows that a row was made from."""
        return tuple(name for name in (self.parent, self.second) if name is not None)

    def count_faulty_keys(self, rows: pl.LazyFrame) -> int:
        """Count the rows whose key is missing or repeated."""
        keys = rows.select(self.key).collect()
        return len(keys) - keys.drop_nulls().n_unique()
