import itertools
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.columns import Columns
from persona_assets.dedup.index import BATCH, SHAPES, Found, Index, Shard
from persona_assets.dedup.lexical import lexical_join
from persona_assets.dedup.minhash import SIZE
from persona_assets.dedup.survivors import Edges, survivors
from persona_assets.dedup.word_sets import WordSets
from persona_assets_tests.dedup.texts import (
    HOSTILE,
    Row,
    any_texts,
    brute_force,
    related_texts,
    rows,
    texts_of_one_bitmap,
)

Method = Literal["exact", "minhash"]
METHODS: list[Method] = ["exact", "minhash"]
NINE_TENTHS = Fraction(9, 10)
HALF = Fraction(1, 2)
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
) -> Shard:
    """A shard of rows whose ids tell where they come from, if no others are given."""
    ids = ids or [f"{key}/{version}/{row}" for row in range(len(texts))]
    # A lone surrogate cannot be in a table.
    values = [text.encode(errors="replace").decode() for text in texts]
    return Shard(key, version, lambda: pl.DataFrame({"id": ids, "value": values}, SCHEMA))


def unreadable(known: Shard) -> Shard:
    """The same shard, which can be known but not read."""

    def read() -> pl.DataFrame:
        raise OSError(f"shard {known.key} was read again")

    return Shard(known.key, known.version, read)


@contextmanager
def opened(folder: Path, chosen: Parameters) -> Iterator[Index]:
    made = f"{chosen.threshold} {chosen.method}"
    with Columns(folder, {**SHAPES, **WordSets.SHAPES}, made) as columns:
        sets = WordSets(columns, chosen.threshold, chosen.method, chosen.threads)
        yield Index(columns, sets)


@contextmanager
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


Decided = tuple[list[int], list[float], list[Row]]
"""The survivor of each row, their similarity, and the pairs of the first rows of similar sets."""


def decided(found: Found) -> Decided:
    stay = survivors(found.sets, found.edges)
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
    stay = survivors(join.sets, join.edges)
    return stay.row.tolist(), stay.similarity.tolist(), rows(join.edges)


def assert_as_in_one_shot(found: Found, shards: Sequence[Shard], chosen: Parameters) -> None:
    table = pl.concat([pl.DataFrame(schema=SCHEMA), *(shard.read() for shard in shards)])
    assert found.ids(np.arange(len(found.sets))).to_list() == table["id"].to_list()
    assert decided(found) == in_one_shot(table["value"].to_list(), chosen)


def split(texts: Sequence[str], cuts: Sequence[int]) -> list[Shard]:
    ends = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [texts[start:stop] for start, stop in itertools.pairwise(ends)]
    return [shard(f"s{number}", part) for number, part in enumerate(parts)]


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
        stay = survivors(found.sets, found.edges, ids.rank("ordinal").to_numpy())
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


def test_known_sets_of_equal_bitmaps_are_told_apart() -> None:
    texts = texts_of_one_bitmap()
    shards = split([*texts[::2], *texts, *texts[::-1]], [100, 105, 300])
    with empty_folder() as folder, opened(folder, Parameters(HALF)) as index:
        for stop in range(1, 5):
            found = index.update(shards[:stop])
            assert_as_in_one_shot(found, shards[:stop], Parameters(HALF))
        assert len(np.unique(found.sets)) == len(texts)


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


def test_more_rows_than_are_joined_at_a_time() -> None:
    """What comes before a failure is committed and stays known, though not asked for again."""
    many = pl.select(id=pl.int_range(BATCH).cast(pl.String), value=pl.repeat("a nurse", BATCH))
    large, small = Shard("large", "1", lambda: many), shard("small", ["nurse a", "a pilot"])
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


def test_ids_of_any_characters_are_given_back() -> None:
    ids = ["", "a", "退休", "", "🙂", "a"]
    values = ["x", "y", "z", "x", "", "w"]
    table = pl.DataFrame({"id": ids, "value": values}, SCHEMA)
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        found = index.update([Shard("a", "1", lambda: table), Shard("b", "1", lambda: table[1:3])])
        assert found.ids(np.arange(8)).to_list() == [*ids, "a", "退休"]
        assert found.ids(np.array([2, 0, 2])).to_list() == ["退休", "", "退休"]
        assert found.ids(np.empty(0, np.int64)).to_list() == []


def test_rows_without_a_text_have_no_words() -> None:
    table = pl.DataFrame({"id": ["a", "b", "c"], "value": [None, "a nurse", "..."]}, SCHEMA)
    with empty_folder() as folder, opened(folder, Parameters()) as index:
        found = index.update([Shard("a", "1", lambda: table)])
        assert decided(found) == ([0, 1, 0], [1, 1, 1], [])


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
    """Items of their own for each value; the first batch fails."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.failed = False

    def add(self, values: pl.Series) -> npt.NDArray[np.int64]:
        if not self.failed:
            self.failed = True
            raise ValueError("too many pairs")
        start = len(self._columns["row_items"])
        return np.arange(start, start + len(values))

    def edges(self) -> Edges:
        return Edges.of([], [], [])


def test_a_batch_that_fails_can_be_tried_again() -> None:
    one = shard("one", ["a nurse", "a pilot"])
    with empty_folder() as folder, Columns(folder, SHAPES, "") as columns:
        index = Index(columns, FailingOnce(columns))
        with pytest.raises(ValueError, match="too many pairs"):
            index.update([one])
        assert index.update([one]).ids(np.arange(2)).to_list() == ["one/1/0", "one/1/1"]


def killed(folder: Path, shards: int) -> None:
    """An update that is killed when it has appended all and committed nothing."""
    code = """
import os, signal, sys
from fractions import Fraction
from pathlib import Path
import polars as pl
from persona_assets.dedup.columns import Columns
from persona_assets.dedup.index import SHAPES, Index, Shard
from persona_assets.dedup.word_sets import WordSets

class Killed(Columns):
    def commit(self, state):
        os.kill(os.getpid(), signal.SIGKILL)

def read(key):
    rows = [f"{key} {i}" for i in range(300)]
    return pl.DataFrame({"id": rows, "value": rows})

folder, count = Path(sys.argv[1]), int(sys.argv[2])
with Killed(folder, {**SHAPES, **WordSets.SHAPES}, "9/10 exact") as columns:
    index = Index(columns, WordSets(columns, Fraction(9, 10), "exact", 1))
    index.update([Shard(key, "1", lambda key=key: read(key)) for key in "vwxyz"[:count]])
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


def test_columns_hold_a_signature_of_each_set_for_minhash_alone() -> None:
    some = shard("a", ["a nurse", "nurse a", "a pilot", ""])
    for method in METHODS:
        with (
            empty_folder() as folder,
            Columns(folder, {**SHAPES, **WordSets.SHAPES}, "") as columns,
        ):
            Index(columns, WordSets(columns, NINE_TENTHS, method, 1)).update([some])
            expected = (3, SIZE) if method == "minhash" else (0, SIZE)
            assert columns["signatures"].shape == expected


@settings(deadline=None, max_examples=20)
@given(some_texts, st.sampled_from([NINE_TENTHS, HALF]), st.sampled_from(METHODS))
def test_the_sampled_recall_counts_the_true_pairs_of_sets(
    texts: list[str], threshold: Fraction, method: Method
) -> None:
    with (
        empty_folder() as folder,
        Columns(folder, {**SHAPES, **WordSets.SHAPES}, "") as columns,
    ):
        sets = WordSets(columns, threshold, method, 1)
        found = Index(columns, sets).update(split(texts, [3]))
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
from persona_assets.dedup.columns import Columns
from persona_assets.dedup.word_sets import WordSets

class AtTheEndOfAPage(Columns):
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
    with AtTheEndOfAPage(Path(sys.argv[1]), WordSets.SHAPES, str(extra)) as columns:
        sets = WordSets(columns, Fraction(9, 10), "exact", 1)
        assert sets.add(["a retired nurse" + "x" * extra]).tolist() == [0]
        columns.commit({})
        assert sets.add(["x", "nurse" + "x" * extra + " retired a"]).tolist() == [1, 0]
"""
    with empty_folder() as folder:
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
