"""`catalog.duckdb`: tables, their lineage and their cost, in SQL.

The catalog is a projection of footers, completions and journals: losing it loses nothing, and
`rebuild` restores it. The published file is never opened for writing. A writer acquires a lock,
changes a copy and renames the copy over the file, so a reader never waits for a lock and may keep
the file open.
"""

import fcntl
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from persona_assets.catalog import sql as quoting
from persona_assets.catalog.base_tables import (
    SCHEMA,
    forget_tables,
    record_tables,
    record_usage,
    transaction,
)
from persona_assets.catalog.lineage_index import LineageIndex
from persona_assets.catalog.macros import Macros
from persona_assets.catalog.project_folder import DATA_DIR
from persona_assets.catalog.snapshot import Snapshot
from persona_assets.catalog.views import Views
from persona_assets.catalog.walks import Walks
from persona_assets.storage.footer import Footer
from persona_assets.storage.shard_keys import file_stem
from persona_assets.storage.storage import PROBE, VALIDITY_JUDGE, Storage
from persona_assets.tables import Table

if TYPE_CHECKING:
    import duckdb

_REMEDY = (
    "rebuild it with `persona-assets catalog`; if a column is missing, tables are older than their "
    "schema: materialize them again"
)

RESERVED = (
    "materializations",
    "lineage",
    "usage",
    "completions",
    "links",
    "held",
    "quarantine",
    "task_reports",
    "lineage_tables",
    "lineage_files",
    "lineage_recent",
    "made_views",
    PROBE,
    VALIDITY_JUDGE,
)
"""Names of the catalog's own tables and views, and of calls without a table, which no asset may
have."""


class CatalogError(RuntimeError):
    """The catalog cannot be read or changed; the project's tables are untouched."""


class Catalog:
    """The catalog of a project.

    Tables: `materializations`, `lineage`, `usage`. Views: a view per asset, `links` (row to
    parent), `held` (row to table), `quarantine` (row to reason), `completions`, `task_reports` (the
    reports on all tasks). Macros: `trace(id)` follows a row back to its text; `affected_by(id)`
    follows it forward to rows, training sets and models; `why(id)` lists the tables that kept or
    dropped it, and its survivor if it is a duplicate.

    The view `completions` holds the raw responses of published tables, each with its cost. Its
    `key` is the `completion_id` of a table's row. A key has a row per request; a failed request has
    an `error_code`. A row that is `reused` is a copy of the row of another table, which has the
    same `id`. `usage` sums completions and journals, each record where it was paid for: `cost_usd`
    is the sum of known costs, `unpriced` the number of responses without a known cost. In both, the
    probes of endpoints have the asset `endpoint_probe`, and the judge's calls on a draw for raters
    `validity_judge`, which have no table.

    Args:
        storage: Tables, journals and completions of the project.
        tables: Contract of each table, by asset.
    """

    def __init__(self, storage: Storage, tables: Mapping[str, Table]) -> None:
        self.path = storage.data_dir / "catalog.duckdb"
        self._storage = storage
        self._tables = tables
        self._views = Views(storage, tables)
        self._index = LineageIndex(storage, tables)
        self._walks: tuple[object, Mapping[str, tuple[int, int]], Walks] | None = None

    def add(self, path: Path, footer: Footer) -> None:
        """Record a table, replacing its previous record.

        Args:
            path: Parquet file of the table.
            footer: Footer of the file.

        Raises:
            CatalogError: The catalog cannot be changed.
        """
        with self._writing() as writing:
            if writing.is_new:
                self._add_all(writing)
            else:
                self._add(writing, [(path, footer)])
            if not self._views.are_current(writing.connection, footer):
                self._create_views(writing.connection, footer.asset)

    def rebuild(self) -> int:
        """Create the catalog from footers, completions and journals.

        Returns:
            Number of tables.

        Raises:
            CatalogError: The catalog cannot be written, or a table is damaged.
        """
        with self._writing(fresh=True) as writing:
            count = self._add_all(writing)
            self._create_views(writing.connection)
        return count

    def query(self, sql: str, parameters: list[Any] | None = None) -> pl.DataFrame:
        """Run a read-only query.

        Args:
            sql: A single SQL statement.
            parameters: Values for the placeholders `?`.

        Raises:
            CatalogError: The query fails, or the catalog does not exist yet.
        """

        version = self._version()
        try:
            return self._query(sql, parameters)
        except CatalogError:
            # A writer may have merged files of the index that the query was about to open.
            if self._version() == version:
                raise
        return self._query(sql, parameters)

    def trace(self, row_id: str) -> pl.DataFrame:
        """Trace a row back to its text.

        Returns:
            The row and its ancestors: step, ids, asset, shard, content as JSON, prompt versions and
            run id.

        Raises:
            CatalogError: No existing table created a row with this id.
        """
        chain = self._current().trace(row_id)
        if chain.is_empty():
            raise CatalogError(
                f"no row {row_id} in the tables: copy the id from a table's first column"
            )
        return chain

    def affected_by(self, row_id: str) -> pl.DataFrame:
        """Follow a row forward.

        Returns:
            Asset, shard and id of each row that was made from the row, through all its links, and
            of the row itself, in each table that holds it. A table that aggregates such a row has
            a row without an id: a model, an accuracy, a report. Empty for an unknown id.
        """
        return self._current().affected_by(row_id)

    def why(self, row_id: str) -> pl.DataFrame:
        """List the tables that kept or dropped a row, then those of its survivors.

        Returns:
            A row per table: step, ids, asset, shard, outcome, reason, similarity, texts. Empty for
            an unknown id.
        """
        return self._current().why(row_id)

    def locate(self, ids: Collection[str]) -> pl.DataFrame:
        """Return row id, asset and shard of the tables that made rows; none for an unknown id."""
        return self._current().locate(ids)

    def usage(self, run_ids: Sequence[str] = ()) -> pl.DataFrame:
        """Sum calls, tokens and US dollars by asset and shard.

        Args:
            run_ids: Runs whose calls and cost are also summed separately, as `new_calls` and
                `new_cost_usd`.

        Returns:
            Sums by asset and shard. `unpriced` counts responses that are not part of `cost_usd`,
            which is null if no cost is known.
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

    def _query(self, sql: str, parameters: list[Any] | None) -> pl.DataFrame:
        with self._reading() as connection:
            rows: pl.DataFrame = connection.sql(sql, params=parameters).pl()
            return rows

    def _current(self) -> Walks:
        """Return walks over the tables on disk, after their changes are recorded."""
        known, walks = self._load()
        changed, gone = self._index.changes(known)
        if changed or gone:
            self._refresh()
            _, walks = self._load()
        return walks

    def _load(self) -> tuple[Mapping[str, tuple[int, int]], Walks]:
        """Return the indexed tables and the walks over them, read once per version."""
        while True:
            version = self._version()
            if self._walks is not None and self._walks[0] == version:
                return self._walks[1:]
            with self._reading() as connection:
                opened = self._index.open(connection)
                if opened is None and self._version() != version:
                    # A writer merged files of the index and removed them.
                    continue
                known, segments = opened or ({}, [])
                snapshot = Snapshot(connection, segments, self._storage.data_dir)
            walks = Walks(snapshot, self._tables)
            self._walks = (version, known, walks)
            return known, walks

    def _version(self) -> object:
        return [
            (status.st_ino, status.st_mtime_ns)
            for path in (self.path, self._index.folder)
            if path.exists() and (status := path.stat())
        ]

    def _refresh(self) -> None:
        """Record tables that a run wrote or removed without the catalog, as when it was killed.

        Tables whose contract has changed are recorded anew, too.
        """
        with self._writing() as writing:
            changed, gone = self._index.changes(self._index.known(writing.connection))
            footers = [(path, Footer.read(path)) for path in changed]
            self._add(writing, footers, gone)
            self._create_views(writing.connection, *{footer.asset for _, footer in footers})

    @contextmanager
    def _reading(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        import duckdb

        if not self.path.exists():
            raise CatalogError(f"no catalog at {self.path}: materialize something first")
        try:
            with ExitStack() as stack:
                connection = stack.enter_context(duckdb.connect(self.path, read_only=True))
                if not _has_index(connection):
                    stack.close()
                    if not self._tables:
                        raise CatalogError(
                            f"{self.path} is of an earlier version: run `persona-assets catalog`"
                        )
                    self.rebuild()
                    connection = stack.enter_context(duckdb.connect(self.path, read_only=True))
                # The project may have been moved since the views were made.
                data_dir = quoting.literal(str(self._storage.data_dir.resolve()))
                connection.execute(f"SET VARIABLE {DATA_DIR} = {data_dir}")
                yield connection
        except duckdb.Error as error:
            raise CatalogError(f"{self.path}: {error}; {_REMEDY}") from error

    @contextmanager
    def _writing(self, *, fresh: bool = False) -> Iterator["_Writing"]:
        """Open a copy of the catalog for writing, and publish the copy on exit."""
        import duckdb

        scratch = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for leftover in (scratch, scratch.with_name(f"{scratch.name}.wal")):
                    # Left by a killed writer; DuckDB would replay the log.
                    leftover.unlink(missing_ok=True)
                with ExitStack() as stack:
                    is_new = fresh or not self.path.exists()
                    if not is_new:
                        shutil.copyfile(self.path, scratch)
                    connection = stack.enter_context(duckdb.connect(scratch))
                    if not (is_new or _has_index(connection)):
                        stack.close()
                        scratch.unlink()
                        is_new = True
                        connection = stack.enter_context(duckdb.connect(scratch))
                    if is_new:
                        connection.execute(SCHEMA)
                    writing = _Writing(connection, is_new)
                    yield writing
                scratch.replace(self.path)
                for file in writing.obsolete:
                    file.unlink(missing_ok=True)
        except (duckdb.Error, OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise CatalogError(f"{self.path}: {error}; {_REMEDY}") from error

    def _add(
        self,
        writing: "_Writing",
        tables: Sequence[tuple[Path, Footer]],
        gone: Collection[str] = (),
    ) -> None:
        """Record tables, and forget those whose file is gone, by relative path."""
        with transaction(writing.connection) as cursor:
            forget_tables(cursor, gone)
            self._index.forget(cursor, gone)
            record_tables(cursor, tables, self._index.relative)
            # The probes that came before the calls of the table.
            places = [(footer.asset, footer.shard) for _, footer in tables]
            record_usage(cursor, self._storage, [*places, (PROBE, None)])
            writing.obsolete += self._index.record(cursor, tables)

    def _add_all(self, writing: "_Writing") -> int:
        footers = list(self._storage.footers())
        # Journals also exist for tables that failed.
        shards = {file_stem(footer.shard): footer.shard for _, footer in footers if footer.shard}
        with_calls = set[tuple[str, str | None]]()
        for name, files in (("completions", "*.parquet"), ("journals", "*.jsonl")):
            folder = self._storage.data_dir / name
            for path in folder.rglob(files):
                if path.parent == folder:
                    with_calls.add((path.stem, None))
                elif path.stem in shards:
                    with_calls.add((path.parent.name, shards[path.stem]))
        with transaction(writing.connection) as cursor:
            record_tables(cursor, footers, self._index.relative)
            record_usage(cursor, self._storage, with_calls)
            writing.obsolete += self._index.record(cursor, footers)
        return len(footers)

    def _create_views(self, connection: "duckdb.DuckDBPyConnection", *changed: str) -> None:
        """Create missing views, and replace the macros and the views that cover all assets.

        Args:
            connection: The catalog.
            changed: Assets whose views are replaced, too.
        """
        existing = self._views.existing(connection)
        # A separate cursor: its placeholders are gone before a query could read them.
        with connection.cursor() as cursor:
            self._views.create_placeholders(cursor, existing)
            Macros(self._tables, existing, self._views.folder).create(cursor)
            self._views.create_over_all(cursor, existing)
        self._views.create_of_assets(connection, existing, changed)


def _has_index(connection: "duckdb.DuckDBPyConnection") -> bool:
    """Return False for a catalog of an earlier version, without the lineage index."""
    import duckdb

    try:
        # The list of all tables would take longer.
        connection.execute("FROM lineage_recent LIMIT 0")
    except duckdb.CatalogException:
        return False
    return True


@dataclass
class _Writing:
    """Catalog that is being changed.

    Attributes:
        connection: A copy of the catalog.
        is_new: True if its tables are empty.
        obsolete: Files to remove once the copy is published.
    """

    connection: "duckdb.DuckDBPyConnection"
    is_new: bool
    obsolete: list[Path] = field(default_factory=list[Path])
