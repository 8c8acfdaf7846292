import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.index.column_store import ColumnStore, Shape
from persona_assets.dedup.index.shard_index import BATCH, SHAPES, ShardIndex, ShardRows
from persona_assets_tests.dedup.folders import empty_folder
from persona_assets_tests.dedup.hubs import (
    Parameters,
    assert_as_in_one_shot,
    opened,
    shard,
    unreadable,
)


def test_what_was_joined_before_a_failure_stays_known() -> None:
    one = shard("one", ["a nurse"])
    two, three = shard("two", ["nurse a", "a pilot"]), shard("three", ["a miner"])
    with empty_folder() as folder:
        with opened(folder, Parameters()) as index:
            index.update([one])
            with pytest.raises(OSError, match="three was read"):
                index.update([one, two, unreadable(three)])
            assert_as_in_one_shot(index.update([one, two]), [one, two], Parameters())
        with opened(folder, Parameters()) as index:
            known = [unreadable(one), unreadable(two), three]
            assert_as_in_one_shot(index.update(known), [one, two, three], Parameters())


class FailingOnce:
    """Items of their own for each value, counted in a column; one batch fails behind that."""

    SHAPES: ClassVar[dict[str, Shape]] = {**SHAPES, "items": ("i8", ())}

    def __init__(self, columns: ColumnStore, good: int) -> None:
        self._columns = columns
        self._left = good

    def add(self, values: pl.Series) -> npt.NDArray[np.int64]:
        start = len(self._columns["items"])
        added = np.arange(start, start + len(values))
        self._columns.append("items", added)
        self._left -= 1
        if self._left == -1:
            raise ValueError("too many pairs")
        return added

    def edges(self) -> Edges:
        return Edges.from_pairs([], [], [])


def test_a_batch_that_fails_can_be_tried_again() -> None:
    one = shard("one", ["a nurse", "a pilot"])
    with empty_folder() as folder, ColumnStore(folder, FailingOnce.SHAPES, "") as columns:
        index = ShardIndex(columns, FailingOnce(columns, 0))
        with pytest.raises(ValueError, match="too many pairs"):
            index.update([one])
        assert index.update([one]).ids(np.arange(2)).to_list() == ["one/1/0", "one/1/1"]


def test_of_a_batch_that_fails_half_way_nothing_counts() -> None:
    """Not even if what is done next is committed by others."""
    one, two = shard("one", ["a nurse", "a pilot"]), shard("two", ["a miner"])

    def held(columns: ColumnStore) -> list[list[int]]:
        return [columns[name].tolist() for name in FailingOnce.SHAPES]

    with empty_folder() as folder:
        with ColumnStore(folder, FailingOnce.SHAPES, "") as columns:
            index = ShardIndex(columns, FailingOnce(columns, 1))
            index.update([one])
            before, state = held(columns), columns.state
            assert before[-1] == [0, 1]
            with pytest.raises(ValueError, match="too many pairs") as raised:
                index.update([one, two])
            assert raised.value.__notes__ == ["in shards 'two' to 'two'"]
            assert (held(columns), columns.state) == (before, state)
            columns.commit(columns.state)
            assert held(columns) == before
        with ColumnStore(folder, FailingOnce.SHAPES, "") as columns:
            assert (held(columns), columns.state) == (before, state)


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
def test_shards_that_are_not_as_they_must_be_are_named(
    shards: list[ShardRows], error: type[Exception], message: str
) -> None:
    good = shard("good", ["a nurse"])
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        index.update([good])
        with pytest.raises(error, match=message):
            index.update([unreadable(good), *shards])
        assert index.update([unreadable(good)]).ids(np.arange(1)).to_list() == ["good/1/0"]


def killed(folder: Path, shards: int) -> None:
    """An update that is killed when it has appended all and committed nothing."""
    code = """
import os, signal, sys
from fractions import Fraction
from pathlib import Path
import polars as pl
from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex, ShardRows
from persona_assets.dedup.index.word_set_index import WordSetIndex

class Killed(ColumnStore):
    def commit(self, state):
        os.kill(os.getpid(), signal.SIGKILL)

def read(key):
    rows = [f"{key} {i}" for i in range(300)]
    return pl.DataFrame({"id": rows, "value": rows})

folder, count = Path(sys.argv[1]), int(sys.argv[2])
with Killed(folder, {**SHAPES, **WordSetIndex.SHAPES}, "9/10 exact") as columns:
    index = ShardIndex(columns, WordSetIndex(columns, Fraction(9, 10), "exact", 1))
    index.update([ShardRows(key, "1", lambda key=key: read(key)) for key in "vwxyz"[:count]])
"""
    arguments = [sys.executable, "-c", code, str(folder), str(shards)]
    assert subprocess.run(arguments, check=False).returncode == -9


def test_a_killed_update_leaves_what_was_known_or_nothing() -> None:
    shards = [shard("one", ["a nurse", "a pilot", "a miner"]), shard("two", ["nurse a"])]
    with empty_folder() as folder:
        with opened(folder, Parameters()) as index:
            index.update(shards)
        # None of the known shards is asked for: all is made anew, and lost on the way.
        killed(folder, 2)
        with opened(folder, Parameters()) as index:
            assert_as_in_one_shot(index.update(shards), shards, Parameters())


def test_more_rows_than_are_joined_at_a_time() -> None:
    """What comes before a failure is committed and stays known, though not asked for again."""
    many = pl.select(id=pl.int_range(BATCH).cast(pl.String), value=pl.repeat("a nurse", BATCH))
    large, small = ShardRows("large", "1", lambda: many), shard("small", ["nurse a", "a pilot"])
    with empty_folder() as folder:
        with (
            opened(folder, Parameters(threads=2)) as index,
            pytest.raises(OSError, match="small was read"),
        ):
            index.update([large, unreadable(small)])
        with opened(folder, Parameters(threads=2)) as index:
            found = index.update([unreadable(large), small])
            assert found.added == 2
            assert found.sets.tolist() == [*[0] * BATCH, 0, 1]
            assert found.ids(np.array([7, BATCH - 1, BATCH])).to_list() == [
                "7", str(BATCH - 1), "small/1/0",
            ]  # fmt: skip
