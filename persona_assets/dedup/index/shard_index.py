"""Near-duplicates over shards that come one after the other, and what is remembered of them.

    with Columns(folder, {**SHAPES, **WordSets.SHAPES}, parameters) as columns:
        index = Index(columns, WordSets(columns, threshold, "exact", threads))
        found = index.update(shards)          # joins the new shards with all, and nothing twice
        stay = survivors(found.sets, found.edges)

A shard is known by its key and version (its data version, say). A shard that is gone or has another
version leaves its word sets or vectors behind, as items that no row belongs to.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.text.utf8_buffers import utf8_buffers

BATCH = 1 << 20
"""Rows that are joined at a time, about; what is done is kept if the next batch fails."""

WASTE = 2
"""All is made anew when more than half of the rows are of shards that are gone."""

SHAPES: dict[str, Shape] = {
    "row_items": ("i8", ()),
    "ids": ("u1", ()),
    "id_offsets": ("i8", ()),
}


class ItemIndex(Protocol):
    """What rows are joined by: `word_sets.WordSets` or `vectors.Vectors`."""

    def add(self, values: pl.Series) -> npt.NDArray[np.int64]:
        """The item of each value; new items are joined with all."""

    def edges(self) -> Edges:
        """The pairs of items that are near-duplicates."""


@dataclass(frozen=True)
class ShardRows:
    """One shard's rows, read when they are needed: columns `id` (String, no null) and `value`."""

    key: str
    version: str
    read: Callable[[], pl.DataFrame]


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """The rows of the shards asked for, in their order, joined.

    `sets` (int64, shape (n,)) is the item of each row, `edges` are the pairs of items. `added` is
    how many of the rows were joined by this update. The id of row i is
    `stored_ids[places[i]]`.
    """

    sets: npt.NDArray[np.int64]
    edges: Edges
    added: int
    places: npt.NDArray[np.int64]
    stored_ids: pa.Array

    def ids(self, rows: npt.NDArray[np.int64]) -> pl.Series:
        """The ids of some rows."""
        chosen = self.stored_ids.take(pa.array(self.places[rows]))
        return pl.Series("id", chosen, pl.String)


class ShardIndex:
    """Shards whose rows were joined, over opened columns of `SHAPES` and those of the items."""

    def __init__(self, columns: ColumnStore, items: ItemIndex) -> None:
        self._columns = columns
        self._items = items

    def update(self, shards: Sequence[ShardRows]) -> JoinedRows:
        """Joins what is new among `shards`; the result is about these and no others.

        Of a batch that fails nothing is kept. Raises TypeError or ValueError, naming the shard, for
        one that is given twice or whose rows are not what `Shard` says; and what the items raise.
        """
        for key, times in Counter(shard.key for shard in shards).items():
            if times > 1:
                raise ValueError(f"shard {key!r} is given {times} times: it takes part once")
        if len(self._columns["row_items"]) > WASTE * self._alive(shards):
            self._columns.clear()
        before = len(self._columns["row_items"])
        known = self._known()
        for batch in self._batches([shard for shard in shards if _name(shard) not in known]):
            self._join(batch)
        known = self._known()
        ranges = [np.arange(*known[_name(shard)]) for shard in shards]
        places = np.concatenate([np.empty(0, np.int64), *ranges])
        return JoinedRows(
            sets=self._columns["row_items"][places],
            edges=self._items.edges(),
            added=len(self._columns["row_items"]) - before,
            places=places,
            stored_ids=self._ids(),
        )

    def _join(self, batch: Sequence[tuple[ShardRows, pl.DataFrame]]) -> None:
        columns, known = self._columns, self._known()
        at = len(columns["row_items"])
        for shard, frame in batch:
            known[_name(shard)] = (at, at + len(frame))
            at += len(frame)
        try:
            self._append(pl.concat([frame for _, frame in batch]))
            columns.commit({"shards": [[*name, *place] for name, place in known.items()]})
        except (TypeError, ValueError) as error:
            error.add_note(f"in shards {batch[0][0].key!r} to {batch[-1][0].key!r}")
            raise
        finally:
            columns.rollback()

    def _append(self, rows: pl.DataFrame) -> None:
        columns = self._columns
        data, offsets = utf8_buffers(rows["id"])
        end = len(columns["ids"])
        if not len(columns["id_offsets"]):
            columns.append("id_offsets", np.zeros(1, np.int64))
        columns.append("row_items", self._items.add(rows["value"]))
        columns.append("ids", data[offsets[0] : offsets[-1]])
        columns.append("id_offsets", offsets[1:] - offsets[0] + end)

    def _batches(self, new: Sequence[ShardRows]) -> Iterator[list[tuple[ShardRows, pl.DataFrame]]]:
        batch: list[tuple[ShardRows, pl.DataFrame]] = []
        for shard in new:
            rows = _rows(shard)
            if batch and rows.schema != batch[0][1].schema:
                kind, other = rows["value"].dtype, batch[0][1]["value"].dtype
                raise TypeError(
                    f"values are {kind} in shard {shard.key!r}, {other} in {batch[0][0].key!r}"
                )
            batch.append((shard, rows))
            if sum(len(frame) for _, frame in batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _known(self) -> dict[tuple[str, str], tuple[int, int]]:
        listed = self._columns.state.get("shards", [])
        return {(key, version): (start, stop) for key, version, start, stop in listed}

    def _alive(self, shards: Sequence[ShardRows]) -> int:
        known = self._known()
        places = [known[_name(shard)] for shard in shards if _name(shard) in known]
        return sum(stop - start for start, stop in places)

    def _ids(self) -> pa.Array:
        data, offsets = self._columns["ids"], self._columns["id_offsets"]
        count = max(len(offsets) - 1, 0)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(pa.large_string(), count, buffers)


def _rows(shard: ShardRows) -> pl.DataFrame:
    rows = shard.read()
    if set(rows.columns) != {"id", "value"}:
        found = ", ".join(rows.columns)
        raise ValueError(f"shard {shard.key!r} must have the columns id and value, not {found}")
    ids = rows["id"]
    if ids.dtype != pl.String:
        raise TypeError(f"ids must be String, and are {ids.dtype} in shard {shard.key!r}")
    if ids.null_count():
        row = ids.is_null().arg_max()
        raise ValueError(f"shard {shard.key!r} has no id in row {row}: each row needs one")
    return rows.select("id", "value")


def _name(shard: ShardRows) -> tuple[str, str]:
    return shard.key, shard.version
