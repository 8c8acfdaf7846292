"""Walks along lineage: back to the text, forward to models, to the tables that dropped a row.

The index names the tables; the rows are read from the few files that hold them, so a row that is
not in its table is never shown.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from persona_assets.catalog.segments import CHILD, DROPPED, DUPLICATE, HELD, MADE, MEMBER
from persona_assets.catalog.snapshot import IndexedTable, Place, Snapshot
from persona_assets.storage.storage import SHARD_COLUMN
from persona_assets.tables import Table

TRACE = pl.Schema(
    {
        "step": pl.Int32(),
        "row_id": pl.String(),
        "parent_id": pl.String(),
        "asset": pl.String(),
        "shard": pl.String(),
        "content": pl.String(),
        "prompt_versions": pl.String(),
        "run_id": pl.String(),
    }
)
AFFECTED = pl.Schema({"asset": pl.String(), "shard": pl.String(), "row_id": pl.String()})
WHY = pl.Schema(
    {
        "step": pl.Int64(),
        "row_id": pl.String(),
        "asset": pl.String(),
        "shard": pl.String(),
        "outcome": pl.String(),
        "reason": pl.String(),
        "stage": pl.String(),
        "survivor_id": pl.String(),
        "similarity": pl.Float64(),
        "text": pl.String(),
        "survivor_text": pl.String(),
    }
)

Row = Mapping[str, Any]
Fate = tuple[str, str, str | None, str | None, str | None, str | None, float | None]
"""Id, asset, shard, reason, stage, survivor's id and similarity; no reason for a kept row."""


class Walks:
    """Walks over a snapshot of the catalog.

    Args:
        snapshot: Tables and index.
        tables: Contract of each table, by asset.
    """

    def __init__(self, snapshot: Snapshot, tables: Mapping[str, Table]) -> None:
        self._snapshot = snapshot
        self._tables = tables

    def trace(self, row_id: str) -> pl.DataFrame:
        """Return a row and its ancestors with the columns TRACE, nearest first."""
        rows: list[tuple[object, ...]] = []
        seen, frontier, step = set[str](), {row_id}, 0
        while frontier:
            seen |= frontier
            once: dict[tuple[str, str], tuple[object, ...]] = {}
            parents = set[str]()
            for table, row, content in self._made(frontier):
                contract = self._tables[table.asset]
                above = sorted(row[name] for name in contract.parents if row.get(name) is not None)
                parents.update(above)
                own = row[contract.row_id]
                parent = above[0] if above else None
                made_by = (table.prompt_versions, table.run_id)
                found = (step, own, parent, table.asset, table.shard, content, *made_by)
                once.setdefault((table.asset, own), found)
            rows += [once[name] for name in sorted(once)]
            frontier = parents - seen
            step += 1
        return pl.DataFrame(rows, TRACE, orient="row")

    def affected_by(self, row_id: str) -> pl.DataFrame:
        """Return the rows made from a row, and the tables that aggregate one of these.

        Returns:
            The columns AFFECTED. An aggregating table has a single row, without an id.
        """
        made = self._descendants(row_id)
        rows, members = set[tuple[str, str | None, str | None]](), set[Place]()
        for own, kind, table in self._snapshot.entries(made):
            if kind in (MADE, HELD, DUPLICATE):
                rows.add((*table.place, own))
            elif kind == MEMBER:
                members.add(table.place)
        waiting = [(asset, shard) for asset, shard, _ in rows] + list(members)
        affected = set(waiting)
        while waiting:
            for place in self._snapshot.made_from[waiting.pop()] - affected:
                contract = self._tables.get(place[0])
                if contract and contract.aggregates and not contract.members:
                    affected.add(place)
                    waiting.append(place)
        rows |= {(*place, None) for place in affected - {row[:2] for row in rows}}
        frame = pl.DataFrame(list(rows), AFFECTED, orient="row")
        return frame.sort(frame.columns, nulls_last=True)

    def why(self, row_id: str) -> pl.DataFrame:
        """Return the tables that kept or dropped a row and its survivors, in the columns WHY."""
        lexical = self._survivors({row_id}, "lexical")[:1]
        semantic = self._survivors({row_id, *lexical}, "semantic")
        chain = list(dict.fromkeys([row_id, *lexical, *semantic]))
        fates = self._kept(chain) | self._dropped(chain)
        texts = self._texts({*chain, *(fate[5] for fate in fates if fate[5] is not None)})
        depths = self._snapshot.depths
        rows = [
            (
                *(chain.index(own), own, asset, shard, "dropped" if reason else "kept"),
                *(reason, stage, survivor, similarity, texts.get(own), texts.get(survivor or "")),
            )
            for own, asset, shard, reason, stage, survivor, similarity in fates
        ]
        rows.sort(
            key=lambda row: (row[0], depths.get(row[2], 0), row[2], row[3] or "", row[5] or "")
        )
        return pl.DataFrame(rows, WHY, orient="row")

    def locate(self, ids: Collection[str]) -> pl.DataFrame:
        """Return the tables that made rows, in the columns AFFECTED; none for an unknown id."""
        rows = {
            (own, *table.place) for own, kind, table in self._snapshot.entries(ids) if kind == MADE
        }
        frame = pl.DataFrame(list(rows), ["row_id", "asset", "shard"], orient="row")
        return frame.match_to_schema(AFFECTED).sort("row_id", "asset", "shard", nulls_last=True)

    def _of_kind(self, ids: Iterable[str], *kinds: int) -> Mapping[IndexedTable, list[str]]:
        """Return the ids of the entries of some kinds, by table."""
        found = defaultdict[IndexedTable, list[str]](list)
        for row_id, kind, table in self._snapshot.entries(ids):
            if kind in kinds:
                found[table].append(row_id)
        return found

    def _made(self, ids: Collection[str]) -> Iterator[tuple[IndexedTable, Row, str]]:
        """Yield the rows of the given ids in the tables that made them, with their JSON."""
        found = self._of_kind(ids, MADE)
        for table in sorted(found, key=lambda table: (table.asset, table.shard or "")):
            rows = table.rows(self._tables[table.asset].row_id, found[table])
            if rows.is_empty():
                continue
            shown = rows.select(pl.lit(table.shard).alias(SHARD_COLUMN), pl.all())
            lines = shown.write_ndjson().splitlines()
            for row, line in zip(rows.iter_rows(named=True), lines, strict=True):
                yield table, row, line

    def _descendants(self, row_id: str) -> set[str]:
        """Return the ids of a row and of all rows made from it; none if no table made the row."""
        frontier = set[str]().union(*self._of_kind({row_id}, MADE).values())
        made = set[str]()
        while frontier:
            made |= frontier
            children = set[str]()
            for table, parents in self._of_kind(frontier, CHILD).items():
                contract = self._tables[table.asset]
                for column in contract.parents:
                    rows = table.rows(column, parents, contract.row_id)
                    children.update(row[contract.row_id] for row in rows.iter_rows(named=True))
            frontier = children - made
        return made

    def _survivors(self, ids: Collection[str], stage: str) -> list[str]:
        """Return the survivors of duplicates of a stage, sorted."""
        return sorted({row[5] for row in self._repeats(ids) if row[4] == stage and row[5]})

    def _repeats(self, ids: Collection[str]) -> Iterator[Fate]:
        for table, own in self._of_kind(ids, DUPLICATE).items():
            column = self._tables[table.asset].row_id
            for row in table.rows(column, own).iter_rows(named=True):
                stage, pair = row["stage"], (row["survivor_id"], row["similarity"])
                yield row[column], table.asset, None, f"{stage}_duplicate", stage, *pair

    def _kept(self, ids: Collection[str]) -> set[Fate]:
        fates = set[Fate]()
        for table, own in self._of_kind(ids, MADE, HELD).items():
            reasons: dict[str, str] = {}
            contract = self._tables[table.asset]
            if contract.verdicts:
                for row in table.rows(contract.row_id, own).iter_rows(named=True):
                    if not row.get("kept", True):
                        reasons[row[contract.row_id]] = row["reason"]
            fates |= {(it, *table.place, reasons.get(it), None, None, None) for it in own}
        return fates

    def _dropped(self, ids: Collection[str]) -> set[Fate]:
        """Return the dropped rows; for a duplicate, its table stands in until it is dropped."""
        gone = {
            (row["id"], *table.place, row["reason"])
            for table, own in self._of_kind(ids, DROPPED).items()
            for row in table.dropped(own).iter_rows(named=True)
        }
        fates: set[Fate] = {(*fate, None, None, None) for fate in gone}
        for repeat in self._repeats(ids):
            own, _, _, reason, *pair = repeat
            obeyed = {fate for fate in gone if (fate[0], fate[3]) == (own, reason)}
            fates -= {(*fate, None, None, None) for fate in obeyed}
            fates |= {(*fate, *pair) for fate in obeyed} or {repeat}
        return fates

    def _texts(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return the wording of rows by id."""
        texts: dict[str, str] = {}
        for table, own in self._of_kind(ids, MADE).items():
            contract = self._tables[table.asset]
            if contract.text:
                rows = table.rows(contract.row_id, own, contract.row_id, contract.text)
                if contract.text in rows.columns:
                    texts.update(rows.rows())
        return texts
