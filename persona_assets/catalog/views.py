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

_NO_DROPS = sql.empty_query(
    asset="VARCHAR", shard="VARCHAR", **dict.fromkeys(QUARANTINE_SCHEMA, "VARCHAR")
)
_NO_LINKS = sql.empty_query(
    row_id="VARCHAR", parent_id="VARCHAR", asset="VARCHAR", shard="VARCHAR", content="JSON"
)
_NO_ROWS = sql.empty_query(asset="VARCHAR", shard="VARCHAR", row_id="VARCHAR")


class Views:
    """Views of a catalog: a view per asset, and five views over all assets.

    The five views are `links`, `held`, `quarantine`, `completions` and `task_reports`.
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
        assets = connection.execute("SELECT DISTINCT asset FROM materializations ORDER BY asset")
        for [asset] in assets.fetchall():
            files = self._files(asset)
            if files is None:
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
                f"JOIN materializations m ON {self._joined('tables')}"
            )

    def _files(self, asset: str) -> str | None:
        """Return an asset's files as an SQL literal; None if it is unknown or has no files."""
        sharded = self._storage.data_dir / "tables" / asset
        path = sharded / "*.parquet" if sharded.is_dir() else self._storage.path(asset, None)
        if asset not in self._tables or not any(path.parent.glob(path.name)):
            return None
        return sql.literal(f"{sql.escape_glob(str(path.parent.resolve()))}/{path.name}")

    def _quarantine(self) -> str:
        """Return a query for the dropped rows of all tables."""
        root = self._root("quarantine")
        if not any(root.rglob("*.parquet")):
            return _NO_DROPS
        return (
            f"SELECT m.asset, m.shard, {', '.join(f't.{column}' for column in QUARANTINE_SCHEMA)} "
            f"FROM read_parquet({_below(root)}, filename = true) t "
            f"JOIN materializations m ON {self._joined('quarantine')}"
        )

    def _completions(self) -> str:
        """Return a query for the compacted responses of all tables."""
        root = self._root("completions")
        if not any(root.rglob("*.parquet")):
            return NO_COMPLETIONS
        below = f"substr(t.filename, {len(str(root)) + 2})"
        # Files of earlier versions lack columns, so the names come from the empty query.
        return (
            f"{NO_COMPLETIONS} UNION ALL BY NAME "
            f"SELECT split_part(replace({below}, '.parquet', '/'), '/', 1) AS asset, m.shard, "
            "t.* EXCLUDE (filename, line) "
            f"FROM read_parquet({_below(root)}, filename = true, union_by_name = true) t "
            "LEFT JOIN (SELECT DISTINCT shard, parse_filename(path) AS file FROM materializations "
            "WHERE shard IS NOT NULL) m ON m.file = parse_filename(t.filename)"
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
        root = sql.literal(f"{self._root(kind)}/")
        return f"{root} || m.path[{len('tables/') + 1}:] = t.filename"

    def _root(self, kind: str) -> Path:
        return (self._storage.data_dir / kind).resolve()


def _below(root: Path) -> str:
    return sql.literal(f"{sql.escape_glob(str(root))}/**/*.parquet")
