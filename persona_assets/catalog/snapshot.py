"""State of the catalog for walks along lineage: tables by stamp, and the tables made from each."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.catalog.entries import key_of
from persona_assets.catalog.lookup import Lookup

if TYPE_CHECKING:
    import duckdb

Place = tuple[str, str | None]
"""Asset and shard of a table."""


@dataclass(frozen=True)
class IndexedTable:
    """A table in the index.

    Attributes:
        path: File of the table.
        quarantine: File of its dropped rows, which may be missing.
        prompt_versions: JSON object, version by prompt.
    """

    asset: str
    shard: str | None
    path: Path
    quarantine: Path
    run_id: str
    prompt_versions: str

    @property
    def place(self) -> Place:
        return self.asset, self.shard

    def rows(self, column: str, ids: Collection[str], *columns: str) -> pl.DataFrame:
        """Read the rows that have one of the given ids in a column, all columns or some."""
        return _matching(self.path, column, ids, columns)

    def dropped(self, ids: Collection[str]) -> pl.DataFrame:
        """Read the dropped rows of the given ids."""
        return _matching(self.quarantine, "id", ids, ())


def _matching(
    path: Path, column: str, ids: Collection[str], columns: Sequence[str]
) -> pl.DataFrame:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        # Removed since the catalog was read.
        return pl.DataFrame()
    with file:
        rows = pl.scan_parquet(file)
        # A table of an earlier version may lack columns.
        present = rows.collect_schema()
        if column not in present:
            return pl.DataFrame()
        found = rows.filter(pl.col(column).cast(pl.String).is_in(list(ids)))
        return found.select([it for it in columns if it in present] or pl.all()).collect()


class Snapshot:
    """Tables, lineage between tables, and look-ups by row id, at a version of the catalog.

    Args:
        connection: The catalog.
        entries: Entries of the lineage index at this version.
        data_dir: Folder of the project.
    """

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", entries: Sequence[Lookup], data_dir: Path
    ) -> None:
        self._entries = entries
        tables = connection.execute(
            "SELECT i.stamp, m.asset, m.shard, m.path, m.run_id, m.prompt_versions "
            "FROM materializations m JOIN lineage_tables i USING (path) WHERE i.stamp IS NOT NULL"
        ).fetchall()
        self._tables: dict[int, IndexedTable] = {
            stamp: IndexedTable(
                asset,
                shard,
                data_dir / path,
                data_dir / path.replace("tables", "quarantine", 1),
                run_id,
                prompts,
            )
            for stamp, asset, shard, path, run_id, prompts in tables
        }
        edges = connection.execute(
            "SELECT DISTINCT upstream_asset, upstream_shard, asset, shard FROM lineage"
        ).fetchall()
        self.made_from = defaultdict[Place, set[Place]](set)
        for upstream, upstream_shard, asset, shard in edges:
            self.made_from[upstream, upstream_shard].add((asset, shard))
        self.depths = _depths({(edge[0], edge[2]) for edge in edges})

    def entries(self, ids: Iterable[str]) -> Iterator[tuple[str, int, IndexedTable]]:
        """Yield id, kind and table of each entry of the given ids; see `segments`.

        A table of another id with the same hash may be among them.
        """
        names = {key_of(row_id): row_id for row_id in ids}
        found = {
            entry
            for entries in self._entries
            for entry in entries.find(names)
            if entry[1] in self._tables
        }
        for key, stamp, kind in found:
            yield names[key], kind, self._tables[stamp]


def _depths(edges: Collection[tuple[str, str]]) -> Mapping[str, int]:
    """Return the length of the longest way to each asset, by pairs of an asset and one from it."""
    upstream = defaultdict[str, set[str]](set)
    for source, asset in edges:
        upstream[asset].add(source)
    depths: dict[str, int] = {}

    def depth(asset: str, above: frozenset[str]) -> int:
        if asset in above:
            return 0
        if asset not in depths:
            sources = [depth(source, above | {asset}) + 1 for source in upstream[asset]]
            depths[asset] = max(sources, default=0)
        return depths[asset]

    for asset in {name for edge in edges for name in edge}:
        depth(asset, frozenset())
    return depths
