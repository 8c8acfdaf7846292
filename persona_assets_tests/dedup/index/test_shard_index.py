"""Specification of `ShardIndex`: any history of shards gives the result of a single join of all."""

import itertools
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.index.shard_index import ShardRows
from persona_assets.dedup.lexical.lexical_join import Method
from persona_assets.dedup.survivors import choose_survivors
from persona_assets_tests.dedup.folders import empty_folder
from persona_assets_tests.dedup.hubs import (
    SCHEMA,
    JoinOptions,
    assert_equals_single_join,
    join_options,
    open_index,
    outcome,
    shard,
    split_into_shards,
    text_lists,
    unreadable,
)
from persona_assets_tests.dedup.texts import HALF, HOSTILE, METHODS, NINE_TENTHS


@settings(deadline=None, max_examples=50)
@given(text_lists, st.lists(st.integers(0, 16), max_size=4), join_options, st.data())
def test_updates_equal_a_single_join_for_any_split_order_and_threads(
    texts: list[str], cuts: list[int], options: JoinOptions, data: st.DataObject
) -> None:
    shards = split_into_shards(texts, cuts)
    arrival = data.draw(st.permutations(shards))
    stop = 0
    with empty_folder() as folder, open_index(folder, options) as index:
        while stop < len(arrival):
            stop = data.draw(st.integers(stop + 1, len(arrival)))
            assert_equals_single_join(index.update(arrival[:stop]), arrival[:stop], options)
        joined = index.update(shards)
        assert joined.added == 0
        assert_equals_single_join(joined, shards, options)


@settings(deadline=None, max_examples=50)
@given(st.lists(text_lists, min_size=4, max_size=4), join_options, st.data())
def test_updates_equal_a_single_join_while_shards_appear_change_and_disappear(
    versions: list[list[str]], options: JoinOptions, data: st.DataObject
) -> None:
    """Shards "a" and "b" have two versions each; shard "fixed" does not change."""
    a, b, c, d = versions
    of_a, of_b = [shard("a", a), shard("a", b, "2")], [shard("b", c), shard("b", d, "2")]
    steps = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=5)
    with empty_folder() as folder:
        for first, second, reverse in data.draw(steps):
            shards = [shard("fixed", a[:1] + d[:1])]
            shards += [*of_a[first : first + 1], *of_b[second : second + 1]]
            if reverse:
                shards.reverse()
            # Each update is a run of its own, with any number of threads.
            threads = data.draw(st.sampled_from([1, 2]))
            options = JoinOptions(options.threshold, options.method, threads)
            with open_index(folder, options) as index:
                assert_equals_single_join(index.update(shards), shards, options)


@settings(deadline=None, max_examples=20)
@given(text_lists, text_lists, join_options)
def test_an_appended_shard_changes_no_earlier_decision(
    old: list[str], new: list[str], options: JoinOptions
) -> None:
    with empty_folder() as folder, open_index(folder, options) as index:
        before, similarity, _ = outcome(index.update([shard("old", old)]))
        after, later_similarity, _ = outcome(index.update([shard("old", old), shard("new", new)]))
    assert after[: len(old)] == before
    assert later_similarity[: len(old)] == similarity


@settings(deadline=None, max_examples=30)
@given(text_lists, st.lists(st.integers(0, 16), max_size=4), join_options, st.randoms())
def test_survivors_by_rank_of_id_do_not_depend_on_the_order_of_rows(
    texts: list[str], cuts: list[int], options: JoinOptions, random: Any
) -> None:
    def survivor_by_id(order: list[int], cuts: list[int]) -> dict[str, tuple[str, float]]:
        ends = [0, *sorted(min(cut, len(order)) for cut in cuts), len(order)]
        parts = [order[start:stop] for start, stop in itertools.pairwise(ends)]
        shards = [
            shard(str(number), [texts[row] for row in part], ids=[f"p{row:02}" for row in part])
            for number, part in enumerate(parts)
        ]
        random.shuffle(shards)
        with empty_folder() as folder, open_index(folder, options) as index:
            for stop in range(1, len(shards) + 1):
                joined = index.update(shards[:stop])
        ids = joined.ids(np.arange(len(joined.sets)))
        survivors = choose_survivors(joined.sets, joined.edges, ids.rank("ordinal").to_numpy())
        similarity = survivors.similarity.tolist()
        return dict(zip(ids, zip(joined.ids(survivors.row), similarity, strict=True), strict=True))

    order = list(range(len(texts)))
    original = survivor_by_id(order, cuts)
    random.shuffle(order)
    assert survivor_by_id(order, [5]) == original


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threshold", [NINE_TENTHS, HALF])
def test_hostile_texts_in_shards_of_a_row_equal_a_single_join(
    method: Method, threshold: Fraction
) -> None:
    options = JoinOptions(threshold, method)
    shards = [shard(f"{number:02}", [text]) for number, text in enumerate(HOSTILE * 2)]
    with empty_folder() as folder:
        for stop in range(1, len(shards) + 1):
            if stop % 3:
                with open_index(folder, options) as index:
                    joined = index.update(shards[:stop])
        assert_equals_single_join(joined, shards[:stop], options)


def variants(count: int) -> list[str]:
    """Return texts that are similar to some of the others, and equal to a few."""
    rng = random.Random(4)
    bases = [[f"v{rng.randrange(900)}" for _ in range(rng.randrange(1, 45))] for _ in range(40)]
    texts: list[str] = []
    for i in range(count):
        base = rng.choice(bases)
        selected = rng.sample(base, max(0, len(base) - rng.choice([0, 0, 1, 2, 4])))
        texts.append(" ".join(selected + [f"n{i}x{k}" for k in range(rng.choice([0, 0, 0, 1, 2]))]))
    return texts


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threshold", [NINE_TENTHS, Fraction(3, 4), HALF])
def test_later_shards_match_the_texts_of_earlier_shards(
    method: Method, threshold: Fraction
) -> None:
    options = JoinOptions(threshold, method, threads=2)
    texts = variants(500)
    # Some shards begin with a known text, some with a new text.
    texts[100] = texts[101] = texts[350] = texts[0]
    shards = split_into_shards(texts, [100, 101, 200, 350, 420])
    with empty_folder() as folder, open_index(folder, options) as index:
        for stop in range(1, len(shards) + 1):
            joined = index.update(shards[:stop])
            assert_equals_single_join(joined, shards[:stop], options)
        assert len(joined.edges) > 300
        assert_equals_single_join(index.update(shards[::-1]), shards[::-1], options)


@settings(deadline=None, max_examples=20)
@given(text_lists, join_options)
def test_a_known_shard_is_not_read_again(texts: list[str], options: JoinOptions) -> None:
    one, two = shard("one", texts), shard("two", texts[::2])
    with empty_folder() as folder:
        with open_index(folder, options) as index:
            assert index.update([one]).added == len(texts)
            assert index.update([unreadable(one), two]).added == len(texts[::2])
        with open_index(folder, options) as index:
            joined = index.update([unreadable(two), unreadable(one)])
            assert joined.added == 0
            assert_equals_single_join(joined, [two, one], options)


def test_a_version_that_returns_is_not_read_again() -> None:
    old, new = shard("a", ["a retired nurse"]), shard("a", ["a nurse"], "2")
    other = shard("b", ["nurse retired a", "a pilot", "a miner"])
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        index.update([old, other])
        assert_equals_single_join(index.update([new, other]), [new, other], JoinOptions())
        again = [unreadable(old), unreadable(other)]
        assert_equals_single_join(index.update(again), [old, other], JoinOptions())


def total_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.bin"))


def test_the_index_is_rebuilt_when_most_rows_belong_to_removed_shards() -> None:
    large, small = shard("large", [f"a miner {i}" for i in range(500)]), shard("small", ["a nurse"])
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        index.update([large])
        size = total_size(folder)
        assert index.update([large, small]).added == 1
        joined = index.update([small])
        assert joined.added == 1
        assert_equals_single_join(joined, [small], JoinOptions())
        assert total_size(folder) < size / 10


def test_a_result_stays_valid_when_the_index_is_rebuilt() -> None:
    one, other = shard("aaaaa", ["a nurse", "a miner"]), shard("bbbbb", ["a pilot", "a poet"])
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        joined = index.update([one])
        index.update([other])
        assert_equals_single_join(joined, [one], JoinOptions())


def test_updates_accept_no_shards_and_shards_without_rows() -> None:
    empty = shard("empty", [])
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        assert outcome(index.update([])) == ([], [], [])
        assert outcome(index.update([empty])) == ([], [], [])
        assert index.update([unreadable(empty)]).added == 0
        shards = [shard("a", ["x"]), unreadable(empty), shard("b", []), shard("c", ["y", "x"])]
        readable = [shards[0], empty, *shards[2:]]
        assert_equals_single_join(index.update(shards), readable, JoinOptions())
        assert outcome(index.update([])) == ([], [], [])


@pytest.mark.parametrize("method", METHODS)
def test_an_index_may_begin_with_a_shard_without_rows(method: Method) -> None:
    options = JoinOptions(method=method)
    shards = [shard("empty", []), shard("a", ["a nurse", "a pilot"]), shard("b", ["nurse a", "a"])]
    with empty_folder() as folder, open_index(folder, options) as index:
        for stop in (1, 2, 3):
            assert_equals_single_join(index.update(shards[:stop]), shards[:stop], options)


def test_ids_of_any_characters_are_returned_unchanged() -> None:
    ids = ["", "a", "退休", "", "🙂", "a"]
    values = ["x", "y", "z", "x", "", "w"]
    table = pl.DataFrame({"id": ids, "value": values}, SCHEMA)
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        joined = index.update(
            [ShardRows("a", "1", lambda: table), ShardRows("b", "1", lambda: table[1:3])]
        )
        assert joined.ids(np.arange(8)).to_list() == [*ids, "a", "退休"]
        assert joined.ids(np.array([2, 0, 2])).to_list() == ["退休", "", "退休"]
        assert joined.ids(np.empty(0, np.int64)).to_list() == []


def test_ids_may_all_be_empty() -> None:
    shards = [shard("a", ["x", "y"], ids=["", ""]), shard("b", ["z"], ids=[""])]
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        for stop in (1, 2):
            assert_equals_single_join(index.update(shards[:stop]), shards[:stop], JoinOptions())


def test_rows_without_a_text_have_no_words() -> None:
    table = pl.DataFrame({"id": ["a", "b", "c"], "value": [None, "a nurse", "..."]}, SCHEMA)
    with empty_folder() as folder, open_index(folder, JoinOptions()) as index:
        joined = index.update([ShardRows("a", "1", lambda: table)])
        assert outcome(joined) == ([0, 1, 0], [1, 1, 1], [])
