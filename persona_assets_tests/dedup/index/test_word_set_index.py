"""Specification of `WordSetIndex`: distinct sets, stored signatures, recall and memory safety."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex
from persona_assets.dedup.index.word_set_index import WordSetIndex
from persona_assets.dedup.lexical.lexical_join import Method
from persona_assets.dedup.lexical.minhash import SIZE
from persona_assets_tests.dedup.child_process import run_program
from persona_assets_tests.dedup.folders import empty_folder
from persona_assets_tests.dedup.hubs import (
    JoinOptions,
    assert_equals_single_join,
    open_index,
    shard,
    split_into_shards,
    text_lists,
)
from persona_assets_tests.dedup.texts import (
    HALF,
    METHODS,
    NINE_TENTHS,
    brute_force,
    texts_of_one_bitmap,
)


def test_different_sets_with_equal_bitmaps_stay_different() -> None:
    texts = texts_of_one_bitmap()
    shards = split_into_shards([*texts[::2], *texts, *texts[::-1]], [100, 105, 300])
    with empty_folder() as folder, open_index(folder, JoinOptions(HALF)) as index:
        for stop in range(1, 5):
            joined = index.update(shards[:stop])
            assert_equals_single_join(joined, shards[:stop], JoinOptions(HALF))
        assert len(np.unique(joined.sets)) == len(texts)


def test_signatures_are_stored_for_minhash_only() -> None:
    repeated = shard("a", ["a nurse", "nurse a", "a pilot", ""])
    for method in METHODS:
        with (
            empty_folder() as folder,
            ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, "") as columns,
        ):
            ShardIndex(columns, WordSetIndex(columns, NINE_TENTHS, method, 1)).update([repeated])
            expected = (3, SIZE) if method == "minhash" else (0, SIZE)
            assert columns["signatures"].shape == expected


@settings(deadline=None, max_examples=20)
@given(text_lists, st.sampled_from([NINE_TENTHS, HALF]), st.sampled_from(METHODS))
def test_sampled_recall_counts_the_true_pairs_of_sets(
    texts: list[str], threshold: Fraction, method: Method
) -> None:
    with (
        empty_folder() as folder,
        ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, "") as columns,
    ):
        sets = WordSetIndex(columns, threshold, method, 1)
        joined = ShardIndex(columns, sets).update(split_into_shards(texts, [3]))
        valid_texts = [text.encode(errors="replace").decode() for text in texts]
        first = np.unique(joined.sets, return_index=True)[1]
        true_pairs = brute_force([valid_texts[row] for row in sorted(first.tolist())], threshold)
        assert sets.sampled_recall(len(texts) + 1) == (len(joined.edges), len(true_pairs))
        assert sets.sampled_recall(0) == (0, 0)
        if method == "exact":
            assert len(joined.edges) == len(true_pairs)


def test_known_texts_are_not_read_beyond_their_end() -> None:
    with empty_folder() as folder:
        assert run_program("text_at_page_end", folder) == 0
