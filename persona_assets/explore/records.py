"""A row of the project by its id: chain, verdicts, what was made from it, completions."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.assets.judged import JUDGED
from persona_assets.assets.personas import HOPS
from persona_assets.assets.samples import DISTINCT, UNIQUE
from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.explore.stored_completions import StoredCompletions
from persona_assets.number_format import format_money
from persona_assets.reporting.blocks import ChainStep
from persona_assets.reporting.samples import UNKNOWN_PRICE, chain_step
from persona_assets.steps.judging import JUDGEMENT
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

MOST_SHOWN = 50
"""Number of rows of an asset that were made from a row and are shown."""

MOST_TEXT = 20_000
"""Number of characters of a text that is shown."""

PERSONA_ASSETS = ("text_personas", *HOPS)
"""Assets that make personas."""

_COMPLETION = "completion_id"


@dataclass(frozen=True)
class Link:
    """Row in a chain.

    Attributes:
        step: The row.
        completion: Key of the completion that made it; empty if no model made it.
    """

    step: ChainStep
    completion: str


@dataclass(frozen=True)
class MadeRow:
    """Row that was made from another.

    Attributes:
        row_id: Its id.
        shard: Its shard; empty for a table without shards.
        text: Its own wording.
        verdict: Verdict in a few words.
        is_kept: True unless a table dropped it.
        price: US dollars of its call; empty if no model made it.
        completion: Key of that call.
    """

    row_id: str
    shard: str
    text: str
    verdict: str
    is_kept: bool
    price: str
    completion: str


@dataclass(frozen=True)
class MadeRows:
    """Rows of an asset that were made from a row: the first of them, and their number."""

    asset: str
    rows: Sequence[MadeRow]
    count: int


@dataclass(frozen=True)
class Effects:
    """What was made from a row.

    Attributes:
        personas: Personas by asset.
        samples: All other rows by asset.
        tables: Tables over all rows that the row is part of, such as a model.
    """

    personas: Sequence[MadeRows]
    samples: Sequence[MadeRows]
    tables: Sequence[str]


class Records:
    """Rows of a project by id.

    Args:
        storage: Tables and completions.
        catalog: Catalog of the tables.
        contracts: Contract of each table, by asset.

    Attributes:
        completions: Completions of published tables.
    """

    def __init__(self, storage: Storage, catalog: Catalog, contracts: Mapping[str, Table]) -> None:
        self.completions = StoredCompletions(storage)
        self._storage = storage
        self._catalog = catalog
        self._contracts = contracts

    def chain(self, row_id: str) -> list[Link]:
        """Return a row and its ancestors, nearest first; nothing if no table made the row."""
        try:
            steps = self._catalog.trace(row_id).to_dicts()
        except CatalogError:
            if not self._catalog.path.exists():
                raise
            return []
        links: list[Link] = []
        for step in steps:
            content = json.loads(step["content"])
            key = content.get(_COMPLETION) or ""
            prices = self.completions.prices(step["asset"], step["shard"], [key]) if key else {}
            table = self._contracts[step["asset"]]
            shown = chain_step({**step, "content": content}, prices, table, MOST_TEXT, MOST_TEXT)
            links.append(Link(shown, key))
        return links

    def verdicts(self, row_id: str) -> list[dict[str, Any]]:
        """Return the tables that kept or dropped a row, in order, and then those of its survivor.

        Columns are those of `Catalog.why`.
        """
        return self._catalog.why(row_id).to_dicts()

    def effects(self, row_id: str) -> Effects:
        """Return what was made from a row."""
        made: dict[str, dict[str, str | None]] = {}
        held: dict[str, set[str]] = {}
        tables = set[str]()
        for found in self._catalog.affected_by(row_id).iter_rows(named=True):
            asset, row = found["asset"], found["row_id"]
            contract = self._contracts.get(asset)
            if contract is None or row == row_id:
                continue
            if contract.aggregates:
                tables.add(asset)
                continue
            held.setdefault(row, set()).add(asset)
            if contract.makes:
                made.setdefault(asset, {})[row] = found["shard"]
        groups = [self._made(asset, rows, held) for asset, rows in made.items()]
        return Effects(
            [group for group in groups if group.asset in PERSONA_ASSETS],
            [group for group in groups if group.asset not in PERSONA_ASSETS],
            sorted(tables),
        )

    def judgement(self, asset: str, shard: str | None, row_id: str) -> dict[str, Any]:
        """Return the scores that the judge of a task gave to a sample; empty if it gave none."""
        table = f"{JUDGED}{asset}"
        if table not in self._contracts or self._storage.footer(table, shard) is None:
            return {}
        rows = self._storage.scan(table, shard).filter(pl.col("sample_id") == row_id)
        found = rows.select(JUDGEMENT).collect()[JUDGEMENT].to_list()
        return {name: value for name, value in (found[0] or {}).items()} if found else {}

    def _made(
        self, asset: str, ids: Mapping[str, str | None], held: Mapping[str, Collection[str]]
    ) -> MadeRows:
        """Describe the first rows of an asset that were made from a row."""
        by_shard: dict[str | None, list[str]] = {}
        for row_id, shard in list(ids.items())[:MOST_SHOWN]:
            by_shard.setdefault(shard, []).append(row_id)
        rows = [
            row
            for shard, these in by_shard.items()
            for row in self._described(asset, shard, these, held)
        ]
        return MadeRows(asset, rows, len(ids))

    def _described(
        self,
        asset: str,
        shard: str | None,
        ids: Sequence[str],
        held: Mapping[str, Collection[str]],
    ) -> list[MadeRow]:
        contract = self._contracts[asset]
        wanted = pl.col(contract.row_id).is_in(ids)
        rows = self._storage.scan(asset, shard).filter(wanted).collect().to_dicts()
        prices = self.completions.prices(asset, shard, [row.get(_COMPLETION) or "" for row in rows])
        reasons = self._reasons(asset, shard, ids)
        described: list[MadeRow] = []
        for row in rows:
            row_id, key = row[contract.row_id], row.get(_COMPLETION) or ""
            price = prices.get(key)
            verdict = reasons.get(row_id) or self._last(asset, held.get(row_id, ()))
            described.append(
                MadeRow(
                    row_id,
                    shard or "",
                    str(row.get(text_column(self._contracts, asset) or "") or ""),
                    verdict,
                    row_id not in reasons,
                    "" if not key else UNKNOWN_PRICE if price is None else format_money(price),
                    key,
                )
            )
        return described

    def _reasons(self, asset: str, shard: str | None, ids: Sequence[str]) -> dict[str, str]:
        """Return why rows were dropped, by id."""
        reasons: dict[str, str] = {}
        for table in _later(asset):
            dropped = self._storage.quarantine(table, shard).filter(pl.col("id").is_in(ids))
            for row_id, reason in dropped.select("id", "reason").iter_rows():
                reasons.setdefault(row_id, f"dropped by {table}: {reason}")
        return reasons

    def _last(self, asset: str, tables: Collection[str]) -> str:
        """Return the last table of an asset's rows that holds a row, in words."""
        passed = [table for table in _later(asset) if table in tables]
        return f"in {passed[-1]}" if passed else f"in {asset}"


def text_column(contracts: Mapping[str, Table], asset: str) -> str | None:
    """Return the column with the wording of an asset's rows; None if it has none.

    A table that carries rows over has the column of the table that makes them.
    """
    if "persona" in contracts[asset].schema and contracts[asset].row_id == "persona_id":
        return "persona"
    bases = (asset.removeprefix(prefix) for prefix in ("", DISTINCT, UNIQUE, JUDGED))
    found = (contracts[base].text for base in bases if base in contracts)
    return next(filter(None, found), None)


def _later(asset: str) -> list[str]:
    """Return the tables that keep some rows of an asset, in their order."""
    if asset in PERSONA_ASSETS:
        return ["lexical_survivors", "persona_hub"]
    return [f"{prefix}{asset}" for prefix in (DISTINCT, UNIQUE, JUDGED)]
