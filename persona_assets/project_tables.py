"""The tables of a project for a reader outside the graph: a notebook, a script, another package.

    from persona_assets import open_project

    project = open_project("data/project")
    hub = project.read("persona_hub").collect()

Belongs here: reading. Does not belong here: anything that writes or asks a model.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.catalog.catalog import Catalog
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import MissingTableError, Storage

if TYPE_CHECKING:
    import polars as pl


def open_project(folder: str | Path) -> "ProjectTables":
    """Open the tables of a project for reading.

    Args:
        folder: The project's data folder (`PERSONA_DATA_DIR`), which contains `tables/`.

    Raises:
        MissingTableError: The folder contains no tables.
    """
    tables = Path(folder) / "tables"
    if not tables.is_dir():
        raise MissingTableError(
            f"no tables at {tables}: name the project's data folder (PERSONA_DATA_DIR), or "
            "materialize something first"
        )
    return ProjectTables(Path(folder))


class ProjectTables:
    """Published tables of one project, with their lineage. Safe to use while runs write."""

    def __init__(self, data_dir: Path) -> None:
        self._storage = Storage(data_dir)
        self._catalog = Catalog(self._storage, {})

    @property
    def catalog(self) -> Path:
        """Path of `catalog.duckdb`: all tables in SQL. Open it read-only."""
        return self._catalog.path

    def tables(self) -> list[Footer]:
        """Return the footer of each table: asset, shard, number of rows, versions, lineage."""
        return [footer for _, footer in self._storage.footers()]

    def read(self, asset: str, shard: str | None = None) -> "pl.LazyFrame":
        """Return the rows of an asset.

        Args:
            asset: Name of the asset, such as "persona_hub".
            shard: Shard, or partition, to read; None reads all of them into memory and adds the
                column `shard`. An asset without partitions has one table and no such column.

        Raises:
            MissingTableError: The asset, or its shard, has no table.
        """
        if shard is not None or self._storage.footer(asset, None) is not None:
            return self._storage.scan(asset, shard)
        tables = self._storage.shard_tables(asset)
        if not tables:
            raise MissingTableError(f"{asset} has no table in {self._storage.data_dir}")
        return tables.scan()

    def query(self, sql: str, parameters: list[Any] | None = None) -> "pl.DataFrame":
        """Return the rows of a read-only SQL query on the catalog.

        Raises:
            CatalogError: The query is wrong, or the project has no catalog yet.
        """
        return self._catalog.query(sql, parameters)
