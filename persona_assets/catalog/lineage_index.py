"""The lineage index: from a row id to its parents, its children and the tables that hold it.

A projection of the tables, like the catalog, whose table `lineage_tables` names the tables in the
index by the stamps of their entries: entries of other stamps are of replaced tables, and are not
seen. So files of a killed writer do no harm, and a reader never waits.

The entries of recent tables lie in `lineage_recent` in the catalog, all others in segments.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.catalog import segments
from persona_assets.catalog.base_tables import delete_rows, insert_rows
from persona_assets.catalog.entries import contract_of, entries_of, stamp_of
from persona_assets.catalog.lookup import Lookup, Recent, open_segment
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

if TYPE_CHECKING:
    import duckdb

RECENT = 200_000
"""Entries that the catalog itself holds: 5 MB of the file that each writer copies. More of them
become a segment."""

BATCH = 1_000_000
"""Entries that are collected in memory before they are written."""


class LineageIndex:
    """Files of the lineage index of a project.

    Args:
        storage: Tables of the project.
        tables: Contract of each table, by asset.
    """

    def __init__(self, storage: Storage, tables: Mapping[str, Table]) -> None:
        self.folder = storage.data_dir / "lineage"
        self._storage = storage
        self._tables = tables

    def record(
        self, cursor: "duckdb.DuckDBPyConnection", tables: Iterable[tuple[Path, Footer]]
    ) -> list[Path]:
        """Add tables to the index, in place of their previous records.

        Args:
            cursor: The catalog, in a transaction.
            tables: Path and footer of each table.

        Returns:
            Files that the index no longer needs, to be removed after the transaction.
        """
        sizes = self._listed(cursor)
        known = dict(cursor.execute("SELECT stamp, entries FROM lineage_tables").fetchall())
        latest: dict[tuple[str, str | None], str] = {}
        rows: dict[str, tuple[object, ...]] = {}
        waiting = list[pl.DataFrame]()
        for path, footer in tables:
            name, relative = (footer.asset, footer.shard), self.relative(path)
            if name in latest:
                previous = rows[latest[name]]
                rows[latest[name]] = (*previous[:3], None, 0, *previous[5:])
            latest[name] = relative
            quarantine = self._storage.data_dir / relative.replace("tables", "quarantine", 1)
            status, contract = path.stat(), contract_of(self._tables.get(footer.asset))
            stamp = stamp_of(footer, quarantine, contract)
            if stamp not in known:
                waiting.append(self._entries(path, footer.asset, quarantine, stamp))
                known[stamp] = len(waiting[-1])
            version = (contract, status.st_size, status.st_mtime_ns)
            rows[relative] = (relative, *name, stamp, known[stamp], *version)
            if sum(map(len, waiting)) > BATCH:
                self._write(waiting, sizes)
        self._add_recent(cursor, waiting, sizes)
        self.forget(cursor, rows)
        delete_rows(cursor, "lineage_tables", latest)
        insert_rows(cursor, "lineage_tables", list(rows.values()))
        listed = self._merge(cursor, sizes)
        if listed != self._named(cursor):
            cursor.execute("DELETE FROM lineage_files")
            cursor.execute(
                "INSERT INTO lineage_files SELECT unnest(?), unnest(?)",
                [list(listed), list(listed.values())],
            )
        return segments.unlisted(self.folder, listed)

    def forget(self, cursor: "duckdb.DuckDBPyConnection", paths: Collection[str]) -> None:
        """Remove tables from the index, by their paths relative to the project."""
        cursor.execute("DELETE FROM lineage_tables WHERE list_contains(?, path)", [list(paths)])

    def open(
        self, connection: "duckdb.DuckDBPyConnection"
    ) -> tuple[dict[str, tuple[int, int]], list[Lookup]] | None:
        """Return the known tables, see `known`, and all entries; None if a file is lost."""
        try:
            opened = [open_segment(self.folder, name) for name in self._named(connection)]
        except FileNotFoundError:
            return None
        recent = connection.execute(
            "SELECT key, stamp, kind FROM lineage_recent ORDER BY key"
        ).fetchnumpy()
        return self._known(connection), [*opened, Recent(*recent.values())]

    def known(self, connection: "duckdb.DuckDBPyConnection") -> dict[str, tuple[int, int]]:
        """Return size and time of each table in the index, by path; none if a file is lost.

        A table whose contract has changed since is left out.
        """
        return self._known(connection) if self._is_whole(self._named(connection)) else {}

    def changes(self, known: Mapping[str, tuple[int, int]]) -> tuple[list[Path], list[str]]:
        """Compare the tables on disk with those in the index.

        Args:
            known: See `known`.

        Returns:
            Files that are new or were replaced, and paths of the files that are gone, relative to
            the project.
        """
        found = dict(_files(str(self._storage.data_dir / "tables"), "tables"))
        fresh = [path for path in sorted(found) if known.get(path) != found[path]]
        return [self._storage.data_dir / path for path in fresh], sorted(known.keys() - found)

    def relative(self, path: Path) -> str:
        """Return the path of a table relative to the project, with `/` between its parts."""
        return path.resolve().relative_to(self._storage.data_dir.resolve()).as_posix()

    def _named(self, connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
        """Return the number of entries of each segment by name."""
        return dict(connection.execute("SELECT file, entries FROM lineage_files").fetchall())

    def _is_whole(self, names: Iterable[str]) -> bool:
        return all(file.exists() for name in names for file in segments.files(self.folder, name))

    def _known(self, connection: "duckdb.DuckDBPyConnection") -> dict[str, tuple[int, int]]:
        rows = connection.execute(
            "SELECT path, asset, contract, size, mtime_ns FROM lineage_tables"
        ).fetchall()
        contracts = {asset: contract_of(table) for asset, table in self._tables.items()}
        return {
            path: (size, time)
            for path, asset, contract, size, time in rows
            if contract == contracts.get(asset, 0)
        }

    def _entries(self, path: Path, asset: str, quarantine: Path, stamp: int) -> pl.DataFrame:
        if asset not in self._tables:
            return pl.DataFrame(schema=segments.ENTRIES)
        return entries_of(self._tables[asset], path, quarantine, stamp)

    def _listed(self, cursor: "duckdb.DuckDBPyConnection") -> dict[str, int]:
        """Return the segments; if a file is lost, none, and forget all tables."""
        names = self._named(cursor)
        if self._is_whole(names):
            return names
        cursor.execute("DELETE FROM lineage_tables")
        return {}

    def _add_recent(
        self,
        cursor: "duckdb.DuckDBPyConnection",
        entries: list[pl.DataFrame],
        sizes: dict[str, int],
    ) -> None:
        """Add entries to the recent, and write all these as a segment if they are too many."""
        recent = _count(cursor, "lineage_recent")
        # SQL reads the files by a pattern, which has to match a file.
        if sizes and recent + sum(map(len, entries)) <= RECENT:
            for frame in filter(len, entries):
                cursor.register("added", frame)
                cursor.execute("INSERT INTO lineage_recent FROM added")
            return
        if recent:
            entries.append(cursor.sql("FROM lineage_recent").pl())
            cursor.execute("DELETE FROM lineage_recent")
        self._write(entries, sizes)

    def _write(self, entries: list[pl.DataFrame], sizes: dict[str, int]) -> None:
        """Write a segment, and empty the list of its entries."""
        rows = pl.concat([pl.DataFrame(schema=segments.ENTRIES), *entries])
        sizes[segments.write(self.folder, rows)] = len(rows)
        entries.clear()

    def _merge(self, cursor: "duckdb.DuckDBPyConnection", sizes: dict[str, int]) -> dict[str, int]:
        """Merge the segments that are due, and return all."""
        live = cursor.execute(
            "SELECT stamp, entries FROM lineage_tables WHERE stamp IS NOT NULL"
        ).fetchall()
        current = sum(entries for _, entries in live)
        is_stale = sum(sizes.values()) > 2 * current + RECENT
        if group := list(sizes) if is_stale else segments.mergeable(sizes):
            stamps = pl.Series([stamp for stamp, _ in live], dtype=pl.UInt64)
            name, entries = segments.merge(self.folder, group, stamps)
            kept = {it: size for it, size in sizes.items() if it not in group}
            return {**kept, name: entries}
        return sizes


def _count(cursor: "duckdb.DuckDBPyConnection", table: str) -> int:
    [[count]] = cursor.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


def _files(folder: str, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield path, size and time of each Parquet file below a folder, without hidden files."""
    try:
        found = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in found:
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _files(entry.path, path)
        elif entry.name.endswith(".parquet") and not entry.name.startswith("."):
            status = entry.stat()
            yield path, (status.st_size, status.st_mtime_ns)
