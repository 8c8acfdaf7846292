"""Views of the catalog: rows of each asset over all shards, dropped rows, raw responses.

Views are SQL over the project's Parquet files: a view covers new files at once, and a new asset
needs a new view.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.catalog import sql
from persona_assets.generation.journal.completion_row import CompletionRow
from persona_assets.storage.footer import Footer
from persona_assets.storage.step_result import QUARANTINE_SCHEMA
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

if TYPE_CHECKING:
    import duckdb

_SQL_TYPES: Mapping[object, str] = {
    str | None: "VARCHAR",
    int | None: "BIGINT",
    bool | None: "BOOLEAN",
    Decimal | None: "DECIMAL(38, 12)",
}

_COMPLETION_TYPES = {
    "asset": "VARCHAR",
    "shard": "VARCHAR",
    **{
        column: _SQL_TYPES[kind]
        for column, kind in CompletionRow.__annotations__.items()
        if kind in _SQL_TYPES
    },
}
COMPLETION_COLUMNS = frozenset(_COMPLETION_TYPES)
"""Columns of the view `completions`."""

NO_COMPLETIONS = sql.empty_query(**_COMPLETION_TYPES)
"""Query with the columns of the view `completions` and no rows."""

DATA_DIR = "data_dir"
"""Variable of DuckDB that stands for the project's folder in all views."""

_NO_DROPS = sql.empty_query(
    asset="VARCHAR", shard="VARCHAR", **dict.fromkeys(QUARANTINE_SCHEMA, "VARCHAR")
)
_NO_LINKS = sql.empty_query(
    row_id="VARCHAR", parent_id="VARCHAR", asset="VARCHAR", shard="VARCHAR", content="JSON"
)
_NO_ROWS = sql.empty_query(asset="VARCHAR", shard="VARCHAR", row_id="VARCHAR")


class Views:
    """Views of a catalog: a view per asset, and six views over all assets.

    The six views are `links`, `held`, `quarantine`, `completions`, `task_reports` and
    `lineage_entries`.
    """

    def __init__(self, storage: Storage, tables: Mapping[str, Table]) -> None:
        self._storage = storage
        self._tables = tables

    def are_current(self, connection: "duckdb.DuckDBPyConnection", footer: Footer) -> bool:
        """Return True if the views exist and match the columns and files of a table."""
        view_columns = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [footer.asset],
        )
        columns = [column for [column] in view_columns.fetchall()]
        if columns != ["shard", *self._tables[footer.asset].schema.names()]:
            return False
        completions = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'completions'"
        )
        if {column for [column] in completions.fetchall()} != COMPLETION_COLUMNS:
            return False
        over_files = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE contains(sql, 'read_parquet')"
        ).fetchall()
        return all(
            (kind,) in over_files
            or not self._storage.path(footer.asset, footer.shard, kind).exists()
            for kind in ("quarantine", "completions")
        )

    def create_placeholders(self, connection: "duckdb.DuckDBPyConnection") -> Mapping[str, str]:
        """Replace all views, those of assets by placeholders without rows.

        DuckDB binds a view or macro when it is created, and opens every file of each asset that it
        names. So all views and macros are created over placeholders first, and
        `replace_placeholders` is called last.

        Returns:
            SQL literal of the files, by asset that has files.
        """
        links, held, existing = [_NO_LINKS], [_NO_ROWS], dict[str, str]()
        assets = connection.execute(
            "SELECT asset FROM materializations UNION "
            "SELECT view_name FROM duckdb_views() WHERE list_contains(?, view_name) ORDER BY asset",
            [list(self._tables)],
        )
        for [asset] in assets.fetchall():
            files = self._files(asset)
            if files is None:
                # So the view is made again, with the macros, when the asset has files again.
                connection.execute(f"DROP VIEW IF EXISTS {sql.identifier(asset)}")
                continue
            existing[asset] = files
            table = self._tables[asset]
            # The type NULL casts to every other type.
            placeholder = sql.empty_query(**dict.fromkeys(["shard", *table.schema], '"NULL"'))
            connection.execute(f"CREATE OR REPLACE VIEW {sql.identifier(asset)} AS {placeholder}")
            view, label = sql.identifier(asset), sql.literal(asset)
            row = f"{view}.{sql.identifier(table.row_id)}::VARCHAR"
            held.append(f"SELECT {label} AS asset, shard, {row} AS row_id FROM {view}")
            if table.makes:
                parents = [sql.identifier(name) for name in table.parents] or ["NULL"]
                links += [
                    f"SELECT {row} AS row_id, {parent}::VARCHAR AS parent_id, "
                    f"{label} AS asset, shard, to_json({view}) AS content FROM {view}"
                    for parent in parents
                ]
        for view, query in {
            "held": " UNION ALL ".join(held),
            "links": " UNION ALL ".join(links),
            "quarantine": self._quarantine(),
            "completions": self._completions(),
            "task_reports": self._task_reports(existing),
            "lineage_entries": self._entries(),
        }.items():
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        return existing

    def replace_placeholders(
        self, connection: "duckdb.DuckDBPyConnection", existing: Mapping[str, str]
    ) -> None:
        """Point the views of assets to their files.

        Args:
            connection: The catalog.
            existing: Result of `create_placeholders`.
        """
        for asset, files in existing.items():
            connection.execute(
                f"CREATE OR REPLACE VIEW {sql.identifier(asset)} AS "
                "SELECT m.shard, t.* EXCLUDE (filename) "
                f"FROM read_parquet({files}, filename = true, union_by_name = true) t "
                f"JOIN materializations m ON {self._joined('tables')} WHERE {self._is_here()}"
            )

    def _files(self, asset: str) -> str | None:
        """Return an asset's files as an SQL string; None if it is unknown or has no files."""
        sharded = self._storage.data_dir / "tables" / asset
        path = sharded / "*.parquet" if sharded.is_dir() else self._storage.path(asset, None)
        if asset not in self._tables or not any(path.parent.glob(path.name)):
            return None
        below = sql.escape_glob(path.parent.relative_to(self._storage.data_dir).as_posix())
        return self._glob(f"{below}/{path.name}")

    def _entries(self) -> str:
        """Return a query for the entries of the lineage index, see `segments`."""
        return (
            f"SELECT e.*, i.asset, i.shard FROM read_parquet({self._glob('lineage/*.parquet')}) e "
            f"JOIN lineage_tables i ON i.stamp = e.stamp WHERE {self._is_here()}"
        )

    def _quarantine(self) -> str:
        """Return a query for the dropped rows of all tables."""
        if not any((self._storage.data_dir / "quarantine").rglob("*.parquet")):
            return _NO_DROPS
        return (
            f"SELECT m.asset, m.shard, {', '.join(f't.{column}' for column in QUARANTINE_SCHEMA)} "
            f"FROM read_parquet({self._glob('quarantine/**/*.parquet')}, filename = true) t "
            f"JOIN materializations m ON {self._joined('quarantine')} WHERE {self._is_here()}"
        )

    def _completions(self) -> str:
        """Return a query for the compacted responses of all tables."""
        if not any((self._storage.data_dir / "completions").rglob("*.parquet")):
            return NO_COMPLETIONS
        below = f"substr(t.filename, len({self._root()}) + {len('/completions/') + 1})"
        # Files of earlier versions lack columns, so the names come from the empty query.
        return (
            f"{NO_COMPLETIONS} UNION ALL BY NAME "
            f"SELECT split_part(replace({below}, '.parquet', '/'), '/', 1) AS asset, m.shard, "
            "t.* EXCLUDE (filename, line) "
            f"FROM read_parquet({self._glob('completions/**/*.parquet')}, filename = true, "
            "union_by_name = true) t "
            "LEFT JOIN (SELECT DISTINCT shard, parse_filename(path) AS file FROM materializations "
            "WHERE shard IS NOT NULL) m ON m.file = parse_filename(t.filename) "
            f"WHERE {self._is_here()}"
        )

    def _task_reports(self, existing: Collection[str]) -> str:
        """Return a query for the rows of the reports on all tasks, with a column `task`."""
        reports = {name: table for name, table in self._tables.items() if table.reports_on}
        columns = next((table.schema.names() for table in reports.values()), [])
        return " UNION ALL ".join(
            [
                sql.empty_query(task="VARCHAR", **dict.fromkeys(columns, '"NULL"')),
                *(
                    f"SELECT {sql.literal(str(table.reports_on))}, * EXCLUDE (shard) "
                    f"FROM {sql.identifier(name)}"
                    for name, table in reports.items()
                    if name in existing
                ),
            ]
        )

    def _joined(self, kind: str) -> str:
        """Return the condition that a file of a kind belongs to a table."""
        return f"t.filename = {self._root()} || '/{kind}' || m.path[{len('tables') + 1}:]"

    def _root(self) -> str:
        """Return the folder of the project as SQL: the variable, or where the views were made."""
        return f"coalesce(getvariable('{DATA_DIR}'), {sql.literal(str(self._data_dir))})"

    def _glob(self, pattern: str) -> str:
        """Return a pattern below the folder of the project as SQL."""
        escaped = f"regexp_replace({self._root()}, '([*?[])', '[\\1]', 'g')"
        return f"{escaped} || {sql.literal('/' + pattern)}"

    def _is_here(self) -> str:
        """Return the condition that the catalog was not moved; else the query fails.

        The files are read by absolute paths, since relative paths would be those of the working
        directory. So a copy would read the files of the original.
        """
        path = sql.literal(str(self._data_dir / "catalog.duckdb"))
        remedy = (
            "this catalog was moved or copied: make its views again with `persona-assets catalog`, "
            f"or name its folder: SET VARIABLE {DATA_DIR} = '/path/to/the/folder'"
        )
        return (
            f"CASE WHEN getvariable('{DATA_DIR}') IS NOT NULL "
            f"OR EXISTS (FROM duckdb_databases() WHERE path = {path}) "
            f"THEN true ELSE error({sql.literal(remedy)}) END"
        )

    @property
    def _data_dir(self) -> Path:
        return self._storage.data_dir.resolve()
