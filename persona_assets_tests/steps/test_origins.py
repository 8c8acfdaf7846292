"""A task's rows are made from personas, from samples of another task, or from pairs of personas."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.ids import content_id
from persona_assets.steps.hub import EMBEDDINGS, HUB
from persona_assets.steps.origins import (
    origins_of_samples,
    related_by_hop,
    strangers,
    with_parents,
    within_cosine,
)
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import PROMPTS


def hub(parents: Sequence[int | None]) -> pl.DataFrame:
    """Return a hub in which persona i was expanded from persona `parents[i]`, or from a text."""
    rows = [
        {
            "persona_id": f"p{number}",
            "parent_id": f"t{number}" if parent is None else f"p{parent}",
            "persona": f"person {content_id(str(number))[:6]}",
            "relation": "reads" if parent is None else "patient",
            "licence": "CC0-1.0" if number % 2 else "CC-BY-4.0",
            "language": "en",
            "hop": 0 if parent is None else 1,
        }
        for number, parent in enumerate(parents)
    ]
    return typed_frame(rows, HUB)


def test_parent_is_looked_up_in_the_whole_shard_and_empty_elsewhere() -> None:
    rows = hub([None, 0, 7])
    found = with_parents(rows[1:], rows)
    assert found.select("parent", "relation").rows() == [(rows["persona"][0], "patient"), ("", "")]


def test_hop_pairs_are_a_persona_and_its_parent() -> None:
    pairs = related_by_hop(hub([None, 0, 0, 7, None]))
    assert pairs.select("persona_id", "other_id", "relation").rows() == [
        ("p0", "p1", "patient"),
        ("p0", "p2", "patient"),
    ]


def test_both_licences_hold_for_a_pair() -> None:
    pairs = related_by_hop(hub([None, 0, 0]))
    assert pairs["licence"].to_list() == ["CC-BY-4.0 AND CC0-1.0", "CC-BY-4.0"]


family = st.lists(st.none() | st.integers(0, 30), max_size=30).map(
    lambda parents: [None if p is None or p >= i else p for i, p in enumerate(parents)]
)


@settings(deadline=None, max_examples=60)
@given(family, st.randoms(use_true_random=False))
def test_strangers_are_no_relatives_whatever_the_order(parents: list[int | None], random) -> None:  # type: ignore[no-untyped-def]
    personas = hub(parents)
    pairs = strangers(personas)
    origin = dict(personas.select("persona_id", "parent_id").iter_rows())
    assert pairs["persona_id"].n_unique() == len(pairs) <= len(personas)
    for one, other in pairs.select("persona_id", "other_id").iter_rows():
        assert one != other
        assert not {one, origin[one]} & {other, origin[other]}
    order = list(range(len(personas)))
    random.shuffle(order)
    shuffled = strangers(personas[order]) if order else pairs
    assert shuffled.sort("persona_id").equals(pairs.sort("persona_id"))


def test_new_persona_changes_few_pairs_of_strangers() -> None:
    before = dict(strangers(hub([None] * 60)).select("persona_id", "other_id").iter_rows())
    after = dict(strangers(hub([None] * 61)).select("persona_id", "other_id").iter_rows())
    assert sum(before[one] != after[one] for one in before) == 1


@pytest.mark.parametrize("bounds", [(0.2, 0.6), (0.9, 1.0), (-1.0, -0.5)])
def test_cosine_of_a_pair_is_in_the_range(bounds: tuple[float, float]) -> None:
    personas = hub([None] * 40)
    vectors = np.random.default_rng(5).normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedded = typed_frame(
        [
            {"persona_id": f"p{number}", "vector": vector.tolist()}
            for number, vector in enumerate(vectors)
        ],
        EMBEDDINGS,
    )
    pairs = within_cosine(personas, embedded, *bounds)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, np.nan)
    inside = (cosines >= bounds[0]) & (cosines <= bounds[1])
    assert set(pairs["persona_id"]) == {f"p{number}" for number in np.flatnonzero(inside.any(1))}
    for one, other in pairs.select("persona_id", "other_id").iter_rows():
        assert inside[int(one[1:]), int(other[1:])]


def test_empty_shard_has_no_pairs() -> None:
    empty = hub([])
    assert len(related_by_hop(empty)) == len(strangers(empty)) == 0
    assert len(within_cosine(empty, pl.DataFrame(schema=EMBEDDINGS), 0.0, 1.0)) == 0


def test_samples_with_a_field_named_content_are_origins() -> None:
    head = PROMPTS["replies"].head.model_copy(
        update={"output": {"content": {"type": "string"}}, "source": "persona_hub"}
    )
    source = replace(PROMPTS["replies"], head=head)
    samples = pl.DataFrame(
        {
            "sample_id": ["s"],
            "persona_id": ["p"],
            "persona": ["A baker."],
            "content": ["Bread."],
            "licence": ["CC0-1.0"],
            "language": ["en"],
        }
    )
    assert origins_of_samples(samples, source)["content"].to_list() == ["Bread."]
