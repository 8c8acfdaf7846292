"""The lineage index: from a row id to its parents, its children and the tables that hold it.

A projection of the tables, like the catalog, whose table `lineage_tables` names the tables in the
index by the stamps of their entries: entries of other stamps are of replaced tables, and are not
seen. So files of a killed writer do no harm, and a reader never waits.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.catalog import segments
from persona_assets.catalog.entries import contract_of, entries_of, stamp_of
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

if TYPE_CHECKING:
    import duckdb


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
        segments_before = self._listed(cursor)
        known = dict(cursor.execute("SELECT stamp, entries FROM lineage_tables").fetchall())
        latest: dict[tuple[str, str | None], str] = {}
        rows: dict[str, tuple[object, ...]] = {}
        written, waiting = list[Path](), list[pl.DataFrame]()
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
            if sum(map(len, waiting)) > segments.BATCH:
                written.append(segments.write(self.folder, pl.concat(waiting)))
                waiting = []
        if waiting or not segments_before:
            empty = pl.DataFrame(schema=segments.ENTRIES)
            written.append(segments.write(self.folder, pl.concat([empty, *waiting])))
        cursor.register("fresh", pl.DataFrame(list(rows.values()), _INDEXED, orient="row"))
        cursor.execute(
            "DELETE FROM lineage_tables t USING fresh WHERE t.path = fresh.path "
            "OR (t.asset = fresh.asset AND t.shard IS NOT DISTINCT FROM fresh.shard)"
        )
        cursor.execute("INSERT INTO lineage_tables FROM fresh")
        listed = self._merge(cursor, sorted([*segments_before, *written]))
        cursor.execute("DELETE FROM lineage_files")
        cursor.execute(
            "INSERT INTO lineage_files SELECT unnest(?)", [[file.name for file in listed]]
        )
        found = [*segments.segments(self.folder), *self.folder.glob(".*.tmp")]
        return [file for file in found if file not in listed]

    def forget(self, cursor: "duckdb.DuckDBPyConnection", paths: Collection[str]) -> None:
        """Remove tables from the index, by their paths relative to the project."""
        cursor.execute("DELETE FROM lineage_tables WHERE list_contains(?, path)", [list(paths)])

    def open(
        self, connection: "duckdb.DuckDBPyConnection"
    ) -> tuple[dict[str, tuple[int, int]], list[segments.Segment]] | None:
        """Return the known tables, see `known`, and the opened files; None if a file is lost."""
        try:
            opened = [segments.open_segment(file) for file in self._named(connection)]
        except FileNotFoundError:
            return None
        return self._known(connection), opened

    def known(self, connection: "duckdb.DuckDBPyConnection") -> dict[str, tuple[int, int]]:
        """Return size and time of each table in the index, by path; none if a file is lost.

        A table whose contract has changed since is left out.
        """
        is_whole = all(file.exists() for file in self._named(connection))
        return self._known(connection) if is_whole else {}

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

    def _named(self, connection: "duckdb.DuckDBPyConnection") -> list[Path]:
        names = connection.execute("SELECT file FROM lineage_files").fetchall()
        return [self.folder / name for [name] in names]

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

    def _listed(self, cursor: "duckdb.DuckDBPyConnection") -> list[Path]:
        """Return the files of the index; if one is lost, none, and forget all tables."""
        files = self._named(cursor)
        if all(file.exists() for file in files):
            return files
        cursor.execute("DELETE FROM lineage_tables")
        return []

    def _merge(self, cursor: "duckdb.DuckDBPyConnection", files: list[Path]) -> list[Path]:
        """Merge files, the smallest first, where that is due, and return those that are left."""
        live = cursor.execute(
            "SELECT stamp, entries FROM lineage_tables WHERE stamp IS NOT NULL"
        ).fetchall()
        stamps = pl.Series([stamp for stamp, _ in live], dtype=pl.UInt64)
        stale = sum(map(segments.size, files)) - sum(entries for _, entries in live)
        # A file of the largest size is never merged, so its stale entries are dropped here.
        groups = [segments.mergeable(files)] if stale < segments.LARGEST else [[it] for it in files]
        for group in filter(None, groups):
            merged = segments.write(self.folder, segments.read(group, stamps))
            files = [merged, *(file for file in files if file not in group)]
        return files


_INDEXED = {
    "path": pl.String(),
    "asset": pl.String(),
    "shard": pl.String(),
    "stamp": pl.UInt64(),
    "entries": pl.Int64(),
    "contract": pl.UInt64(),
    "size": pl.Int64(),
    "mtime_ns": pl.Int64(),
}


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
