"""Update the index in the folder argv[1] with argv[2] shards, and die at the first commit."""

import os
import signal
import sys
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex, ShardRows
from persona_assets.dedup.index.word_set_index import WordSetIndex


class DyingStore(ColumnStore):
    """Columns whose commit kills this process, when everything is appended."""

    def commit(self, state: Mapping[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def read_rows(key: str) -> pl.DataFrame:
    rows = [f"{key} {i}" for i in range(300)]
    return pl.DataFrame({"id": rows, "value": rows})


folder, shard_count = Path(sys.argv[1]), int(sys.argv[2])
shards = [ShardRows(key, "1", partial(read_rows, key)) for key in "vwxyz"[:shard_count]]
with DyingStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, "9/10 exact") as columns:
    items = WordSetIndex(columns, Fraction(9, 10), "exact", 1)
    ShardIndex(columns, items).update(shards)
