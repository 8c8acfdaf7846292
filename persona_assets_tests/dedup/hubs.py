"""Shards that are joined one after the other, and what that must come to: one join of all."""

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
class Parameters:
    threshold: Fraction = NINE_TENTHS
    method: Method = "exact"
    threads: int = 1


parameters = st.builds(
    Parameters,
    st.sampled_from([NINE_TENTHS, NINE_TENTHS, HALF, Fraction(3, 4), Fraction(1)]),
    st.sampled_from(METHODS),
    st.sampled_from([1, 2, 3]),
)

some_texts = related_texts() | st.lists(any_texts | st.sampled_from(HOSTILE), max_size=10)


def shard(
    key: str, texts: Sequence[str], version: str = "1", ids: Sequence[str] | None = None
) -> ShardRows:
    """A shard of rows whose ids tell where they come from, if no others are given."""
    ids = ids or [f"{key}/{version}/{row}" for row in range(len(texts))]
    # A lone surrogate cannot be in a table.
    values = [text.encode(errors="replace").decode() for text in texts]
    return ShardRows(key, version, lambda: pl.DataFrame({"id": ids, "value": values}, SCHEMA))


def unreadable(known: ShardRows) -> ShardRows:
    """The same shard, which can be known but not read."""

    def read() -> pl.DataFrame:
        raise OSError(f"shard {known.key} was read again")

    return ShardRows(known.key, known.version, read)


@contextmanager
def opened(folder: Path, chosen: Parameters) -> Iterator[ShardIndex]:
    made = f"{chosen.threshold} {chosen.method}"
    with ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, made) as columns:
        sets = WordSetIndex(columns, chosen.threshold, chosen.method, chosen.threads)
        yield ShardIndex(columns, sets)


Decided = tuple[list[int], list[float], list[Row]]
"""The survivor of each row, their similarity, and the pairs of the first rows of similar sets."""


def decided(found: JoinedRows) -> Decided:
    stay = choose_survivors(found.sets, found.edges)
    alive, first = np.unique(found.sets, return_index=True)
    row_of = dict(zip(alive.tolist(), first.tolist(), strict=True))
    pairs = [
        (*sorted((row_of[one], row_of[other])), similarity)
        for one, other, similarity in rows(found.edges)
        if one in row_of and other in row_of
    ]
    return stay.row.tolist(), stay.similarity.tolist(), sorted(pairs)


def in_one_shot(texts: Sequence[str], chosen: Parameters) -> Decided:
    join = lexical_join(texts, chosen.threshold, chosen.method)
    stay = choose_survivors(join.sets, join.edges)
    return stay.row.tolist(), stay.similarity.tolist(), rows(join.edges)


def assert_as_in_one_shot(
    found: JoinedRows, shards: Sequence[ShardRows], chosen: Parameters
) -> None:
    table = pl.concat([pl.DataFrame(schema=SCHEMA), *(shard.read() for shard in shards)])
    assert found.ids(np.arange(len(found.sets))).to_list() == table["id"].to_list()
    assert decided(found) == in_one_shot(table["value"].to_list(), chosen)


def split(texts: Sequence[str], cuts: Sequence[int]) -> list[ShardRows]:
    ends = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [texts[start:stop] for start, stop in itertools.pairwise(ends)]
    return [shard(f"s{number}", part) for number, part in enumerate(parts)]
