"""Pairs of personas are drawn by similarity, from the whole hub where a sample has too few."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.hub import HUB
from persona_assets.steps.persona_pairs import (
    MAX_PERSONAS,
    PAIRS,
    build_persona_pairs,
    short_buckets,
)
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.vectors import at_cosines, embeddings


def hub(names: Iterable[str]) -> pl.DataFrame:
    return typed_frame([{"persona_id": name, "persona": f"person {name}"} for name in names], HUB)


def pairs_of(
    vectors: Mapping[str, np.ndarray], tolerance: float = 0.01, per_bucket: int = 9
) -> pl.DataFrame:
    return draw_pairs(hub(vectors), embeddings(vectors), tolerance, per_bucket)


def draw_pairs(
    personas: pl.DataFrame, vectors: pl.DataFrame, tolerance: float = 0.01, per_bucket: int = 9
) -> pl.DataFrame:
    outcome = build_persona_pairs(
        personas,
        lambda: iter([vectors.lazy()]),
        similarities=(0.4, 0.6, 0.8),
        tolerance=tolerance,
        per_bucket=per_bucket,
    )
    assert outcome.rows.schema == PAIRS
    return outcome.rows


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1, 1), max_size=12), st.floats(0.001, 0.05), st.integers(1, 5))
def test_persona_pairs_fill_each_bucket_with_pairs_of_its_similarity(
    cosines: list[float], tolerance: float, per_bucket: int
) -> None:
    names = [f"id {number}" for number in range(len(cosines))]
    vectors = dict(zip(names, at_cosines(*cosines), strict=True))
    pairs = pairs_of(vectors, tolerance, per_bucket)
    for row in pairs.iter_rows(named=True):
        cosine = float(vectors[row["left_id"]] @ vectors[row["right_id"]])
        assert row["similarity"] == pytest.approx(cosine, abs=1e-6)
        assert abs(cosine - row["bucket"]) <= tolerance + 1e-6
        assert row["left_id"] != row["right_id"]
        assert (row["left"], row["right"]) == (
            f"person {row['left_id']}",
            f"person {row['right_id']}",
        )
    sets = [frozenset(ids) for ids in pairs.select("left_id", "right_id").iter_rows()]
    assert len(set(sets)) == len(sets) == pairs["pair_id"].n_unique()
    for bucket in (0.4, 0.6, 0.8):
        # Pairs nearer to the tolerance than the rounding error may be in the bucket or not.
        certain = sum(
            abs(float(vectors[a] @ vectors[b]) - bucket) <= tolerance - 1e-6
            for i, a in enumerate(names)
            for b in names[:i]
        )
        drawn = int((pairs["bucket"] == bucket).sum())
        assert min(certain, per_bucket) <= drawn <= per_bucket


SIXTY = {
    f"id {number}": vector for number, vector in enumerate(at_cosines(*np.linspace(-1, 1, 60)))
}
"""Vectors of enough personas to fill each bucket."""


@settings(deadline=None, max_examples=20)
@given(st.permutations(list(SIXTY)))
def test_persona_pairs_are_the_same_in_any_order_of_the_hub(names: list[str]) -> None:
    pairs = pairs_of(SIXTY, 0.02, 4)
    assert len(pairs) == 12
    assert pairs_of({name: SIXTY[name] for name in names}, 0.02, 4).equals(pairs)


def test_persona_pairs_include_the_pairs_of_a_smaller_number_per_bucket() -> None:
    assert set(pairs_of(SIXTY, 0.02, 4)["pair_id"]) < set(pairs_of(SIXTY, 0.02, 6)["pair_id"])


def test_persona_pairs_leave_out_a_persona_without_a_vector() -> None:
    vectors = embeddings(dict(zip("ab", at_cosines(1.0, 0.8), strict=True)))
    assert len(draw_pairs(hub("abc"), vectors)) == 1


def test_persona_pairs_of_an_empty_hub_are_an_empty_table() -> None:
    assert len(draw_pairs(hub(""), embeddings({}))) == 0


def test_persona_pairs_leave_out_a_persona_in_a_script_that_the_model_cannot_read() -> None:
    vectors = embeddings(dict(zip("abc", at_cosines(1.0, 0.8, 0.6), strict=True)))
    unread = vectors.with_columns(
        confusion=pl.when(persona_id="b").then(0.95).otherwise(pl.lit(0.3))
    )
    assert len(draw_pairs(hub("abc"), vectors)) == 2
    [row] = draw_pairs(hub("abc"), unread).iter_rows(named=True)
    assert {row["left_id"], row["right_id"]} == {"a", "c"}


PLANTED = 40


def large_hub() -> dict[str, np.ndarray]:
    """Return vectors of more personas than a sample has, with few pairs at 0.8."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((MAX_PERSONAS + 1_500, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in range(PLANTED):
        side = vectors[-1 - row] - (vectors[-1 - row] @ vectors[row]) * vectors[row]
        vectors[-1 - row] = 0.8 * vectors[row] + 0.6 * side / np.linalg.norm(side)
    return {f"id {number}": vector for number, vector in enumerate(vectors)}


LARGE = large_hub()


def draw_from_large(names: list[str], tables: int, per_bucket: int) -> pl.DataFrame:
    vectors = embeddings({name: LARGE[name] for name in names})
    size = -(-len(vectors) // tables)
    parts = [vectors[start : start + size].lazy() for start in range(0, len(vectors), size)]
    return build_persona_pairs(
        hub(names),
        lambda: iter(parts),
        similarities=(0.4, 0.8),
        tolerance=0.01,
        per_bucket=per_bucket,
        threads=2,
    ).rows


def test_persona_pairs_are_short_only_if_the_hub_is() -> None:
    drawn = draw_from_large(list(LARGE), 3, 100)
    assert short_buckets(drawn, (0.4, 0.8), 100) == f"0.8: {PLANTED} of 100 pairs"
    for row in drawn.iter_rows(named=True):
        cosine = float(LARGE[row["left_id"]] @ LARGE[row["right_id"]])
        assert row["similarity"] == pytest.approx(cosine, abs=1e-3)
        assert row["left"] == f"person {row['left_id']}"


def test_persona_pairs_of_a_large_hub_do_not_depend_on_the_order_of_shards() -> None:
    names = list(LARGE)
    drawn = draw_from_large(names, 3, 30)
    assert drawn.equals(draw_from_large(names[::-1], 7, 30))


def test_pairs_of_the_sample_stay_when_more_of_a_large_hub_are_drawn() -> None:
    names = list(LARGE)
    few, more = (
        draw_from_large(names, 1, count).filter(bucket=0.8)["pair_id"].to_list()
        for count in (10, PLANTED)
    )
    assert few == more[:10]
    assert len(set(more)) == PLANTED


THREE = typed_frame([{"bucket": bucket} for bucket in (0.4, 0.4, 0.6)], PAIRS)


def test_short_buckets_names_the_buckets_with_too_few_pairs() -> None:
    assert short_buckets(THREE, (0.4, 0.6, 0.8), 2) == "0.6: 1 of 2 pairs, 0.8: 0 of 2 pairs"
    assert short_buckets(THREE, (0.4, 0.6), 1) == ""
    assert short_buckets(THREE.clear(), (0.4,), 1) == "0.4: 0 of 1 pairs"
