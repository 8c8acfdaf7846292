"""Views of the catalog: rows of each asset over all shards, dropped rows, raw responses.

Views are SQL over the project's Parquet files: a view covers new files at once, and a new asset
needs a new view.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from persona_assets.catalog import sql
from persona_assets.catalog.project_folder import ProjectFolder
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
_OVER_FILES = ("quarantine", "completions")
"""Views that are made empty, and again once there are files."""


class Views:
    """Views of a catalog: a view per asset, and five views over all assets.

    The five views are `links`, `held`, `quarantine`, `completions` and `task_reports`.
    """

    def __init__(self, storage: Storage, tables: Mapping[str, Table]) -> None:
        self.folder = ProjectFolder(storage.data_dir)
        self._storage = storage
        self._tables = tables

    def are_current(self, connection: "duckdb.DuckDBPyConnection", footer: Footer) -> bool:
        """Return True if the views exist and match the columns and files of a table."""
        # The columns of views in DuckDB's own tables would take as long as opening all files.
        rows = connection.execute(
            "FROM made_views WHERE view IN (?, ?, ?)", [footer.asset, *_OVER_FILES]
        )
        made = {view: (columns, has_files) for view, columns, has_files in rows.fetchall()}
        columns = ["shard", *self._tables[footer.asset].schema.names()]
        return (
            made.get(footer.asset) == (columns, True)
            and made["completions"][0] == sorted(COMPLETION_COLUMNS)
            and all(
                made[kind][1] or not self._storage.path(footer.asset, footer.shard, kind).exists()
                for kind in _OVER_FILES
            )
        )

    def existing(self, connection: "duckdb.DuckDBPyConnection") -> Mapping[str, str]:
        """Return the files of each recorded asset, as an SQL literal, by asset that has files.

        The views of assets without files are removed.
        """
        assets = connection.execute(
            "SELECT asset FROM materializations UNION "
            "SELECT view_name FROM duckdb_views() WHERE list_contains(?, view_name) ORDER BY asset",
            [list(self._tables)],
        )
        files = {asset: self._files(asset) for [asset] in assets.fetchall()}
        for asset, literal in files.items():
            if literal is None:
                # So the view is made again, with the macros, when the asset has files again.
                connection.execute(f"DROP VIEW IF EXISTS {sql.identifier(asset)}")
                connection.execute("DELETE FROM made_views WHERE view = ?", [asset])
        return {asset: literal for asset, literal in files.items() if literal is not None}

    def create_placeholders(
        self, cursor: "duckdb.DuckDBPyConnection", existing: Collection[str]
    ) -> None:
        """Create temporary views without rows in place of all views.

        DuckDB binds a view or macro when it is created, and opens every file of each asset that it
        names. A view or macro that is created beside the placeholders is bound to these, and names
        the views of the catalog once the cursor is closed.

        Args:
            cursor: Cursor of the catalog.
            existing: Assets with files.
        """
        # The type NULL casts to every other type.
        of_assets = {
            asset: sql.empty_query(
                **dict.fromkeys(["shard", *self._tables[asset].schema], '"NULL"')
            )
            for asset in existing
        }
        over_all = {
            "held": _NO_ROWS,
            "links": _NO_LINKS,
            "quarantine": _NO_DROPS,
            "completions": NO_COMPLETIONS,
        }
        for view, query in {**of_assets, **over_all}.items():
            cursor.execute(f"CREATE TEMP VIEW {sql.identifier(view)} AS {query}")

    def create_over_all(
        self, cursor: "duckdb.DuckDBPyConnection", existing: Collection[str]
    ) -> None:
        """Replace the five views over all assets.

        Args:
            cursor: Cursor of the catalog, with placeholders.
            existing: Assets with files.
        """
        links, held = [_NO_LINKS], [_NO_ROWS]
        for asset in existing:
            table, view, label = self._tables[asset], sql.identifier(asset), sql.literal(asset)
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
            cursor.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
            if view in _OVER_FILES:
                columns = sorted(COMPLETION_COLUMNS) if view == "completions" else []
                self._record(cursor, view, columns, has_files="read_parquet" in query)

    def create_of_assets(
        self,
        connection: "duckdb.DuckDBPyConnection",
        existing: Mapping[str, str],
        changed: Collection[str] = (),
    ) -> None:
        """Create the missing views of assets, and those of changed assets anew.

        Args:
            connection: The catalog.
            existing: Files by asset; see `existing`.
            changed: Assets whose columns may differ from those of their views.
        """
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
        present = {view for [view] in views.fetchall()} - set(changed)
        for asset, files in existing.items():
            if asset not in present:
                connection.execute(
                    f"CREATE OR REPLACE VIEW {sql.identifier(asset)} AS "
                    "SELECT m.shard, t.* EXCLUDE (filename) "
                    f"FROM read_parquet({files}, filename = true, union_by_name = true) t "
                    f"JOIN materializations m ON {self._joined('tables')} "
                    f"WHERE {self.folder.is_here()}"
                )
                columns = connection.execute(
                    f"SELECT column_name FROM (DESCRIBE {sql.identifier(asset)})"
                )
                self._record(connection, asset, [name for [name] in columns.fetchall()])

    def _record(
        self,
        connection: "duckdb.DuckDBPyConnection",
        view: str,
        columns: Sequence[str],
        *,
        has_files: bool = True,
    ) -> None:
        """Record the columns of a view, see `are_current`."""
        connection.execute("DELETE FROM made_views WHERE view = ?", [view])
        connection.execute("INSERT INTO made_views VALUES (?, ?, ?)", [view, columns, has_files])

    def _has_files(self, kind: str) -> bool:
        return any((self._storage.data_dir / kind).rglob("*.parquet"))

    def _files(self, asset: str) -> str | None:
        """Return an asset's files as an SQL string; None if it is unknown or has no files."""
        sharded = self._storage.data_dir / "tables" / asset
        path = sharded / "*.parquet" if sharded.is_dir() else self._storage.path(asset, None)
        if asset not in self._tables or not any(path.parent.glob(path.name)):
            return None
        below = sql.escape_glob(path.parent.relative_to(self._storage.data_dir).as_posix())
        return self.folder.glob(f"{below}/{path.name}")

    def _quarantine(self) -> str:
        """Return a query for the dropped rows of all tables."""
        if not self._has_files("quarantine"):
            return _NO_DROPS
        return (
            f"SELECT m.asset, m.shard, {', '.join(f't.{column}' for column in QUARANTINE_SCHEMA)} "
            f"FROM read_parquet({self.folder.glob('quarantine/**/*.parquet')}, filename = true) t "
            f"JOIN materializations m ON {self._joined('quarantine')} WHERE {self.folder.is_here()}"
        )

    def _completions(self) -> str:
        """Return a query for the compacted responses of all tables."""
        if not self._has_files("completions"):
            return NO_COMPLETIONS
        below = f"substr(t.filename, len({self.folder.root()}) + {len('/completions/') + 1})"
        # Files of earlier versions lack columns, so the names come from the empty query.
        return (
            f"{NO_COMPLETIONS} UNION ALL BY NAME "
            f"SELECT split_part(replace({below}, '.parquet', '/'), '/', 1) AS asset, m.shard, "
            "t.* EXCLUDE (filename, line) "
            f"FROM read_parquet({self.folder.glob('completions/**/*.parquet')}, filename = true, "
            "union_by_name = true) t "
            "LEFT JOIN (SELECT DISTINCT shard, parse_filename(path) AS file FROM materializations "
            "WHERE shard IS NOT NULL) m ON m.file = parse_filename(t.filename) "
            f"WHERE {self.folder.is_here()}"
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
        return f"t.filename = {self.folder.root()} || '/{kind}' || m.path[{len('tables') + 1}:]"
