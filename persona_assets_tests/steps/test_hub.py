from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.words import words
from persona_assets.ids import content_id
from persona_assets.outcome import frame
from persona_assets.steps.hub import (
    DUPLICATES,
    EMBEDDINGS,
    HUB,
    duplicate_pairs,
    lexical_duplicates,
    lexical_survivors,
    matrix,
    persona_embeddings,
    persona_hub,
    semantic_duplicates,
)
from persona_assets.steps.personas import CANDIDATES
from persona_assets_tests.steps.vectors import at_cosines, embeddings

HALF = Fraction(1, 2)
nouns = st.sampled_from(["tailor", "nurse", "clock", "boat", "night", "sea"])
sentences = st.lists(nouns, min_size=1, max_size=4).map(" ".join)
shards = st.lists(st.lists(st.tuples(sentences, st.booleans()), max_size=6), max_size=3)
Shards = list[list[tuple[str, bool]]]


def candidates(rows: Sequence[tuple[str, bool]], shard: str = "a") -> pl.DataFrame:
    """Candidates of a shard from (persona, whether the quality filter keeps it)."""
    made = [
        {
            "persona_id": content_id(shard, str(number)),
            "persona": persona,
            "kept": kept,
            "reason": None if kept else "too_short",
        }
        for number, (persona, kept) in enumerate(rows)
    ]
    return frame(made, CANDIDATES)


def over(given: Shards) -> pl.DataFrame:
    """All shards' candidates in order of arrival."""
    tables = [candidates(rows, str(number)) for number, rows in enumerate(given)]
    return pl.concat([candidates([]), *tables])


def likeness(one: str, other: str) -> Fraction:
    a, b = words(one), words(other)
    return Fraction(len(a & b), len(a | b))


@settings(deadline=None, max_examples=100)
@given(shards, st.sampled_from(["exact", "minhash"]))
def test_of_a_duplicate_pair_the_later_one_goes(
    given: Shards, method: Literal["exact", "minhash"]
) -> None:
    rows = over(given)
    found = lexical_duplicates(rows, HALF, method).rows
    assert found.schema == DUPLICATES
    place = {row_id: number for number, row_id in enumerate(rows["persona_id"])}
    text = dict(rows.select("persona_id", "persona").iter_rows())
    kept = set(rows.filter("kept")["persona_id"])
    gone = set(found["persona_id"])
    for row_id, survivor, similarity, stage in found.iter_rows():
        assert place[survivor] < place[row_id]
        assert survivor not in gone
        assert {row_id, survivor} <= kept
        assert likeness(text[row_id], text[survivor]) == pytest.approx(Fraction(similarity))
        assert similarity >= 0.5
        assert stage == "lexical"
    if method == "exact":
        stay = [text[row_id] for row_id in place if row_id in kept - gone]
        pairs = [(a, b) for i, a in enumerate(stay) for b in stay[:i]]
        assert all(likeness(a, b) < HALF for a, b in pairs)


@settings(deadline=None, max_examples=100)
@given(shards)
def test_a_new_shard_changes_nothing_for_those_before_it(given: Shards) -> None:
    before = lexical_duplicates(over(given[:-1]), HALF, "exact").rows
    after = lexical_duplicates(over(given), HALF, "exact").rows
    assert after.head(len(before)).equals(before)


@settings(deadline=None, max_examples=100)
@given(shards)
def test_survivors_and_drops_are_the_candidates(given: Shards) -> None:
    found = lexical_duplicates(over(given), HALF, "exact").rows
    for number, rows in enumerate(given):
        shard = candidates(rows, str(number))
        outcome = lexical_survivors(shard, found)
        assert outcome.rows.schema == HUB
        assert outcome.rows_in == len(shard)
        assert sorted([*outcome.rows["persona_id"], *outcome.dropped["id"]]) == sorted(
            shard["persona_id"]
        )
        reasons = dict(outcome.dropped.select("id", "reason").iter_rows())
        for row_id, kept in shard.select("persona_id", "kept").iter_rows():
            assert (reasons.get(row_id) == "quality:too_short") == (not kept)
            assert (reasons.get(row_id) == "lexical_duplicate") == (row_id in found["persona_id"])


def test_a_rejected_persona_stands_for_no_one() -> None:
    rows = candidates([("a night nurse", False), ("a night nurse", True), ("a night nurse", True)])
    first, second, third = rows["persona_id"]
    found = lexical_duplicates(rows, Fraction(9, 10), "exact").rows
    assert found.rows() == [(third, second, 1.0, "lexical")]
    assert lexical_survivors(rows, found).rows["persona_id"].to_list() == [second]
    assert first in lexical_survivors(rows, found).dropped["id"]


def test_equal_personas_are_embedded_once_and_each_gets_its_vector() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], np.float32)

    rows = candidates([("nurse", True), ("tailor", True), ("nurse", True)]).select(HUB.names())
    outcome = persona_embeddings(rows, embed)
    assert asked == ["nurse", "tailor"]
    assert outcome.rows.schema == EMBEDDINGS
    assert outcome.rows["persona_id"].to_list() == rows["persona_id"].to_list()
    assert matrix(outcome.rows["vector"]).tolist() == [[5, 1], [6, 1], [5, 1]]


def test_personas_that_mean_the_same_go_and_the_first_stays() -> None:
    vectors = dict(zip("abcd", at_cosines(1.0, 0.95, 0.5, 0.85), strict=True))
    found = semantic_duplicates(embeddings(vectors), 0.9).rows
    # d is like b (0.97), which is gone, and unlike a (0.85): it stays.
    assert found.select("persona_id", "survivor_id", "stage").rows() == [("b", "a", "semantic")]
    assert found["similarity"][0] == pytest.approx(0.95, abs=1e-6)
    assert len(semantic_duplicates(embeddings(vectors), 0.96).rows) == 1
    reversed_order = embeddings(dict(reversed(vectors.items())))
    again = semantic_duplicates(reversed_order, 0.9).rows
    assert again.select("persona_id", "survivor_id").rows() == [("b", "d")]


def test_the_hub_is_what_both_rounds_leave() -> None:
    rows = candidates([("nurse", True), ("tailor", True)]).select(HUB.names())
    first, second = rows["persona_id"]
    repeated = frame([{"persona_id": second, "survivor_id": first, "similarity": 0.95}], DUPLICATES)
    outcome = persona_hub(rows, repeated)
    assert outcome.rows.schema == HUB
    assert outcome.rows.rows() == [rows.row(0)]
    assert outcome.dropped.rows() == [(second, "persona_hub", "semantic_duplicate")]
    assert persona_hub(rows, repeated.clear()).rows.equals(rows)


def test_nothing_in_gives_typed_nothing_out() -> None:
    none, empty = candidates([]), frame([], DUPLICATES)
    assert lexical_duplicates(none, HALF, "exact").rows.schema == DUPLICATES
    assert lexical_survivors(none, empty).rows.schema == HUB
    embedded = persona_embeddings(none.select(HUB.names()), lambda _: np.empty((0, 3), np.float32))
    assert embedded.rows.schema == EMBEDDINGS
    assert semantic_duplicates(embedded.rows, 0.9).rows.schema == DUPLICATES
    assert persona_hub(none.select(HUB.names()), empty).rows.schema == HUB
    assert duplicate_pairs(none.select(HUB.names()), embedded.rows, HALF, 0.9) == []


def test_a_planted_pair_is_found_in_a_hub() -> None:
    personas = ["a night nurse at sea", "a tailor of sails", "at sea a night nurse", "a boat clock"]
    hub = candidates([(text, True) for text in personas]).select(HUB.names())
    ids = hub["persona_id"].to_list()
    apart = embeddings(dict(zip(ids, at_cosines(1.0, 0.5, -0.3, -0.9), strict=True)))
    near = embeddings(dict(zip(ids, at_cosines(1.0, 0.5, -0.3, 0.99), strict=True)))
    t = Fraction(9, 10)
    assert duplicate_pairs(hub, apart, t, 0.9) == [(ids[0], ids[2])]
    assert duplicate_pairs(hub, near, t, 0.9) == [(ids[0], ids[2]), (ids[0], ids[3])]
    assert duplicate_pairs(hub[[0, 1]], near, t, 0.9) == []


def test_vectors_of_two_models_are_told_apart() -> None:
    mixed = embeddings({"a": [1.0, 0.0], "b": [1.0, 0.0, 0.0, 0.0]})
    with pytest.raises(ValueError, match="2 and 4 dimensions: materialize persona_embeddings"):
        semantic_duplicates(mixed, 0.9)
