"""Incremental join over shards that arrive one after another.

    with ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, fingerprint) as columns:
        index = ShardIndex(columns, WordSetIndex(columns, threshold, "exact", threads))
        joined = index.update(shards)         # joins new shards with all shards, each pair once
        survivors = choose_survivors(joined.sets, joined.edges)

A shard is identified by its key and version, for example its data version. A shard that is removed
or has a new version leaves its word sets or vectors behind, as items without rows.
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
"""Approximate number of rows joined at a time; joined batches are kept if a later batch fails."""

WASTE = 2
"""Ratio of stored rows to rows of requested shards above which the index is rebuilt."""

SHAPES: dict[str, Shape] = {
    "row_items": ("i8", ()),
    "ids": ("u1", ()),
    "id_offsets": ("i8", ()),
}
"""Columns of the rows: item of each row, and ids as UTF-8 bytes with offsets."""


class ItemIndex(Protocol):
    """Index of distinct values: `WordSetIndex` or `VectorIndex`."""

    def add(self, values: pl.Series) -> npt.NDArray[np.int64]:
        """Return the item of each value, after joining new items with all items."""

    def edges(self) -> Edges:
        """Return the pairs of near-duplicate items."""


@dataclass(frozen=True)
class ShardRows:
    """Rows of a shard, read on demand.

    Args:
        key: Key of the shard.
        version: Version of the rows; rows of a known key and version are not read again.
        read: Function that returns columns `id` (String, no null) and `value`.
    """

    key: str
    version: str
    read: Callable[[], pl.DataFrame]


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """Joined rows of the requested shards, in the order of the request.

    Args:
        sets: Item of each row, int64, shape (n,).
        edges: Pairs of near-duplicate items.
        added: Number of rows that this update joined.
        places: Position of each row's id in `stored_ids`, int64, shape (n,).
        stored_ids: Ids of all stored rows.
    """

    sets: npt.NDArray[np.int64]
    edges: Edges
    added: int
    places: npt.NDArray[np.int64]
    stored_ids: pa.Array

    def ids(self, rows: npt.NDArray[np.int64]) -> pl.Series:
        """Return the ids of the given rows."""
        chosen = self.stored_ids.take(pa.array(self.places[rows]))
        return pl.Series("id", chosen, pl.String)


class ShardIndex:
    """Incremental index of shards.

    Args:
        columns: Opened columns, which include `SHAPES` and those of `items`.
        items: Index of the distinct values, over the same columns.
    """

    def __init__(self, columns: ColumnStore, items: ItemIndex) -> None:
        self._columns = columns
        self._items = items

    def update(self, shards: Sequence[ShardRows]) -> JoinedRows:
        """Join the new shards with all stored rows, and return the joined rows of all given shards.

        A batch that fails leaves no trace. Shards that are stored but not given take no part in the
        result.

        Args:
            shards: All shards of the result, in the order of its rows.

        Raises:
            TypeError, ValueError: A shard is given twice, its rows are not as `ShardRows` describes
                them, or the item index rejects its values. The error names the shard or the batch.
        """
        for key, times in Counter(shard.key for shard in shards).items():
            if times > 1:
                raise ValueError(f"shard {key!r} is given {times} times: it takes part once")
        if len(self._columns["row_items"]) > WASTE * self._stored_rows(shards):
            self._columns.clear()
        before = len(self._columns["row_items"])
        known = self._known_ranges()
        for batch in self._batches([shard for shard in shards if _identity(shard) not in known]):
            self._join(batch)
        known = self._known_ranges()
        ranges = [np.arange(*known[_identity(shard)]) for shard in shards]
        places = np.concatenate([np.empty(0, np.int64), *ranges])
        return JoinedRows(
            sets=self._columns["row_items"][places],
            edges=self._items.edges(),
            added=len(self._columns["row_items"]) - before,
            places=places,
            stored_ids=self._ids(),
        )

    def _join(self, batch: Sequence[tuple[ShardRows, pl.DataFrame]]) -> None:
        """Join a batch of new shards, and commit it."""
        columns, known = self._columns, self._known_ranges()
        start = len(columns["row_items"])
        for shard, frame in batch:
            known[_identity(shard)] = (start, start + len(frame))
            start += len(frame)
        try:
            self._append(pl.concat([frame for _, frame in batch]))
            columns.commit({"shards": [[*identity, *bounds] for identity, bounds in known.items()]})
        except (TypeError, ValueError) as error:
            error.add_note(f"in shards {batch[0][0].key!r} to {batch[-1][0].key!r}")
            raise
        finally:
            columns.rollback()

    def _append(self, rows: pl.DataFrame) -> None:
        """Append the items and ids of rows."""
        columns = self._columns
        data, offsets = utf8_buffers(rows["id"])
        end = len(columns["ids"])
        if not len(columns["id_offsets"]):
            columns.append("id_offsets", np.zeros(1, np.int64))
        columns.append("row_items", self._items.add(rows["value"]))
        columns.append("ids", data[offsets[0] : offsets[-1]])
        columns.append("id_offsets", offsets[1:] - offsets[0] + end)

    def _batches(self, new: Sequence[ShardRows]) -> Iterator[list[tuple[ShardRows, pl.DataFrame]]]:
        """Read the new shards, and yield them in batches of at least `BATCH` rows."""
        batch: list[tuple[ShardRows, pl.DataFrame]] = []
        for shard in new:
            rows = _read_rows(shard)
            if batch and rows.schema != batch[0][1].schema:
                dtype, first_dtype = rows["value"].dtype, batch[0][1]["value"].dtype
                raise TypeError(
                    f"values are {dtype} in shard {shard.key!r}, "
                    f"{first_dtype} in {batch[0][0].key!r}"
                )
            batch.append((shard, rows))
            if sum(len(frame) for _, frame in batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _known_ranges(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return the range of stored rows by key and version of the shard."""
        entries = self._columns.state.get("shards", [])
        return {(key, version): (start, stop) for key, version, start, stop in entries}

    def _stored_rows(self, shards: Sequence[ShardRows]) -> int:
        """Return the number of stored rows of the given shards."""
        known = self._known_ranges()
        ranges = [known[_identity(shard)] for shard in shards if _identity(shard) in known]
        return sum(stop - start for start, stop in ranges)

    def _ids(self) -> pa.Array:
        """Return the ids of all stored rows as an Arrow array, without a copy."""
        data, offsets = self._columns["ids"], self._columns["id_offsets"]
        count = max(len(offsets) - 1, 0)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(pa.large_string(), count, buffers)


def _read_rows(shard: ShardRows) -> pl.DataFrame:
    """Read the rows of a shard, and check their columns and ids."""
    rows = shard.read()
    if set(rows.columns) != {"id", "value"}:
        columns = ", ".join(rows.columns)
        raise ValueError(f"shard {shard.key!r} must have the columns id and value, not {columns}")
    ids = rows["id"]
    if ids.dtype != pl.String:
        raise TypeError(f"ids must be String, and are {ids.dtype} in shard {shard.key!r}")
    if ids.null_count():
        row = ids.is_null().arg_max()
        raise ValueError(f"shard {shard.key!r} has no id in row {row}: each row needs one")
    return rows.select("id", "value")


def _identity(shard: ShardRows) -> tuple[str, str]:
    return shard.key, shard.version
