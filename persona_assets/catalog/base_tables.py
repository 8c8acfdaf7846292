"""Base tables of the catalog: materializations, lineage and usage.

An update covers many tables of the project, and deletes their old records first.
"""

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.catalog import sql
from persona_assets.catalog.views import NO_COMPLETIONS
from persona_assets.generation.journal.completion_row import CompletionRow, to_table
from persona_assets.generation.journal.completion_store import GROUP_ROWS
from persona_assets.generation.journal.journal import Journal
from persona_assets.generation.journal.purge import PURGED
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage

if TYPE_CHECKING:
    import duckdb

SCHEMA = """
CREATE TABLE materializations (
    asset VARCHAR, shard VARCHAR, run_id VARCHAR, code_version VARCHAR, data_version VARCHAR,
    prompt_versions JSON, row_count BIGINT, dropped JSON, path VARCHAR
);
CREATE TABLE lineage_tables (
    path VARCHAR, asset VARCHAR, shard VARCHAR, stamp UBIGINT, entries BIGINT, contract UBIGINT,
    size BIGINT, mtime_ns BIGINT
);
CREATE TABLE lineage_files (file VARCHAR, entries BIGINT);
CREATE TABLE lineage_recent (key UBIGINT, stamp UBIGINT, kind UTINYINT, value VARCHAR);
CREATE TABLE made_views (view VARCHAR, columns VARCHAR[], has_files BOOLEAN);
CREATE TABLE lineage (
    asset VARCHAR, shard VARCHAR, upstream_asset VARCHAR, upstream_shard VARCHAR,
    upstream_data_version VARCHAR
);
CREATE TABLE usage (
    asset VARCHAR, shard VARCHAR, model VARCHAR, run_id VARCHAR, calls BIGINT, failed BIGINT,
    uncertain BIGINT, input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT,
    reasoning_tokens BIGINT, cost_usd DECIMAL(38, 12), unpriced BIGINT
);
"""
"""SQL that creates the base tables."""

_ROWS = "unnest(?::VARCHAR[])"
"""A list parameter as rows: a statement per row would take milliseconds each."""

_DELETE = f"""
DELETE FROM {{0}} USING (SELECT {_ROWS} AS asset, {_ROWS} AS shard) places
WHERE {{0}}.asset = places.asset AND {{0}}.shard IS NOT DISTINCT FROM places.shard
"""
_CALL_COLUMNS = (
    "model, run_id, status_code, error_code, uncertain, input_tokens, cached_tokens, "
    "output_tokens, reasoning_tokens, cost_usd"
)
# A copy of another table's record is counted where it was paid for.
_IS_PAID = "reused IS NOT TRUE"
_CREATE_CALLS = f"""
CREATE OR REPLACE TEMP TABLE paid AS
SELECT asset, shard, {_CALL_COLUMNS} FROM ({NO_COMPLETIONS})
"""
_INSERT_COMPLETIONS = f"""
INSERT INTO paid
SELECT places.asset, places.shard, {_CALL_COLUMNS} FROM (
    FROM ({NO_COMPLETIONS})
    UNION ALL BY NAME FROM read_parquet(?, filename = true, union_by_name = true)
) JOIN (SELECT {_ROWS} AS asset, {_ROWS} AS shard, {_ROWS} AS file) places ON file = filename
WHERE {_IS_PAID}
"""
_INSERT_USAGE = f"""
INSERT INTO usage
SELECT asset, shard, model, run_id, count(*),
    count(*) FILTER (error_code <> '{PURGED}' OR status_code IS DISTINCT FROM 200),
    coalesce(sum(uncertain), 0), coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0),
    coalesce(sum(output_tokens), 0), coalesce(sum(reasoning_tokens), 0), sum(cost_usd),
    count(*) FILTER (status_code = 200 AND cost_usd IS NULL)
FROM paid GROUP BY ALL
"""


@contextmanager
def transaction(connection: "duckdb.DuckDBPyConnection") -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open a cursor on a connection, in a transaction."""
    # A separate cursor: its temporary names are gone before a view could bind them in place of an
    # asset's view.
    with connection.cursor() as cursor:
        cursor.begin()
        yield cursor
        cursor.commit()


def record_tables(
    cursor: "duckdb.DuckDBPyConnection",
    tables: Iterable[tuple[Path, Footer]],
    relative: Callable[[Path], str],
) -> None:
    """Record tables and their lineage, replacing their previous records.

    Args:
        cursor: See `transaction`.
        tables: Path and footer of each table. The last of several files with the same asset and
            shard is recorded.
        relative: Path relative to the project.
    """
    latest = {(footer.asset, footer.shard): (path, footer) for path, footer in tables}
    materializations = [
        (
            *name,
            footer.run_id,
            footer.code_version,
            footer.data_version,
            json.dumps(footer.prompt_versions),
            footer.rows,
            json.dumps(footer.dropped),
            relative(path),
        )
        for name, (path, footer) in latest.items()
    ]
    lineage = [
        (*name, upstream.asset, upstream.shard, upstream.data_version)
        for name, (_, footer) in latest.items()
        for upstream in footer.upstream
    ]
    for table, rows in (("materializations", materializations), ("lineage", lineage)):
        delete_rows(cursor, table, latest)
        insert_rows(cursor, table, rows)


def forget_tables(cursor: "duckdb.DuckDBPyConnection", paths: Collection[str]) -> None:
    """Remove the records of tables, by path; their calls stay in `usage`."""
    gone = cursor.execute(
        "SELECT asset, shard FROM materializations WHERE list_contains(?, path)", [list(paths)]
    ).fetchall()
    for table in ("materializations", "lineage"):
        delete_rows(cursor, table, gone)


def record_usage(
    cursor: "duckdb.DuckDBPyConnection",
    storage: Storage,
    tables: Collection[tuple[str, str | None]],
) -> None:
    """Sum the calls and costs of tables again, from their journals and completions.

    Records that a table reuses count for the table that paid for them.

    Args:
        cursor: See `transaction`.
        storage: Journals and completions.
        tables: Asset and shard of each table.
    """
    delete_rows(cursor, "usage", tables)
    # Journals are read first: a record that is compacted in between counts twice until the run that
    # compacts it updates the catalog, and is never missed.
    with_calls = [
        table
        for table in tables
        if storage.journal(*table).exists() or storage.completions(*table).exists()
    ]
    if not with_calls:
        return
    cursor.execute(_CREATE_CALLS)
    for table in with_calls:
        live = Journal(storage.journal(*table), storage.completions(*table)).live()
        while batch := list(itertools.islice(live, GROUP_ROWS)):
            cursor.register(
                "live", to_table(CompletionRow.from_record(record, b"") for record in batch)
            )
            cursor.execute(
                f"INSERT INTO paid SELECT ?, ?, {_CALL_COLUMNS} FROM live WHERE {_IS_PAID}",
                list(table),
            )
    files = [(*table, storage.completions(*table).resolve()) for table in with_calls]
    if places := [(asset, shard, str(file)) for asset, shard, file in files if file.exists()]:
        existing = [sql.escape_glob(file) for _, _, file in places]
        cursor.execute(_INSERT_COMPLETIONS, [existing, *_columns(places)])
    cursor.execute(_INSERT_USAGE)


def delete_rows(
    cursor: "duckdb.DuckDBPyConnection", table: str, names: Collection[tuple[str, str | None]]
) -> None:
    """Delete the rows of a base table for pairs of asset and shard."""
    if names:
        cursor.execute(_DELETE.format(table), _columns(names))


def insert_rows(
    cursor: "duckdb.DuckDBPyConnection", table: str, rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows into a base table."""
    if rows:
        values = ", ".join([_ROWS] * len(rows[0]))
        cursor.execute(f"INSERT INTO {table} SELECT {values}", _columns(rows))


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Transpose rows to columns; an empty list of rows is an error."""
    return [list(column) for column in zip(*rows, strict=True)]
