"""Dropped rows of all tables: their number by table and reason, and the rows themselves."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from persona_assets.catalog.catalog import Catalog
from persona_assets.explore.records import text_column
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

ON_PAGE = 50
"""Number of dropped rows of a page."""


@dataclass(frozen=True)
class DroppedRow:
    """Dropped row.

    Attributes:
        row_id: Id of the row that was dropped, or of the row that it would have been made from.
        shard: Shard of the table that dropped it; empty for a table without shards.
        reason: Reason with its detail.
        asset: Asset that holds the row; empty if none does.
        text: Wording of the row there.
    """

    row_id: str
    shard: str
    reason: str
    asset: str
    text: str


class DroppedRows:
    """Dropped rows of a project.

    Args:
        storage: Tables and quarantine.
        catalog: Catalog of the tables.
        contracts: Contract of each table, by asset.
    """

    def __init__(self, storage: Storage, catalog: Catalog, contracts: Mapping[str, Table]) -> None:
        self._storage = storage
        self._catalog = catalog
        self._contracts = contracts

    def counts(self) -> list[tuple[str, str, int]]:
        """Return table, reason without detail, and number of rows; most rows of a table first."""
        totals = Counter[tuple[str, str]]()
        for asset, _, dropped in self._tables():
            for reason, count in dropped.items():
                totals[asset, reason] += count
        order = {asset: place for place, asset in enumerate(self._contracts)}
        rows = [(asset, reason, count) for (asset, reason), count in totals.items()]
        last = len(order)
        return sorted(rows, key=lambda row: (order.get(row[0], last), row[0], -row[2], row[1]))

    def page(self, asset: str, reason: str, number: int) -> list[DroppedRow]:
        """Return a page of the rows that a table dropped for a reason, shard by shard."""
        skipped, rows = (number - 1) * ON_PAGE, list[DroppedRow]()
        for name, shard, dropped in self._tables():
            count = dropped.get(reason, 0)
            if name != asset or len(rows) == ON_PAGE:
                continue
            if skipped >= count:
                skipped -= count
                continue
            of_reason = pl.col("reason").str.split(": ").list.first() == reason
            found = self._storage.quarantine(asset, shard).filter(of_reason)
            page = found[skipped : skipped + ON_PAGE - len(rows)]
            rows += self._described(asset, shard, page)
            skipped = 0
        return rows

    def _tables(self) -> Sequence[tuple[str, str | None, Mapping[str, int]]]:
        """Return asset, shard and dropped rows by reason of each table that dropped any."""
        rows = self._catalog.query(
            "SELECT asset, shard, dropped::VARCHAR AS dropped FROM materializations "
            "WHERE dropped::VARCHAR <> '{}' ORDER BY asset, shard"
        )
        return [(asset, shard, json.loads(dropped)) for asset, shard, dropped in rows.iter_rows()]

    def _described(self, asset: str, shard: str | None, rows: pl.DataFrame) -> list[DroppedRow]:
        """Add the wording of dropped rows, as the inputs of the table hold them."""
        inputs = self._catalog.query(
            "SELECT DISTINCT upstream_asset, upstream_shard FROM lineage "
            "WHERE asset = ? AND shard IS NOT DISTINCT FROM ? ORDER BY ALL",
            [asset, shard],
        )
        places = {(name, part): None for name, part in inputs.iter_rows()}
        # A row may be dropped for what its own table holds.
        places[asset, shard] = None
        ids = rows["id"].to_list()
        found: dict[str, tuple[str, str]] = {}
        for name, part in places:
            contract = self._contracts.get(name)
            if contract is None or contract.aggregates or contract.duplicates:
                continue
            text = text_column(self._contracts, name)
            if len(found) == len(ids) or self._storage.footer(name, part) is None:
                continue
            texts = (
                self._storage.scan(name, part)
                .filter(pl.col(contract.row_id).is_in(ids))
                .select(contract.row_id, pl.col(text).cast(pl.String) if text else pl.lit(""))
                .collect()
            )
            for row_id, words in texts.iter_rows():
                if words or row_id not in found:
                    found[row_id] = (name, words or "")
        return [
            DroppedRow(row_id, shard or "", reason, *found.get(row_id, ("", "")))
            for row_id, reason in rows.select("id", "reason").iter_rows()
        ]
