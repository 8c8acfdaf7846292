"""Near-duplicates over shards that come one after the other, and what is remembered of them.

    with Columns(folder, {**SHAPES, **WordSets.SHAPES}, parameters) as columns:
        index = Index(columns, WordSets(columns, threshold, "exact", threads))
        found = index.update(shards)          # joins the new shards with all, and nothing twice
        stay = survivors(found.sets, found.edges)

A shard is known by its key and version (its data version, say). A shard that is gone or has another
version leaves its word sets or vectors behind, as items that no row belongs to.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from persona_assets.dedup.columns import Columns, Shape
from persona_assets.dedup.survivors import Edges

BATCH = 1 << 20
"""Rows that are joined at a time, about; what is done is kept if the next batch fails."""

WASTE = 2
"""All is made anew when more than half of the rows are of shards that are gone."""

SHAPES: dict[str, Shape] = {
    "row_items": ("i8", ()),
    "ids": ("u1", ()),
    "id_offsets": ("i8", ()),
}


class Items(Protocol):
    """What rows are joined by: `word_sets.WordSets` or `cosine.Vectors`."""

    def add(self, values: pl.Series) -> npt.NDArray[np.int64]:
        """The item of each value; new items are joined with all."""

    def edges(self) -> Edges:
        """The pairs of items that are near-duplicates."""


@dataclass(frozen=True)
class Shard:
    """One shard's rows, read when they are needed: columns `id` (string) and `value`."""

    key: str
    version: str
    read: Callable[[], pl.DataFrame]


@dataclass(frozen=True, eq=False)
class Found:
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


class Index:
    """Shards whose rows were joined, over opened columns of `SHAPES` and those of the items."""

    def __init__(self, columns: Columns, items: Items) -> None:
        self._columns = columns
        self._items = items

    def update(self, shards: Sequence[Shard]) -> Found:
        """Joins what is new among `shards`; the result is about these and no others."""
        if len(self._columns["row_items"]) > WASTE * self._alive(shards):
            self._columns.clear()
        before = len(self._columns["row_items"])
        known = self._known()
        for batch in self._batches([shard for shard in shards if _name(shard) not in known]):
            self._join(batch)
        known = self._known()
        ranges = [np.arange(*known[_name(shard)]) for shard in shards]
        places = np.concatenate([np.empty(0, np.int64), *ranges])
        return Found(
            sets=self._columns["row_items"][places],
            edges=self._items.edges(),
            added=len(self._columns["row_items"]) - before,
            places=places,
            stored_ids=self._ids(),
        )

    def _join(self, batch: Sequence[tuple[Shard, pl.DataFrame]]) -> None:
        columns, known = self._columns, self._known()
        columns.rollback()
        rows = pl.concat([frame for _, frame in batch])
        ids = rows["id"].to_arrow().cast(pa.large_string())
        _, offsets, data = ids.buffers()
        end = len(columns["ids"])
        if not len(columns["id_offsets"]):
            columns.append("id_offsets", np.zeros(1, np.int64))
        columns.append("row_items", self._items.add(rows["value"]))
        bounds = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
        columns.append("ids", np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]])
        columns.append("id_offsets", bounds[1:] - bounds[0] + end)
        at = len(columns["row_items"])
        for shard, frame in batch:
            known[_name(shard)] = (at, at + len(frame))
            at += len(frame)
        columns.commit({"shards": [[*name, *place] for name, place in known.items()]})

    def _batches(self, new: Sequence[Shard]) -> Iterator[list[tuple[Shard, pl.DataFrame]]]:
        batch: list[tuple[Shard, pl.DataFrame]] = []
        for shard in new:
            batch.append((shard, shard.read().select("id", "value")))
            if sum(len(frame) for _, frame in batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _known(self) -> dict[tuple[str, str], tuple[int, int]]:
        listed = self._columns.state.get("shards", [])
        return {(key, version): (start, stop) for key, version, start, stop in listed}

    def _alive(self, shards: Sequence[Shard]) -> int:
        known = self._known()
        places = [known[_name(shard)] for shard in shards if _name(shard) in known]
        return sum(stop - start for start, stop in places)

    def _ids(self) -> pa.Array:
        data, offsets = self._columns["ids"], self._columns["id_offsets"]
        count = max(len(offsets) - 1, 0)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(pa.large_string(), count, buffers)


def _name(shard: Shard) -> tuple[str, str]:
    return shard.key, shard.version
