"""Facts of a project behind its report: tables, footers, provenance, usage, condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.assets.graph import project_assets
from persona_assets.assets.table_asset import TableAsset
from persona_assets.catalog.catalog import Catalog
from persona_assets.definitions import build_defs
from persona_assets.orchestration.condition import Condition, find_condition
from persona_assets.planning.cost import GroupBy, refresh_catalog, usage_by
from persona_assets.project import Project
from persona_assets.publishing.provenance import Provenance, find_provenance
from persona_assets.storage.footer import Footer


@dataclass(frozen=True)
class Facts:
    """Facts of a project.

    Attributes:
        project: Settings and prompts.
        assets: Assets by name.
        catalog: Catalog, up to date; None for a project that asked and made nothing.
        footers: Footers by asset.
        provenance: Rows, drops and prompts of all tables, inputs first.
        condition: Stale tables, failures and shards.
    """

    project: Project
    assets: Mapping[str, TableAsset]
    catalog: Catalog | None
    footers: Mapping[str, Sequence[Footer]]
    provenance: Provenance
    condition: Condition

    def rows(
        self, asset: str, columns: Sequence[str] = (), where: pl.Expr | None = None
    ) -> pl.DataFrame | None:
        """Read a table over all shards; None if it does not exist.

        Args:
            asset: Name of the asset.
            columns: Columns to read; all columns of the contract by default. A column that the
                tables of an earlier version lack is null.
            where: Rows to read; all by default.
        """
        footers = self.footers.get(asset)
        if not footers or asset not in self.assets:
            return None
        contract = self.assets[asset].table.schema
        names = list(columns) or contract.names()
        parts = [pl.DataFrame(schema={name: contract[name] for name in names})]
        for footer in footers:
            found = self.project.storage.scan(asset, footer.shard)
            known = set(found.collect_schema().names())
            rows = found if where is None else found.filter(where)
            parts.append(rows.select(name for name in names if name in known).collect())
        return pl.concat(parts, how="diagonal_relaxed")

    def count(self, asset: str) -> int | None:
        """Return the number of rows of a table over all shards; None if it does not exist."""
        footers = self.footers.get(asset)
        return sum(footer.rows for footer in footers) if footers else None

    def usage(self, by: GroupBy) -> list[dict[str, Any]]:
        """Return calls, tokens and cost; the row of name None is the total."""
        return [] if self.catalog is None else usage_by(self.catalog, by).to_dicts()

    def query(self, sql: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query on the catalog; none without a catalog."""
        return [] if self.catalog is None else self.catalog.query(sql, parameters).to_dicts()


def collect_facts(project: Project) -> Facts:
    """Collect the facts of a project. Nothing is asked of a model, and no run is started.

    Raises:
        CatalogError: The catalog cannot be read.
    """
    assets = project_assets(project)
    footers: dict[str, list[Footer]] = {}
    for _, footer in project.storage.footers():
        footers.setdefault(footer.asset, []).append(footer)
    journals = project.storage.data_dir / "journals"
    catalog, provenance = None, Provenance((), (), (), {})
    # A catalog of nothing is not worth a file.
    if footers or any(journals.rglob("*.jsonl")):
        catalog = Catalog(project.storage, {name: asset.table for name, asset in assets.items()})
        refresh_catalog(catalog, project.storage)
        provenance = find_provenance(project, catalog, footers)
    condition = find_condition(build_defs(project.settings), project.settings, project.storage)
    return Facts(project, assets, catalog, footers, provenance, condition)
