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
    Parameters,
    assert_as_in_one_shot,
    decided,
    opened,
    parameters,
    shard,
    some_texts,
    split,
    unreadable,
)
from persona_assets_tests.dedup.texts import HALF, HOSTILE, METHODS, NINE_TENTHS


@settings(deadline=None, max_examples=50)
@given(some_texts, st.lists(st.integers(0, 16), max_size=4), parameters, st.data())
def test_any_split_any_order_of_updates_and_any_threads_decide_the_same(
    texts: list[str], cuts: list[int], chosen: Parameters, data: st.DataObject
) -> None:
    shards = split(texts, cuts)
    arrival = data.draw(st.permutations(shards))
    stop = 0
    with empty_folder() as folder, opened(folder, chosen) as index:
        while stop < len(arrival):
            stop = data.draw(st.integers(stop + 1, len(arrival)))
            assert_as_in_one_shot(index.update(arrival[:stop]), arrival[:stop], chosen)
        found = index.update(shards)
        assert found.added == 0
        assert_as_in_one_shot(found, shards, chosen)


@settings(deadline=None, max_examples=50)
@given(st.lists(some_texts, min_size=4, max_size=4), parameters, st.data())
def test_shards_that_come_change_and_go_leave_nothing_behind(
    versions: list[list[str]], chosen: Parameters, data: st.DataObject
) -> None:
    """Two shards of two versions each, and one that does not change."""
    a, b, c, d = versions
    a_or_b = [shard("a", a), shard("a", b, "2")], [shard("b", c), shard("b", d, "2")]
    steps = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=5)
    with empty_folder() as folder:
        for first, second, turned in data.draw(steps):
            shards = [shard("fixed", a[:1] + d[:1])]
            shards += [*a_or_b[0][first : first + 1], *a_or_b[1][second : second + 1]]
            if turned:
                shards.reverse()
            # Opened anew each time, by any number of threads.
            threads = data.draw(st.sampled_from([1, 2]))
            now = Parameters(chosen.threshold, chosen.method, threads)
            with opened(folder, now) as index:
                assert_as_in_one_shot(index.update(shards), shards, chosen)


@settings(deadline=None, max_examples=20)
@given(some_texts, some_texts, parameters)
def test_appending_a_shard_changes_no_earlier_decision(
    old: list[str], new: list[str], chosen: Parameters
) -> None:
    with empty_folder() as folder, opened(folder, chosen) as index:
        before, likeness, _ = decided(index.update([shard("old", old)]))
        after, later_likeness, _ = decided(index.update([shard("old", old), shard("new", new)]))
    assert after[: len(old)] == before
    assert later_likeness[: len(old)] == likeness


@settings(deadline=None, max_examples=30)
@given(some_texts, st.lists(st.integers(0, 16), max_size=4), parameters, st.randoms())
def test_by_the_rank_of_their_ids_rows_survive_in_whatever_order_they_come(
    texts: list[str], cuts: list[int], chosen: Parameters, random: Any
) -> None:
    def surviving(order: list[int], cuts: list[int]) -> dict[str, tuple[str, float]]:
        ends = [0, *sorted(min(cut, len(order)) for cut in cuts), len(order)]
        parts = [order[start:stop] for start, stop in itertools.pairwise(ends)]
        shards = [
            shard(str(number), [texts[row] for row in part], ids=[f"p{row:02}" for row in part])
            for number, part in enumerate(parts)
        ]
        random.shuffle(shards)
        with empty_folder() as folder, opened(folder, chosen) as index:
            for stop in range(1, len(shards) + 1):
                found = index.update(shards[:stop])
        ids = found.ids(np.arange(len(found.sets)))
        stay = choose_survivors(found.sets, found.edges, ids.rank("ordinal").to_numpy())
        survivor = found.ids(stay.row)
        return dict(zip(ids, zip(survivor, stay.similarity.tolist(), strict=True), strict=True))

    order = list(range(len(texts)))
    here = surviving(order, cuts)
    random.shuffle(order)
    assert surviving(order, [5]) == here


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threshold", [NINE_TENTHS, HALF])
def test_hostile_rows_one_by_one(method: Method, threshold: Fraction) -> None:
    chosen = Parameters(threshold, method)
    shards = [shard(f"{number:02}", [text]) for number, text in enumerate(HOSTILE * 2)]
    with empty_folder() as folder:
        for stop in range(1, len(shards) + 1):
            if stop % 3:
                with opened(folder, chosen) as index:
                    found = index.update(shards[:stop])
        assert_as_in_one_shot(found, shards[:stop], chosen)


def variants(count: int) -> list[str]:
    """Texts of which each is like some, equal to a few, and unlike most of the others."""
    rng = random.Random(4)
    bases = [[f"v{rng.randrange(900)}" for _ in range(rng.randrange(1, 45))] for _ in range(40)]
    texts: list[str] = []
    for i in range(count):
        base = rng.choice(bases)
        chosen = rng.sample(base, max(0, len(base) - rng.choice([0, 0, 1, 2, 4])))
        texts.append(" ".join(chosen + [f"n{i}x{k}" for k in range(rng.choice([0, 0, 0, 1, 2]))]))
    return texts


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threshold", [NINE_TENTHS, Fraction(3, 4), HALF])
def test_what_one_shard_brings_is_found_by_those_behind_it(
    method: Method, threshold: Fraction
) -> None:
    chosen = Parameters(threshold, method, threads=2)
    texts = variants(500)
    # Shards begin with what is known and with what is new.
    texts[100] = texts[101] = texts[350] = texts[0]
    shards = split(texts, [100, 101, 200, 350, 420])
    with empty_folder() as folder, opened(folder, chosen) as index:
        for stop in range(1, len(shards) + 1):
            found = index.update(shards[:stop])
            assert_as_in_one_shot(found, shards[:stop], chosen)
        assert len(found.edges) > 300
        assert_as_in_one_shot(index.update(shards[::-1]), shards[::-1], chosen)


@settings(deadline=None, max_examples=20)
@given(some_texts, parameters)
def test_a_known_shard_is_not_read_again(texts: list[str], chosen: Parameters) -> None:
    one, two = shard("one", texts), shard("two", texts[::2])
    with empty_folder() as folder:
        with opened(folder, chosen) as index:
            assert index.update([one]).added == len(texts)
            assert index.update([unreadable(one), two]).added == len(texts[::2])
        with opened(folder, chosen) as index:
            found = index.update([unreadable(two), unreadable(one)])
            assert found.added == 0
            assert_as_in_one_shot(found, [two, one], chosen)


def test_a_version_that_comes_back_is_not_read_again_while_it_is_remembered() -> None:
    old, new = shard("a", ["a retired nurse"]), shard("a", ["a nurse"], "2")
    other = shard("b", ["nurse retired a", "a pilot", "a miner"])
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        index.update([old, other])
        assert_as_in_one_shot(index.update([new, other]), [new, other], Parameters())
        again = [unreadable(old), unreadable(other)]
        assert_as_in_one_shot(index.update(again), [old, other], Parameters())


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.bin"))


def test_when_most_rows_are_of_shards_that_are_gone_all_is_made_anew() -> None:
    large, small = shard("large", [f"a miner {i}" for i in range(500)]), shard("small", ["a nurse"])
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        index.update([large])
        size = size_of(folder)
        assert index.update([large, small]).added == 1
        found = index.update([small])
        assert found.added == 1
        assert_as_in_one_shot(found, [small], Parameters())
        assert size_of(folder) < size / 10


def test_what_was_found_stays_found_when_all_is_made_anew() -> None:
    one, other = shard("aaaaa", ["a nurse", "a miner"]), shard("bbbbb", ["a pilot", "a poet"])
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        found = index.update([one])
        index.update([other])
        assert_as_in_one_shot(found, [one], Parameters())


def test_no_shards_and_shards_without_rows() -> None:
    empty = shard("empty", [])
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        assert decided(index.update([])) == ([], [], [])
        assert decided(index.update([empty])) == ([], [], [])
        assert index.update([unreadable(empty)]).added == 0
        shards = [shard("a", ["x"]), unreadable(empty), shard("b", []), shard("c", ["y", "x"])]
        readable = [shards[0], empty, *shards[2:]]
        assert_as_in_one_shot(index.update(shards), readable, Parameters())
        assert decided(index.update([])) == ([], [], [])


@pytest.mark.parametrize("method", METHODS)
def test_a_hub_may_begin_with_a_shard_without_rows(method: Method) -> None:
    chosen = Parameters(method=method)
    shards = [shard("empty", []), shard("a", ["a nurse", "a pilot"]), shard("b", ["nurse a", "a"])]
    with empty_folder() as folder, opened(folder, chosen) as index:
        for stop in (1, 2, 3):
            assert_as_in_one_shot(index.update(shards[:stop]), shards[:stop], chosen)


def test_ids_of_any_characters_are_given_back() -> None:
    ids = ["", "a", "退休", "", "🙂", "a"]
    values = ["x", "y", "z", "x", "", "w"]
    table = pl.DataFrame({"id": ids, "value": values}, SCHEMA)
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        found = index.update(
            [ShardRows("a", "1", lambda: table), ShardRows("b", "1", lambda: table[1:3])]
        )
        assert found.ids(np.arange(8)).to_list() == [*ids, "a", "退休"]
        assert found.ids(np.array([2, 0, 2])).to_list() == ["退休", "", "退休"]
        assert found.ids(np.empty(0, np.int64)).to_list() == []


def test_ids_may_all_be_empty() -> None:
    shards = [shard("a", ["x", "y"], ids=["", ""]), shard("b", ["z"], ids=[""])]
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        for stop in (1, 2):
            assert_as_in_one_shot(index.update(shards[:stop]), shards[:stop], Parameters())


def test_rows_without_a_text_have_no_words() -> None:
    table = pl.DataFrame({"id": ["a", "b", "c"], "value": [None, "a nurse", "..."]}, SCHEMA)
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        found = index.update([ShardRows("a", "1", lambda: table)])
        assert decided(found) == ([0, 1, 0], [1, 1, 1], [])
