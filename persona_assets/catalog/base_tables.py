"""The catalog's tables: what there is, what it was made from, and what was paid for it.

Many tables of the project are noted in one go, and what was known of them is forgotten.
"""

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.catalog import sql
from persona_assets.catalog.views import NO_COMPLETIONS
from persona_assets.generation.journal.completion_row import CompletionRow, to_table
from persona_assets.generation.journal.completion_store import GROUP_ROWS
from persona_assets.generation.journal.journal import Journal
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage

if TYPE_CHECKING:
    import duckdb

SCHEMA = """
CREATE TABLE materializations (
    asset VARCHAR, shard VARCHAR, run_id VARCHAR, code_version VARCHAR, data_version VARCHAR,
    prompt_versions JSON, row_count BIGINT, dropped JSON, path VARCHAR
);
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

_ROWS = "unnest(?::VARCHAR[])"
"""A column of values as rows: a statement for each row would take milliseconds."""

_FORGET = f"""
DELETE FROM {{0}} USING (SELECT {_ROWS} AS asset, {_ROWS} AS shard) places
WHERE {{0}}.asset = places.asset AND {{0}}.shard IS NOT DISTINCT FROM places.shard
"""
_PAID = (
    "model, run_id, status_code, error_code, uncertain, input_tokens, cached_tokens, "
    "output_tokens, reasoning_tokens, cost_usd"
)
_NONE_PAID = (
    f"CREATE OR REPLACE TEMP TABLE paid AS SELECT asset, shard, {_PAID} FROM ({NO_COMPLETIONS})"
)
_COMPACTED = f"""
INSERT INTO paid
SELECT asset, shard, {_PAID} FROM read_parquet(?, filename = true)
JOIN (SELECT {_ROWS} AS asset, {_ROWS} AS shard, {_ROWS} AS file) places ON file = filename
"""
_USAGE = """
INSERT INTO usage
SELECT asset, shard, model, run_id, count(*),
    count(*) FILTER (error_code IS NOT NULL OR status_code IS DISTINCT FROM 200),
    coalesce(sum(uncertain), 0), coalesce(sum(input_tokens), 0), coalesce(sum(cached_tokens), 0),
    coalesce(sum(output_tokens), 0), coalesce(sum(reasoning_tokens), 0), sum(cost_usd),
    count(*) FILTER (status_code = 200 AND cost_usd IS NULL)
FROM paid GROUP BY ALL
"""


@contextmanager
def noting(connection: "duckdb.DuckDBPyConnection") -> Iterator["duckdb.DuckDBPyConnection"]:
    """A cursor to note with, in one transaction."""
    # One of its own: its names are gone before a view could take them for an asset's.
    with connection.cursor() as cursor:
        cursor.begin()
        yield cursor
        cursor.commit()


def note(cursor: "duckdb.DuckDBPyConnection", tables: Iterable[tuple[Path, Footer]]) -> None:
    """Notes tables and their lineage; of two that go by the same name, the later one."""
    known = {(footer.asset, footer.shard): (path, footer) for path, footer in tables}
    materializations = [
        (
            *place,
            footer.run_id,
            footer.code_version,
            footer.data_version,
            json.dumps(footer.prompt_versions),
            footer.rows,
            json.dumps(footer.dropped),
            str(path.resolve()),
        )
        for place, (path, footer) in known.items()
    ]
    lineage = [
        (*place, up.asset, up.shard, up.data_version)
        for place, (_, footer) in known.items()
        for up in footer.upstream
    ]
    for table, rows in (("materializations", materializations), ("lineage", lineage)):
        _forget(cursor, table, known)
        if rows:
            values = ", ".join([_ROWS] * len(rows[0]))
            cursor.execute(f"INSERT INTO {table} SELECT {values}", _columns(rows))


def note_paid(
    cursor: "duckdb.DuckDBPyConnection",
    storage: Storage,
    tables: Collection[tuple[str, str | None]],
) -> None:
    """Adds up anew what was paid for tables, given by asset and shard."""
    _forget(cursor, "usage", tables)
    # The journals first: what is compacted in between counts twice until the catalog's next
    # update, that of the run which compacted it, and is never missed.
    paid = [
        it for it in tables if storage.journal(*it).exists() or storage.completions(*it).exists()
    ]
    if not paid:
        return
    cursor.execute(_NONE_PAID)
    for table in paid:
        live = Journal(storage.journal(*table), storage.completions(*table)).live()
        while batch := list(itertools.islice(live, GROUP_ROWS)):
            cursor.register(
                "live", to_table(CompletionRow.from_record(record, b"") for record in batch)
            )
            cursor.execute(f"INSERT INTO paid SELECT ?, ?, {_PAID} FROM live", list(table))
    files = [(*table, storage.completions(*table).resolve()) for table in paid]
    if places := [(asset, shard, str(file)) for asset, shard, file in files if file.exists()]:
        existing = [sql.escape_glob(file) for _, _, file in places]
        cursor.execute(_COMPACTED, [existing, *_columns(places)])
    cursor.execute(_USAGE)


def _forget(
    cursor: "duckdb.DuckDBPyConnection", table: str, places: Collection[tuple[str, str | None]]
) -> None:
    if places:
        cursor.execute(_FORGET.format(table), _columns(places))


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """The columns of rows, of which there must be one."""
    return [list(column) for column in zip(*rows, strict=True)]
