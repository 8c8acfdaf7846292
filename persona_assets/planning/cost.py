"""The cost so far: what was asked and paid for, and what the caps on spending have left."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import dagster as dg
import polars as pl

from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import Ledger
from persona_assets.orchestration.instance import backfill_of
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage

By = Literal["asset", "shard", "model", "run"]

LATEST = 10
"""Runs whose caps are shown, the newest first."""

_SUMS = (
    "calls",
    "failed",
    "uncertain",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced",
)


class CostError(ValueError):
    """What was asked for is not in the ledger of calls."""


@dataclass(frozen=True)
class CapUsage:
    """A cap of the settings in one scope, in US dollars; `held` is for calls in flight."""

    scope: str
    setting: str
    limit: Decimal
    spent: Decimal
    held: Decimal


def usage_by(catalog: Catalog, by: By, run_id: str | None = None) -> pl.DataFrame:
    """What was asked: `name`, the counts of the catalog's `usage`, and `cost_usd` of the answers
    whose cost is known (null if of none); the last row, without a name, is the total.

    Raises CatalogError, and CostError for a run that asked nothing.
    """
    column = "run_id" if by == "run" else by
    # A table made of all shards has none of its own.
    name = "coalesce(shard, '(all shards)')" if by == "shard" else column
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in _SUMS)
    found = catalog.query(
        f"SELECT name, {sums}, sum(cost_usd) AS cost_usd, grouping(name) AS total "
        f"FROM (SELECT *, {name} AS name FROM usage WHERE coalesce(run_id = ?, true)) "
        "GROUP BY ROLLUP (name) ORDER BY total, name",
        [run_id],
    )
    if run_id is not None and len(found) <= 1:
        raise CostError(f"run {run_id} has asked no model: see persona-assets cost --by run")
    rows = found.with_columns(name=pl.when(pl.col("total") == 0).then("name")).drop("total")
    return rows.with_columns(pl.col(_SUMS).fill_null(0))


def refresh_catalog(catalog: Catalog, storage: Storage) -> None:
    """Brings the catalog up to what was paid for by runs that failed or were killed.

    A journal holds records only until its table is published, which adds them to the catalog too:
    where no journal holds any, there is nothing to do. Raises CatalogError.
    """
    waiting = (storage.data_dir / "journals").rglob("*.jsonl")
    if any(map(_holds_any, waiting)) or not catalog.path.exists():
        catalog.rebuild()


def _holds_any(journal: Path) -> bool:
    try:
        return journal.stat().st_size > 0
    except FileNotFoundError:  # Its table has just been published.
        return False


def caps_in_use(
    settings: Settings, storage: Storage, instance: dg.DagsterInstance, run_id: str | None = None
) -> list[CapUsage]:
    """The caps in use for the latest runs, or for one: where something was spent or is held.

    Raises LedgerError.
    """
    limits = [
        ("run", "PERSONA_RUN_BUDGET", settings.run_budget),
        ("backfill", "PERSONA_BACKFILL_BUDGET", settings.backfill_budget),
    ]
    own = storage.data_dir / "ledger.sqlite"
    if not any(limit for _, _, limit in limits) or not (settings.ledger_url or own.exists()):
        return []
    ledger = Ledger(settings.ledger_url or own)
    which = None if run_id is None else dg.RunsFilter(run_ids=[run_id])
    runs = instance.get_runs(which, limit=LATEST)
    backfills = (backfill_of(run.tags) for run in runs)
    ids: dict[str, Iterable[str]] = {
        "run": [run.run_id for run in runs],
        "backfill": dict.fromkeys(it for it in backfills if it is not None),
    }
    found: list[CapUsage] = []
    for kind, setting, limit in limits:
        for name in ids[kind] if limit is not None else ():
            scope = f"{kind}:{name}"
            spent, held = ledger.state(scope)
            if limit is not None and (spent or held):
                found.append(CapUsage(scope, setting, limit, spent, held))
    return found
