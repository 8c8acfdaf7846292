"""Bound on the calls that the next run may send because of a withdrawal, and their price.

A withdrawal asks for nothing by itself. New calls come from duplicates that return in place of a
withdrawn row, from places that become free under a limit per shard, from batches of embeddings with
other neighbours, and from models that are trained anew, whose answers are new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

import polars as pl

from persona_assets.assets.personas import HOPS
from persona_assets.assets.samples import EMBEDDED
from persona_assets.orchestration.staleness import Graph
from persona_assets.planning.model_asset import is_sharded
from persona_assets.planning.withdrawal import Descent
from persona_assets.project import Project
from persona_assets.resources.call_records import read_call_records
from persona_assets.steps.grading import SOLVERS
from persona_assets.storage.storage import Storage
from persona_assets.storage.withdrawals import TableName
from persona_assets.tables import Table

SOLUTIONS = "math_solutions"
"""Asset that asks several solvers about a problem."""


@dataclass(frozen=True)
class NewCalls:
    """Bound on the new calls of an asset.

    Attributes:
        asset: Name of the asset.
        most: Number of calls.
        cost: Their US dollars, at the mean price of the calls so far; None if a price is unknown.
    """

    asset: str
    most: int
    cost: Decimal | None


def bound_new_calls(
    project: Project, graph: Graph, tables: Mapping[str, Table], descent: Descent
) -> list[NewCalls]:
    """Bound the new calls of the next run, by asset; assets without any are left out.

    Args:
        project: Settings and tables.
        graph: All assets.
        tables: Contract of each table, by asset.
        descent: Rows that go, and duplicates that return.
    """
    storage = project.storage
    returning = _returning_by_shard(storage, graph, tables, descent)
    limited, rows_each = _limited(project, graph), _rows_per_persona(project, graph, tables)
    held: dict[TableName, int] = {
        (asset, shard): count
        for asset, shard, count in descent.rows.group_by("asset", "shard").len().iter_rows()
    }
    bounds: list[NewCalls] = []
    for asset in graph.assets.values():
        upstream = graph.upstream([asset.name])
        of_tables: list[NewCalls] = []
        for partition in graph.partitions_of(asset.partitions):
            table = (asset.name, partition)
            places = held.get(table, 0) if asset.name in limited else 0
            returned = sum(
                count
                for (name, shard), count in returning.items()
                if name in upstream and (shard == partition or not is_sharded(asset))
            )
            moves = asset.name.startswith(EMBEDDED) and table in descent.asked
            if table in descent.whole or moves:
                of_tables += _bound(storage, table, None)
            elif places or returned:
                new = places + returned * rows_each[asset.name]
                of_tables += _bound(storage, table, new)
        if of_tables:
            bounds.append(total_calls(of_tables, asset.name))
    return bounds


def total_calls(bounds: Sequence[NewCalls], name: str = "total") -> NewCalls:
    """Return the sum of bounds under a name."""
    costs = [bound.cost for bound in bounds if bound.cost is not None]
    cost = sum(costs, Decimal(0)) if len(costs) == len(bounds) else None
    return NewCalls(name, sum(bound.most for bound in bounds), cost)


def _bound(storage: Storage, table: TableName, rows: int | None) -> list[NewCalls]:
    """Bound the calls of a table for a number of new rows; None for all that it ever asked."""
    footer, records = storage.footer(*table), read_call_records(storage, *table)
    if footer is None or records.is_empty():
        return []
    calls = records["key"].n_unique()
    if rows is not None:
        calls = ceil(rows * max(1, calls / max(1, footer.rows + sum(footer.dropped.values()))))
    price = records.filter(~pl.col("reused"))["cost_usd"].mean()
    return [NewCalls(table[0], calls, None if price is None else calls * Decimal(str(price)))]


def _returning_by_shard(
    storage: Storage, graph: Graph, tables: Mapping[str, Table], descent: Descent
) -> Mapping[TableName, int]:
    """Count the returning duplicates by the asset that found them, and their shard."""
    counts: dict[TableName, int] = {}
    for (asset,), lost in descent.returning.group_by("asset"):
        is_returning = pl.lit(lost["row_id"].implode())
        for source in graph.assets[str(asset)].inputs:
            row_id = pl.col(tables[source].row_id)
            for table in storage.shard_tables(source):
                found = table.scan().filter(row_id.is_in(is_returning)).select(pl.len())
                place = str(asset), table.shard
                counts[place] = max(counts.get(place, 0), int(found.collect().item()))
    return counts


def _limited(project: Project, graph: Graph) -> set[str]:
    """Return the assets whose rows a limit per shard chooses, and those made from their rows."""
    settings = project.settings
    limited = set(HOPS) if settings.personas_per_hop or settings.hub_size else set()
    for name in project.prompts.tasks:
        task = settings.task(name)
        if task.per_shard or task.nearest or task.stratify:
            limited.add(name)
    for asset in graph.assets.values():
        if not limited.isdisjoint(asset.inputs):
            limited.add(asset.name)
    return limited


def _rows_per_persona(
    project: Project, graph: Graph, tables: Mapping[str, Table]
) -> Mapping[str, int]:
    """Return the most rows of each asset that a persona, or what it is made into, leads to."""
    settings = project.settings
    rows: dict[str, int] = {}
    for asset in graph.assets.values():
        own = 1
        if asset.name in project.prompts.tasks:
            own = settings.task(asset.name).per_persona
        if tables[asset.name].second is not None:
            # A pair with its parent, and with each persona made from it.
            own *= 1 + settings.relations_per_persona
        if asset.name == SOLUTIONS:
            own *= SOLVERS * settings.solutions_per_problem
        rows[asset.name] = own * max((rows[name] for name in asset.inputs), default=1)
    return rows
