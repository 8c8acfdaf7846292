import subprocess
import sys
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex
from persona_assets.dedup.index.word_set_index import WordSetIndex
from persona_assets.dedup.lexical.lexical_join import Method
from persona_assets.dedup.lexical.minhash import SIZE
from persona_assets_tests.dedup.folders import empty_folder
from persona_assets_tests.dedup.hubs import (
    Parameters,
    assert_as_in_one_shot,
    opened,
    shard,
    some_texts,
    split,
)
from persona_assets_tests.dedup.texts import (
    HALF,
    METHODS,
    NINE_TENTHS,
    brute_force,
    texts_of_one_bitmap,
)


def test_known_sets_of_equal_bitmaps_are_told_apart() -> None:
    texts = texts_of_one_bitmap()
    shards = split([*texts[::2], *texts, *texts[::-1]], [100, 105, 300])
    with empty_folder() as folder, opened(folder, Parameters(HALF)) as index:
        for stop in range(1, 5):
            found = index.update(shards[:stop])
            assert_as_in_one_shot(found, shards[:stop], Parameters(HALF))
        assert len(np.unique(found.sets)) == len(texts)


def test_columns_hold_a_signature_of_each_set_for_minhash_alone() -> None:
    some = shard("a", ["a nurse", "nurse a", "a pilot", ""])
    for method in METHODS:
        with (
            empty_folder() as folder,
            ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, "") as columns,
        ):
            ShardIndex(columns, WordSetIndex(columns, NINE_TENTHS, method, 1)).update([some])
            expected = (3, SIZE) if method == "minhash" else (0, SIZE)
            assert columns["signatures"].shape == expected


@settings(deadline=None, max_examples=20)
@given(some_texts, st.sampled_from([NINE_TENTHS, HALF]), st.sampled_from(METHODS))
def test_the_sampled_recall_counts_the_true_pairs_of_sets(
    texts: list[str], threshold: Fraction, method: Method
) -> None:
    with (
        empty_folder() as folder,
        ColumnStore(folder, {**SHAPES, **WordSetIndex.SHAPES}, "") as columns,
    ):
        sets = WordSetIndex(columns, threshold, method, 1)
        found = ShardIndex(columns, sets).update(split(texts, [3]))
        clean = [text.encode(errors="replace").decode() for text in texts]
        first = np.unique(found.sets, return_index=True)[1]
        true = brute_force([clean[row] for row in sorted(first.tolist())], threshold)
        assert sets.sampled_recall(len(texts) + 1) == (len(found.edges), len(true))
        assert sets.sampled_recall(0) == (0, 0)
        if method == "exact":
            assert len(found.edges) == len(true)


def test_known_texts_are_not_read_beyond_their_end() -> None:
    """The last known text ends where a page does, and the next page cannot be read."""
    code = """
import ctypes, mmap, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.word_set_index import WordSetIndex

class AtTheEndOfAPage(ColumnStore):
    def __getitem__(self, name):
        values = super().__getitem__(name)
        if name != "text":
            return values
        end = -(-len(values) // mmap.PAGESIZE) * mmap.PAGESIZE
        pages = np.frombuffer(mmap.mmap(-1, end + mmap.PAGESIZE), np.uint8)
        pages[end - len(values) : end] = values
        behind = ctypes.c_void_p(pages.ctypes.data + end)
        assert ctypes.CDLL(None).mprotect(behind, mmap.PAGESIZE, 0) == 0
        pages.flags.writeable = False
        return pages[end - len(values) : end]

for extra in range(8):
    with AtTheEndOfAPage(Path(sys.argv[1]), WordSetIndex.SHAPES, str(extra)) as columns:
        sets = WordSetIndex(columns, Fraction(9, 10), "exact", 1)
        assert sets.add(["a retired nurse" + "x" * extra]).tolist() == [0]
        columns.commit({})
        assert sets.add(["x", "nurse" + "x" * extra + " retired a"]).tolist() == [1, 0]
"""
    with empty_folder() as folder:
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
