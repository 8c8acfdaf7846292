"""Specification of `ShardIndex` after failures: a failed or killed update leaves a valid index."""

import signal
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.index.shard_index import BATCH, SHAPES, ShardIndex, ShardRows
from persona_assets_tests.dedup.child_process import run_program
from persona_assets_tests.dedup.folders import empty_folder
from persona_assets_tests.dedup.hubs import (
    JoinOptions,
    assert_equals_single_join,
    open_index,
    shard,
    unreadable,
)


def test_shards_joined_before_a_failure_stay_known() -> None:
    one = shard("one", ["a nurse"])
    two, three = shard("two", ["nurse a", "a pilot"]), shard("three", ["a miner"])
    with empty_folder() as folder:
        with open_index(folder, JoinOptions()) as index:
            index.update([one])
            with pytest.raises(OSError, match="three was read"):
                index.update([one, two, unreadable(three)])
            assert_equals_single_join(index.update([one, two]), [one, two], JoinOptions())
        with open_index(folder, JoinOptions()) as index:
            known = [unreadable(one), unreadable(two), three]
            assert_equals_single_join(index.update(known), [one, two, three], JoinOptions())


class FailsAfterBatches:
    """Item index that gives each value an item of its own; batch number `good` fails at its end."""

    SHAPES: ClassVar[dict[str, Shape]] = {**SHAPES, "items": ("i8", ())}

    def __init__(self, columns: ColumnStore, good: int) -> None:
        self._columns = columns
        self._remaining = good

    def add(self, values: pl.Series) -> npt.NDArray[np.int64]:
        start = len(self._columns["items"])
        items = np.arange(start, start + len(values))
        self._columns.append("items", items)
        self._remaining -= 1
        if self._remaining == -1:
            raise ValueError("too many pairs")
        return items

    def edges(self) -> Edges:
        return Edges.from_pairs([], [], [])


def test_a_failed_batch_can_be_retried() -> None:
    one = shard("one", ["a nurse", "a pilot"])
    with empty_folder() as folder, ColumnStore(folder, FailsAfterBatches.SHAPES, "") as columns:
        index = ShardIndex(columns, FailsAfterBatches(columns, 0))
        with pytest.raises(ValueError, match="too many pairs"):
            index.update([one])
        assert index.update([one]).ids(np.arange(2)).to_list() == ["one/1/0", "one/1/1"]


def test_a_failed_batch_leaves_no_elements_even_if_the_columns_are_committed_later() -> None:
    one, two = shard("one", ["a nurse", "a pilot"]), shard("two", ["a miner"])

    def read_columns(columns: ColumnStore) -> list[list[int]]:
        return [columns[name].tolist() for name in FailsAfterBatches.SHAPES]

    with empty_folder() as folder:
        with ColumnStore(folder, FailsAfterBatches.SHAPES, "") as columns:
            index = ShardIndex(columns, FailsAfterBatches(columns, 1))
            index.update([one])
            before, state = read_columns(columns), columns.state
            assert before[-1] == [0, 1]
            with pytest.raises(ValueError, match="too many pairs") as raised:
                index.update([one, two])
            assert raised.value.__notes__ == ["in shards 'two' to 'two'"]
            assert (read_columns(columns), columns.state) == (before, state)
            columns.commit(columns.state)
            assert read_columns(columns) == before
        with ColumnStore(folder, FailsAfterBatches.SHAPES, "") as columns:
            assert (read_columns(columns), columns.state) == (before, state)


def table(**columns: Sequence[object]) -> ShardRows:
    return ShardRows("a", "1", lambda: pl.DataFrame(columns, strict=False))


NUMBERS = ShardRows("n", "1", lambda: pl.DataFrame({"id": ["n"], "value": [1]}))


@pytest.mark.parametrize(
    ("shards", "error", "message"),
    [
        ([table(id=["x", None], value=["", ""])], ValueError, "'a' has no id in row 1"),
        ([table(id=[1], value=["x"])], TypeError, "ids must be String, and are Int64 in shard 'a'"),
        ([table(id=[None], value=["x"])], TypeError, "are Null in shard 'a'"),
        ([table(value=["x"])], ValueError, "'a' must have the columns id and value, not value$"),
        ([table(id=["x"], value=["x"], more=[1])], ValueError, "not id, value, more$"),
        ([shard("b", ["x"]), NUMBERS], TypeError, "values are Int64 in shard 'n', String in 'b'"),
        ([NUMBERS], TypeError, "must be .* strings, not of int64\nin shards 'n' to 'n'"),
        ([shard("b", ["x"])] * 2, ValueError, "shard 'b' is given 2 times"),
        ([shard("b", ["x"]), shard("b", ["y"], "2")], ValueError, "shard 'b' is given 2 times"),
    ],
)
def test_an_update_with_invalid_shards_names_the_shard_and_keeps_the_index(
    shards: list[ShardRows], error: type[Exception], message: str
) -> None:
    known = shard("known", ["a nurse"])
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        index.update([known])
        with pytest.raises(error, match=message):
            index.update([unreadable(known), *shards])
        assert index.update([unreadable(known)]).ids(np.arange(1)).to_list() == ["known/1/0"]


def test_an_update_killed_before_its_commit_leaves_a_valid_index() -> None:
    shards = [shard("one", ["a nurse", "a pilot", "a miner"]), shard("two", ["nurse a"])]
    with empty_folder() as folder:
        with open_index(folder, JoinOptions()) as index:
            index.update(shards)
        # The program requests none of the known shards, so it rebuilds the index before it dies.
        assert run_program("update_and_die", folder, 2) == -signal.SIGKILL
        with open_index(folder, JoinOptions()) as index:
            assert_equals_single_join(index.update(shards), shards, JoinOptions())


def test_a_full_batch_is_committed_before_a_later_shard_fails() -> None:
    many = pl.select(id=pl.int_range(BATCH).cast(pl.String), value=pl.repeat("a nurse", BATCH))
    large, small = ShardRows("large", "1", lambda: many), shard("small", ["nurse a", "a pilot"])
    with empty_folder() as folder:
        with (
            open_index(folder, JoinOptions(threads=2)) as index,
            pytest.raises(OSError, match="small was read"),
        ):
            index.update([large, unreadable(small)])
        with open_index(folder, JoinOptions(threads=2)) as index:
            joined = index.update([unreadable(large), small])
            assert joined.added == 2
            assert joined.sets.tolist() == [*[0] * BATCH, 0, 1]
            assert joined.ids(np.array([7, BATCH - 1, BATCH])).to_list() == [
                "7", str(BATCH - 1), "small/1/0",
            ]  # fmt: skip
