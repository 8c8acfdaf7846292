"""Entries of the lineage index for a table: its rows, their parents, its dropped rows.

Belongs here: from a contract and its table to entries. Does not belong here: files of the index,
see `segments`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from persona_assets.catalog.segments import (
    CHILD,
    DROPPED,
    DUPLICATE,
    HELD,
    MADE,
    MEMBER,
)
from persona_assets.storage.footer import Footer
from persona_assets.tables import Table


def key_of(row_id: str) -> int:
    """Return the 64-bit hash of a row id, in SQL `md5_number_lower(id)`.

    Two of 10,000,000 ids share a hash in 3 of 1,000,000 projects; so readers compare the ids, too.
    """
    return int.from_bytes(
        hashlib.md5(row_id.encode(), usedforsecurity=False).digest()[8:], "little"
    )


def contract_of(table: Table | None) -> int:
    """Return the hash of the parts of a contract that entries depend on; 0 without a contract."""
    if table is None:
        return 0
    kind = (table.makes, table.aggregates, table.verdicts, table.duplicates)
    return key_of(repr((table.row_id, table.parents, table.members, kind)))


def stamp_of(footer: Footer, quarantine: Path, contract: int) -> int:
    """Return the hash of a table's identity.

    Args:
        footer: Footer of the table.
        quarantine: File of its dropped rows, which may be missing; its size counts.
        contract: See `contract_of`.
    """
    dropped = quarantine.stat().st_size if quarantine.exists() else 0
    return key_of(f"{footer.model_dump_json()}{dropped}-{contract}")


def entries_of(table: Table, path: Path, quarantine: Path, stamp: int) -> pl.DataFrame:
    """Return the entries of a table.

    Args:
        table: Contract of the table.
        path: File of the table. Columns that a table of an earlier version lacks are ignored.
        quarantine: File of its dropped rows, which may be missing.
        stamp: See `stamp_of`.
    """
    empty = pl.LazyFrame(schema={"id": pl.String(), "kind": pl.UInt8(), "value": pl.String()})
    frames = [empty, *_held(table, path), *_dropped(quarantine)]
    entries = pl.concat(frames).drop_nulls("id").unique().collect()
    keys = pl.Series("key", [key_of(row_id) for row_id in entries["id"]], pl.UInt64)
    return entries.select(keys, pl.lit(stamp, pl.UInt64).alias("stamp"), "kind", "value")


def _held(table: Table, path: Path) -> Iterator[pl.LazyFrame]:
    rows = pl.scan_parquet(path, glob=False)
    columns = set(rows.collect_schema())
    row_id = pl.col(table.row_id).cast(pl.String).alias("id")
    if table.aggregates:
        for name in columns & set(table.members):
            yield _entries(rows, pl.col(name).cast(pl.String).alias("id"), MEMBER)
        return
    if table.row_id not in columns:
        return
    parents = [name for name in table.parents if name in columns] if table.makes else []
    for name in parents:
        parent = pl.col(name).cast(pl.String)
        yield _entries(rows, row_id, MADE, parent)
        yield _entries(rows, parent.alias("id"), CHILD, row_id)
    if table.makes and not parents:
        yield _entries(rows, row_id, MADE)
    if table.duplicates:
        pair = ("survivor_id", "stage", "similarity")
        if columns.issuperset(pair):
            yield _entries(rows, row_id, DUPLICATE, pl.struct(pair).struct.json_encode())
    elif table.verdicts and columns >= {"kept", "reason"}:
        yield _entries(rows, row_id, HELD, pl.when(~pl.col("kept")).then("reason"))
    elif not table.makes:
        yield _entries(rows, row_id, HELD)


def _dropped(quarantine: Path) -> Iterator[pl.LazyFrame]:
    if quarantine.exists():
        yield _entries(
            pl.scan_parquet(quarantine, glob=False), pl.col("id"), DROPPED, pl.col("reason")
        )


def _entries(
    rows: pl.LazyFrame, row_id: pl.Expr, kind: int, value: pl.Expr | None = None
) -> pl.LazyFrame:
    value = pl.lit(None) if value is None else value
    return rows.select(
        row_id,
        pl.lit(kind, pl.UInt8).alias("kind"),
        value.cast(pl.String).alias("value"),
    )
