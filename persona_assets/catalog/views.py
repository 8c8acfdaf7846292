"""The catalog's views: an asset's rows over all its shards, what was dropped, what was answered.

They are SQL over the project's Parquet files. What a view covers grows with the files; which views
there are, with the assets.
"""

from collections.abc import Mapping
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

_KINDS: Mapping[object, str] = {
    str | None: "VARCHAR",
    int | None: "BIGINT",
    bool | None: "BOOLEAN",
    Decimal | None: "DECIMAL(38, 12)",
}


NO_COMPLETIONS = sql.empty_query(
    asset="VARCHAR",
    shard="VARCHAR",
    **{
        column: _KINDS[kind]
        for column, kind in CompletionRow.__annotations__.items()
        if kind in _KINDS
    },
)
_NO_DROPS = sql.empty_query(
    asset="VARCHAR", shard="VARCHAR", **dict.fromkeys(QUARANTINE_SCHEMA, "VARCHAR")
)
_NO_LINKS = sql.empty_query(
    row_id="VARCHAR", parent_id="VARCHAR", asset="VARCHAR", shard="VARCHAR", content="JSON"
)
_NO_ROWS = sql.empty_query(asset="VARCHAR", shard="VARCHAR", row_id="VARCHAR")


class Views:
    """The views of one project's catalog: one for each asset, `links`, `held`, `quarantine`,
    `completions`.
    """

    def __init__(self, storage: Storage, tables: Mapping[str, Table]) -> None:
        self._storage = storage
        self._tables = tables

    def cover(self, connection: "duckdb.DuckDBPyConnection", footer: Footer) -> bool:
        """Whether the views are there and as this table is now."""
        found = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [footer.asset],
        )
        columns = [column for [column] in found.fetchall()]
        if columns != ["shard", *self._tables[footer.asset].schema.names()]:
            return False
        reading = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE contains(sql, 'read_parquet')"
        ).fetchall()
        return all(
            (kind,) in reading or not self._storage.path(footer.asset, footer.shard, kind).exists()
            for kind in ("quarantine", "completions")
        )

    def outline(self, connection: "duckdb.DuckDBPyConnection") -> Mapping[str, str]:
        """Makes all views anew, those of assets without rows; returns the assets' files, in SQL.

        A view or macro is bound when it is made: each view of rows that it names opens every file
        of its asset. So all are made over outlines, and `fill` comes last.
        """
        links, held, existing = [_NO_LINKS], [_NO_ROWS], dict[str, str]()
        found = connection.execute("SELECT DISTINCT asset FROM materializations ORDER BY asset")
        for [asset] in found.fetchall():
            files = self._files(asset)
            if files is None:
                continue
            existing[asset] = files
            table = self._tables[asset]
            # NULL is of the type that goes with every other.
            outline = sql.empty_query(**dict.fromkeys(["shard", *table.schema], '"NULL"'))
            connection.execute(f"CREATE OR REPLACE VIEW {sql.identifier(asset)} AS {outline}")
            view, label = sql.identifier(asset), sql.literal(asset)
            row = f"{view}.{sql.identifier(table.row_id)}::VARCHAR"
            held.append(f"SELECT {label} AS asset, shard, {row} AS row_id FROM {view}")
            if table.makes:
                parent = sql.identifier(table.parent) if table.parent else "NULL"
                links.append(
                    f"SELECT {row} AS row_id, {parent}::VARCHAR AS parent_id, "
                    f"{label} AS asset, shard, to_json({view}) AS content FROM {view}"
                )
        for view, query in {
            "held": " UNION ALL ".join(held),
            "links": " UNION ALL ".join(links),
            "quarantine": self._quarantine(),
            "completions": self._completions(),
        }.items():
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        return existing

    def fill(self, connection: "duckdb.DuckDBPyConnection", existing: Mapping[str, str]) -> None:
        """Gives the views of assets the rows of their files."""
        for asset, files in existing.items():
            connection.execute(
                f"CREATE OR REPLACE VIEW {sql.identifier(asset)} AS "
                "SELECT m.shard, t.* EXCLUDE (filename) "
                f"FROM read_parquet({files}, filename = true, union_by_name = true) t "
                f"JOIN materializations m ON m.path = t.filename"
            )

    def _files(self, asset: str) -> str | None:
        """The files of an asset as an SQL literal; None for one that has none, or is unknown."""
        sharded = self._storage.data_dir / "tables" / asset
        path = sharded / "*.parquet" if sharded.is_dir() else self._storage.path(asset, None)
        if asset not in self._tables or not any(path.parent.glob(path.name)):
            return None
        return sql.literal(f"{sql.escape_glob(str(path.parent.resolve()))}/{path.name}")

    def _quarantine(self) -> str:
        """The dropped rows of all tables, as a query."""
        root = self._root("quarantine")
        if not any(root.rglob("*.parquet")):
            return _NO_DROPS
        # A file lies where its table does, but for the folder's name.
        table = f"m.path[{len(str(self._root('tables'))) + 1}:]"
        return (
            f"SELECT m.asset, m.shard, {', '.join(f't.{column}' for column in QUARANTINE_SCHEMA)} "
            f"FROM read_parquet({_below(root)}, filename = true) t "
            f"JOIN materializations m ON {table} = t.filename[{len(str(root)) + 1}:]"
        )

    def _completions(self) -> str:
        """The compacted answers of all tables, as a query."""
        root = self._root("completions")
        if not any(root.rglob("*.parquet")):
            return NO_COMPLETIONS
        below = f"substr(t.filename, {len(str(root)) + 2})"
        return (
            f"SELECT split_part(replace({below}, '.parquet', '/'), '/', 1) AS asset, m.shard, "
            f"t.* EXCLUDE (filename, line) FROM read_parquet({_below(root)}, filename = true) t "
            "LEFT JOIN (SELECT DISTINCT shard, parse_filename(path) AS file FROM materializations "
            "WHERE shard IS NOT NULL) m ON m.file = parse_filename(t.filename)"
        )

    def _root(self, kind: str) -> Path:
        return (self._storage.data_dir / kind).resolve()


def _below(root: Path) -> str:
    return sql.literal(f"{sql.escape_glob(str(root))}/**/*.parquet")
