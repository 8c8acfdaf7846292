"""Duplicates among samples are those of a comparison of all pairs, however shards arrive."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.ids import content_id
from persona_assets.resources.deduplicator import Deduplicator, TaskSamples
from persona_assets.settings import Settings
from persona_assets.steps.audit import count_shared
from persona_assets.steps.samples import (
    SAMPLE_DUPLICATES,
    build_sample_duplicates,
    build_unique_samples,
)
from persona_assets.storage.storage import Storage
from persona_assets_tests.greedy_survivors import greedy_survivors, jaccard, words
from persona_assets_tests.sample_tables import publish

THRESHOLDS = [Fraction(9, 10), Fraction(3, 4), Fraction(1, 2), Fraction(1)]

VOCABULARY = ["red", "ferry", "carries", "40", "crates", "of", "9", "pears", "over"]

texts = st.lists(st.sampled_from(VOCABULARY)).map(" ".join)
shards = st.lists(st.lists(texts, max_size=5), max_size=4)


class Samples:
    """Samples of tasks in a folder, and the duplicates among them."""

    def __init__(self, folder: Path) -> None:
        self.storage = Storage(folder)
        self.joined = 0
        self._deduplicator = Deduplicator(
            Settings.load(data_dir=folder, dedup_threads=1), self.storage
        )

    def write(self, task: str, shard: str, rows: Sequence[Mapping[str, str]]) -> list[str]:
        """Write a shard of samples, and return their ids."""
        ids = [content_id(task, shard, str(number)) for number in range(len(rows))]
        columns = ["problem", *(rows[0] if rows else ())]
        schema = {"sample_id": pl.String, **dict.fromkeys(columns, pl.String)}
        samples = [{"sample_id": row_id, **row} for row_id, row in zip(ids, rows, strict=True)]
        publish(self.storage, task, shard, pl.DataFrame(samples, schema))
        return ids

    def survivors(
        self, *tasks: str, shards: Sequence[str], threshold: Fraction, fields: Sequence[str] = ()
    ) -> dict[str, str]:
        """Return the survivor of each duplicate."""
        samples = [
            TaskSamples(task, self.storage.shard_tables(task, shards), fields or ("problem",))
            for task in tasks
        ]
        with self._deduplicator.samples("group", samples, threshold) as joined:
            self.joined = int(joined.figures["rows_joined"])
            rows = build_sample_duplicates(joined.rows, "lexical", by_content=False).rows
        assert rows.schema == SAMPLE_DUPLICATES
        assert set(rows["stage"]) <= {"lexical"}
        return dict(rows.select("sample_id", "survivor_id").iter_rows())


@contextmanager
def empty_samples() -> Iterator[Samples]:
    with TemporaryDirectory() as folder:
        yield Samples(Path(folder))


@pytest.mark.parametrize("threshold", THRESHOLDS)
@settings(max_examples=15)
@given(corpus=shards)
def test_survivors_are_those_of_all_pairs_and_a_new_shard_keeps_them(
    threshold: Fraction, corpus: list[list[str]]
) -> None:
    with empty_samples() as samples:
        arrived: list[str] = []
        rows: list[tuple[str, str]] = []
        before: dict[str, str] = {}
        for number, problems in enumerate(corpus):
            shard = f"{number}.jsonl"
            ids = samples.write("math", shard, [{"problem": problem} for problem in problems])
            arrived.append(shard)
            rows += zip(ids, problems, strict=True)
            found = samples.survivors("math", shards=arrived, threshold=threshold)
            assert found == greedy_survivors(rows, threshold)
            assert before.items() <= found.items()
            assert samples.joined == len(problems)
            before = found


@settings(max_examples=15)
@given(math=shards, logic=shards)
def test_tasks_of_a_group_share_survivors_in_order_of_arrival(
    math: list[list[str]], logic: list[list[str]]
) -> None:
    threshold = Fraction(3, 4)
    both = list(zip(math, logic, strict=False))
    with empty_samples() as samples:
        rows: list[tuple[str, str]] = []
        for number, by_task in enumerate(both):
            for task, problems in zip(("logic", "math"), by_task, strict=True):
                columns = [{"problem": problem} for problem in problems]
                rows += zip(samples.write(task, f"{number}", columns), problems, strict=True)
        keys = [f"{number}" for number in range(len(both))]
        found = samples.survivors("logic", "math", shards=keys, threshold=threshold)
        assert found == greedy_survivors(rows, threshold)


def test_fields_of_the_prompt_decide(tmp_path: Path) -> None:
    samples = Samples(tmp_path)
    rows = [
        {"name": "Tide table", "description": "Reads the tides of a harbour.", "returns": "a list"},
        {"name": "Tide Table", "description": "reads the tides of a harbour", "returns": "hours"},
        {"name": "Tide clock", "description": "Reads the tides of a harbour.", "returns": "a list"},
    ]
    first, second, third = samples.write("tools", "a", rows)
    nine_tenths = Fraction(9, 10)

    def survivors(*fields: str) -> dict[str, str]:
        return samples.survivors("tools", shards=["a"], threshold=nine_tenths, fields=fields)

    assert survivors("name", "description") == {second: first}
    assert survivors("description") == {second: first, third: first}
    assert survivors("name", "description", "returns") == {}


NUMBERS = [
    # Problems, and whether they are duplicates at nine tenths: 2 numbers of 42 words may differ.
    ("A ferry carries {} crates.", [40], [41], False),
    ("A crew of {} paints {} m of quay in the harbour, rests for {} minutes at noon, and then goes "
     "on until each of them has used up two tins of the white paint that came by rail. How long "
     "does the whole job take?", [5, 300, 40], [5, 310, 45], True),
    ("A crew of {} paints {} m of quay in the harbour, rests for {} minutes at noon, and then goes "
     "on until each of them has used up two tins of the white paint that came by rail. How long "
     "does the whole job take?", [5, 300, 40], [6, 310, 45], False),
]  # fmt: skip


@pytest.mark.parametrize(("template", "numbers", "others", "expected"), NUMBERS)
def test_problems_with_other_numbers_are_duplicates_if_they_share_nine_tenths_of_words(
    tmp_path: Path, template: str, numbers: list[int], others: list[int], expected: bool
) -> None:
    samples = Samples(tmp_path)
    problems = [template.format(*numbers), template.format(*others)]
    first, second = samples.write("math", "a", [{"problem": problem} for problem in problems])
    found = samples.survivors("math", shards=["a"], threshold=Fraction(9, 10))
    assert found == ({second: first} if expected else {})


def test_without_tasks_or_samples_there_are_no_duplicates(tmp_path: Path) -> None:
    samples = Samples(tmp_path)
    samples.write("math", "a", [])
    assert samples.survivors(shards=["a"], threshold=Fraction(1)) == {}
    assert samples.survivors("math", shards=["a"], threshold=Fraction(1)) == {}


def test_unique_samples_are_the_rest_with_a_reason_for_each_duplicate() -> None:
    rows = pl.DataFrame({"sample_id": ["a", "b", "c"], "problem": ["1", "2", "1"]})
    pairs = pl.DataFrame(
        [("c", "a", 1.0, "lexical"), ("of another shard", "a", 1.0, "lexical")],
        schema=SAMPLE_DUPLICATES,
        orient="row",
    )
    outcome = build_unique_samples("unique_math", rows, pairs)
    assert outcome.rows.equals(rows.head(2))
    assert outcome.dropped.rows() == [("c", "unique_math", "lexical_duplicate")]


@settings(max_examples=40)
@given(own=st.lists(texts, max_size=6), other=st.lists(texts, max_size=6))
def test_count_shared_counts_the_texts_near_one_of_the_others(
    own: list[str], other: list[str]
) -> None:
    threshold = Fraction(3, 4)
    pairs = [(a, b) for a, b in product(range(len(own)), range(len(other)))]
    near = {a for a, b in pairs if jaccard(words(own[a]), words(other[b])) >= threshold}
    counted = count_shared(
        pl.Series(own, dtype=pl.String), pl.Series(other, dtype=pl.String), threshold
    )
    assert counted == len(near)
