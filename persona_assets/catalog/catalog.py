"""`catalog.duckdb`: what exists, what it was made from, and what it cost, in SQL.

The catalog is a projection of the tables' footers and of what was paid for them, completions and
journals: losing it loses nothing, and `rebuild` makes it again. The published file is never opened
for writing. A writer takes a lock, changes a copy and renames it over, so a reader never meets a
lock and may keep the file open.
"""

import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.catalog.base_tables import SCHEMA, note, note_paid, noting
from persona_assets.catalog.macros import macros
from persona_assets.catalog.views import Views
from persona_assets.storage.footer import Footer
from persona_assets.storage.shard_keys import file_stem
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

if TYPE_CHECKING:
    import duckdb
    import polars as pl

_REMEDY = (
    "`persona-assets catalog` makes it anew; if a column is missing, tables are older than their "
    "schema: materialize them again"
)


RESERVED = ("materializations", "lineage", "usage", "completions", "links", "held", "quarantine")
"""Names of the catalog's own tables and views; no asset may have one of them."""


class CatalogError(RuntimeError):
    """The catalog could not be read or changed; the tables are untouched."""


class Catalog:
    """The catalog of one project. Its tables: materializations, lineage, usage; a view per asset;
    `links` (row to parent), `held` (row to table), `quarantine` (row to reason); macros
    `trace(id)`, back to the text, `affected_by(id)`, forward to rows, training sets and models, and
    `why(id)`, what became of a row and of the survivor that stands for it.

    The view `completions` has the raw answers of published tables, with what each cost: its `key`
    is a row's `completion_id`. A key has a row for each time it was asked; what failed has an
    `error_code`. `usage` adds up these and the journals; its `cost_usd` is that of the answers
    whose cost is known, `unpriced` the number of the others.
    """

    def __init__(self, storage: Storage, tables: Mapping[str, Table]) -> None:
        self.path = storage.data_dir / "catalog.duckdb"
        self._storage = storage
        self._tables = tables
        self._views = Views(storage, tables)

    def add(self, path: Path, footer: Footer) -> None:
        """Notes one table, replacing what was known of it. Raises CatalogError."""
        with self._writing() as (connection, is_new):
            if is_new:
                self._add_all(connection)
            else:
                with noting(connection) as cursor:
                    note(cursor, [(path, footer)])
                    note_paid(cursor, self._storage, [(footer.asset, footer.shard)])
            if not self._views.cover(connection, footer):
                self._link(connection)

    def rebuild(self) -> int:
        """Makes the catalog from nothing; returns the number of tables. Raises CatalogError."""
        with self._writing(fresh=True) as (connection, _):
            count = self._add_all(connection)
            self._link(connection)
        return count

    def query(self, sql: str, parameters: list[Any] | None = None) -> "pl.DataFrame":
        """Rows of a read-only query. Raises CatalogError, also where there is no catalog yet."""
        import duckdb

        if not self.path.exists():
            raise CatalogError(f"no catalog at {self.path}: materialize something first")
        try:
            with duckdb.connect(self.path, read_only=True) as connection:
                rows: pl.DataFrame = connection.sql(sql, params=parameters).pl()
                return rows
        except duckdb.Error as error:
            raise CatalogError(f"{self.path}: {error}; {_REMEDY}") from error

    def trace(self, row_id: str) -> "pl.DataFrame":
        """A row and its ancestors back to the text: step, ids, asset, shard, content as JSON.

        Raises CatalogError if no table that exists made a row of this id.
        """
        chain = self.query("SELECT * FROM trace(?)", [row_id])
        if chain.is_empty():
            raise CatalogError(
                f"no row {row_id} in the tables: copy the id from a table's first column"
            )
        return chain

    def usage(self, run_ids: Sequence[str] = ()) -> "pl.DataFrame":
        """Calls, tokens and dollars by asset and shard: in all, and `new_` those of the given runs.

        `unpriced` answers are not in `cost_usd`, which is null where no cost is known.
        """
        return self.query(
            "SELECT asset, shard, sum(calls)::BIGINT AS calls, "
            "sum(input_tokens + output_tokens)::BIGINT AS tokens, "
            "coalesce(sum(calls) FILTER (is_new), 0)::BIGINT AS new_calls, "
            "sum(cost_usd) AS cost_usd, sum(unpriced)::BIGINT AS unpriced, "
            "sum(cost_usd) FILTER (is_new) AS new_cost_usd "
            "FROM (SELECT *, list_contains(?, run_id) AS is_new FROM usage) "
            "GROUP BY ALL ORDER BY ALL",
            [list(run_ids)],
        )

    @contextmanager
    def _writing(
        self, *, fresh: bool = False
    ) -> Iterator[tuple["duckdb.DuckDBPyConnection", bool]]:
        import duckdb

        scratch = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for left in (scratch, scratch.with_name(f"{scratch.name}.wal")):
                    # A writer that was killed left it; DuckDB would take it up.
                    left.unlink(missing_ok=True)
                is_new = fresh or not self.path.exists()
                if not is_new:
                    shutil.copyfile(self.path, scratch)
                with duckdb.connect(scratch) as connection:
                    if is_new:
                        connection.execute(SCHEMA)
                    yield connection, is_new
                scratch.replace(self.path)
        except (duckdb.Error, OSError, ValueError) as error:
            raise CatalogError(f"{self.path}: {error}; {_REMEDY}") from error

    def _add_all(self, connection: "duckdb.DuckDBPyConnection") -> int:
        footers = list(self._storage.footers())
        # Of a table that failed there is a journal all the same.
        shards = {file_stem(footer.shard): footer.shard for _, footer in footers if footer.shard}
        paid = set[tuple[str, str | None]]()
        for name, files in (("completions", "*.parquet"), ("journals", "*.jsonl")):
            folder = self._storage.data_dir / name
            for path in folder.rglob(files):
                if path.parent == folder:
                    paid.add((path.stem, None))
                elif path.stem in shards:
                    paid.add((path.parent.name, shards[path.stem]))
        with noting(connection) as cursor:
            note(cursor, footers)
            note_paid(cursor, self._storage, paid)
        return len(footers)

    def _link(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Makes the views and macros anew: what they cover grows with the assets that exist."""
        existing = self._views.outline(connection)
        connection.execute(macros(self._tables, existing))
        self._views.fill(connection, existing)
