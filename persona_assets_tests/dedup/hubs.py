"""Shards of texts joined one after another, and their specification: a single join of all texts."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import strategies as st

from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.shard_index import SHAPES, JoinedRows, ShardIndex, ShardRows
from persona_assets.dedup.index.word_set_index import WordSetIndex
from persona_assets.dedup.lexical.lexical_join import Method, lexical_join
from persona_assets.dedup.survivors import choose_survivors
from persona_assets_tests.dedup.texts import (
    HALF,
    HOSTILE,
    METHODS,
    NINE_TENTHS,
    Row,
    any_texts,
    related_texts,
    rows,
)

SCHEMA = {"id": pl.String, "value": pl.String}


@dataclass(frozen=True)
class JoinOptions:
    threshold: Fraction = NINE_TENTHS
    method: Method = "exact"
    threads: int = 1


join_options = st.builds(
    JoinOptions,
    st.sampled_from([NINE_TENTHS, NINE_TENTHS, HALF, Fraction(3, 4), Fraction(1)]),
    st.sampled_from(METHODS),
    st.sampled_from([1, 2, 3]),
)

text_lists = related_texts() | st.lists(any_texts | st.sampled_from(HOSTILE), max_size=10)


def shard(
    key: str, texts: Sequence[str], version: str = "1", ids: Sequence[str] | None = None
) -> ShardRows:
    """Return a shard of texts; by default an id names the shard, the version and the row."""
    ids = ids or [f"{key}/{version}/{row}" for row in range(len(texts))]
    # A table cannot hold a lone surrogate.
    values = [text.encode(errors="replace").decode() for text in texts]
    return ShardRows(key, version, lambda: pl.DataFrame({"id": ids, "value": values}, SCHEMA))


def unreadable(known: ShardRows) -> ShardRows:
    """Return the same shard with a reader that fails."""

    def read() -> pl.DataFrame:
        raise OSError(f"shard {known.key} was read again")

    return ShardRows(known.key, known.version, read)


@contextmanager
def open_index(folder: Path, options: JoinOptions) -> Iterator[ShardIndex]:
    fingerprint = f"{options.threshold} {options.method}"
    with ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, fingerprint) as columns:
        sets = WordSetIndex(columns, options.threshold, options.method, options.threads)
        yield ShardIndex(columns, sets)


Outcome = tuple[list[int], list[float], list[Row]]
"""Survivor of each row, their similarity, and the pairs of the first rows of similar sets."""


def outcome(joined: JoinedRows) -> Outcome:
    survivors = choose_survivors(joined.sets, joined.edges)
    sets_with_rows, first = np.unique(joined.sets, return_index=True)
    row_of = dict(zip(sets_with_rows.tolist(), first.tolist(), strict=True))
    pairs = [
        (*sorted((row_of[left], row_of[right])), similarity)
        for left, right, similarity in rows(joined.edges)
        if left in row_of and right in row_of
    ]
    return survivors.row.tolist(), survivors.similarity.tolist(), sorted(pairs)


def single_join_outcome(texts: Sequence[str], options: JoinOptions) -> Outcome:
    join = lexical_join(texts, options.threshold, options.method)
    survivors = choose_survivors(join.sets, join.edges)
    return survivors.row.tolist(), survivors.similarity.tolist(), rows(join.edges)


def assert_equals_single_join(
    joined: JoinedRows, shards: Sequence[ShardRows], options: JoinOptions
) -> None:
    table = pl.concat([pl.DataFrame(schema=SCHEMA), *(shard.read() for shard in shards)])
    assert joined.ids(np.arange(len(joined.sets))).to_list() == table["id"].to_list()
    assert outcome(joined) == single_join_outcome(table["value"].to_list(), options)


def split_into_shards(texts: Sequence[str], cuts: Sequence[int]) -> list[ShardRows]:
    ends = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [texts[start:stop] for start, stop in itertools.pairwise(ends)]
    return [shard(f"s{number}", part) for number, part in enumerate(parts)]
