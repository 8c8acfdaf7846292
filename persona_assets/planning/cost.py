"""The cost so far: calls, tokens and money spent, and the use of the spending caps."""

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
from persona_assets.resources.spending_caps import limits
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage

GroupBy = Literal["asset", "shard", "model", "run"]

RECENT_RUNS = 10
"""Number of newest runs whose caps are shown."""

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
    """The requested run made no model call."""


@dataclass(frozen=True)
class CapUsage:
    """Use of a spending cap in a run or backfill, in US dollars.

    Attributes:
        scope: Run or backfill, such as "run:0123".
        setting: Environment variable that sets the cap.
        limit: The cap.
        spent: Cost of finished calls.
        held: Worst-case cost reserved for calls in flight.
    """

    scope: str
    setting: str
    limit: Decimal
    spent: Decimal
    held: Decimal


def usage_by(catalog: Catalog, by: GroupBy, run_id: str | None = None) -> pl.DataFrame:
    """Sum calls, tokens and cost by asset, shard, model or run.

    Args:
        catalog: Must exist and be up to date; see `refresh_catalog`.
        by: Column to group by.
        run_id: Count the calls of this run only.

    Returns:
        `name`, the counts of the catalog's `usage`, and `cost_usd`, the sum of the known costs
        (null if no cost is known). The last row, with a null name, is the total.

    Raises:
        CatalogError: The catalog cannot be read.
        CostError: The run made no model call.
    """
    column = "run_id" if by == "run" else by
    # A table made from all shards has a null shard.
    name = "coalesce(shard, '(all shards)')" if by == "shard" else column
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in _SUMS)
    usage = catalog.query(
        f"SELECT name, {sums}, sum(cost_usd) AS cost_usd, grouping(name) AS total "
        f"FROM (SELECT *, {name} AS name FROM usage WHERE coalesce(run_id = ?, true)) "
        "GROUP BY ROLLUP (name) ORDER BY total, name",
        [run_id],
    )
    if run_id is not None and len(usage) <= 1:
        raise CostError(f"run {run_id} has asked no model: see persona-assets cost --by run")
    rows = usage.with_columns(name=pl.when(pl.col("total") == 0).then("name")).drop("total")
    return rows.with_columns(pl.col(_SUMS).fill_null(0))


def refresh_catalog(catalog: Catalog, storage: Storage) -> None:
    """Rebuild the catalog if runs that failed or were killed left calls in their journals.

    A journal holds records only until its table is published, which adds the calls to the catalog.
    So an existing catalog is up to date if every journal is empty.

    Raises:
        CatalogError: The catalog cannot be rebuilt.
    """
    journals = (storage.data_dir / "journals").rglob("*.jsonl")
    if any(map(_has_records, journals)) or not catalog.path.exists():
        catalog.rebuild()


def _has_records(journal: Path) -> bool:
    try:
        return journal.stat().st_size > 0
    except FileNotFoundError:  # Its table was published in the meantime.
        return False


def caps_in_use(
    settings: Settings, storage: Storage, instance: dg.DagsterInstance, run_id: str | None = None
) -> list[CapUsage]:
    """List the spending caps of recent runs and their backfills, where money was spent or is held.

    Args:
        settings: Holds the caps.
        storage: Holds the ledger, unless `settings.ledger_url` names another.
        instance: Holds the runs.
        run_id: List the caps of this run only.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    ledger_path = storage.data_dir / "ledger.sqlite"
    if not limits(settings) or not (settings.ledger_url or ledger_path.exists()):
        return []
    ledger = Ledger(settings.ledger_url or ledger_path)
    only = None if run_id is None else dg.RunsFilter(run_ids=[run_id])
    runs = instance.get_runs(only, limit=RECENT_RUNS)
    backfills = (backfill_of(run.tags) for run in runs)
    ids: dict[str, Iterable[str]] = {
        "run": [run.run_id for run in runs],
        "backfill": dict.fromkeys(backfill for backfill in backfills if backfill is not None),
    }
    caps: list[CapUsage] = []
    for kind, setting, amount in limits(settings):
        for name in ids[kind]:
            scope = f"{kind}:{name}"
            spent, held = ledger.state(scope)
            if spent or held:
                caps.append(CapUsage(scope, setting, amount, spent, held))
    return caps
