"""The map keeps neighbours together; a persona's place depends on its vector and the landmarks."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.steps.hub import EMBEDDINGS, HUB
from persona_assets.steps.landmarks import (
    LANDMARKS,
    LEAST_PACMAP,
    MOST_CLUSTERS,
    draw_personas,
    fit_landmarks,
    number_of_clusters,
)
from persona_assets.steps.persona_map import (
    FIT_DISTANCE,
    FIT_PERSONAS,
    MAP,
    build_persona_map,
    fit_map,
    growth,
    keep_map,
    state_of,
)
from persona_assets.steps.placement import Landmarks
from persona_assets.storage.step_result import typed_frame

DIMENSIONS = 24
GROUPS = 5
THRESHOLD = 0.9

Shard = tuple[pl.DataFrame, pl.DataFrame]


def units(rows: int, seed: int = 0, spread: float = 0.25) -> np.ndarray:
    """Return unit vectors around GROUPS centres; row n is of group n % GROUPS."""
    centres = np.random.default_rng(99).standard_normal((GROUPS, DIMENSIONS))
    noise = np.random.default_rng(seed).standard_normal((rows, DIMENSIONS)) * spread
    vectors = centres[np.arange(rows) % GROUPS] + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def shard(vectors: np.ndarray, name: str = "a") -> Shard:
    """Return the hub and the embeddings of a shard."""
    ids = [f"{name}{number}" for number in range(len(vectors))]
    hub = [{"persona_id": each, "persona": f"Persona {each}"} for each in ids]
    rows = [
        {"persona_id": each, "vector": vector.tolist(), "script": "Latin"}
        for each, vector in zip(ids, vectors, strict=True)
    ]
    return typed_frame(hub, HUB), typed_frame(rows, EMBEDDINGS)


def tables(*shards: Shard):
    def scan() -> Iterator[tuple[pl.LazyFrame, pl.LazyFrame]]:
        for hub, embeddings in shards:
            yield hub.lazy(), embeddings.lazy()

    return scan


def fit(*shards: Shard, clusters: int | None = None) -> pl.DataFrame:
    return fit_map(tables(*shards), THRESHOLD, clusters).rows


FITTED = fit(shard(units(120)))
OTHERS = shard(units(70, seed=1), "b")
PLACED = build_persona_map(*OTHERS, FITTED, THRESHOLD).rows


@given(st.permutations(range(70)), st.integers(1, 70))
def test_place_does_not_depend_on_the_rows_beside_a_row(order: Sequence[int], count: int) -> None:
    some = list(order)[:count]
    hub, embeddings = OTHERS
    placed = build_persona_map(hub[some], embeddings[list(order)], FITTED, THRESHOLD).rows
    assert placed.equals(PLACED[some])


def test_landmark_keeps_its_place_and_cluster() -> None:
    placed = build_persona_map(*shard(units(120)), FITTED, THRESHOLD).rows
    both = placed.join(FITTED, on="persona_id")
    assert both["x"].to_list() == pytest.approx(both["x_right"].to_list(), abs=1e-3)
    assert both["y"].to_list() == pytest.approx(both["y_right"].to_list(), abs=1e-3)
    assert (both["cluster"] == both["cluster_right"]).mean() > 0.95


def test_clusters_are_the_groups_of_the_vectors() -> None:
    table = fit(shard(units(200)), clusters=GROUPS)
    placed = build_persona_map(*OTHERS, table, THRESHOLD).rows
    groups = pl.Series([number % GROUPS for number in range(70)])
    pairs = placed.with_columns(group=groups).select("cluster", "group").unique()
    assert len(pairs) == GROUPS
    assert placed["cosine"].min() > 0.5
    sizes = table["cluster"].value_counts().sort("cluster")["count"].to_list()
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("rows", [LEAST_PACMAP - 1, LEAST_PACMAP, 200])
def test_neighbours_on_the_map_are_of_one_group(rows: int) -> None:
    table = fit(shard(units(rows, spread=0.05)))
    xy = table.select("x", "y").to_numpy()
    group = np.array([int(each[1:]) % GROUPS for each in table["persona_id"]])
    distances = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.diag(np.full(rows, np.inf))
    assert (group[distances.argmin(axis=1)] == group).mean() > 0.9


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("equal", [False, True])
def test_small_hubs_have_a_map(rows: int, equal: bool) -> None:
    vectors = units(rows)
    if equal and rows:
        vectors[:] = vectors[0]
    home = shard(vectors)
    table = fit(home)
    assert table.schema == LANDMARKS
    assert len(table) == rows
    assert np.isfinite(table.select("x", "y").to_numpy()).all()
    numbers = set(table["cluster"])
    assert numbers == set(range(len(numbers)))
    placed = build_persona_map(*home, table, THRESHOLD)
    assert placed.rows.schema == MAP
    assert placed.rows["persona_id"].to_list() == home[0]["persona_id"].to_list()
    assert np.isfinite(placed.rows.select("x", "y", "cosine").to_numpy()).all()


def test_opposite_vectors_in_a_cluster_are_placed() -> None:
    vectors = units(1)
    home = shard(np.concatenate([vectors, -vectors]))
    placed = build_persona_map(*home, fit(home, clusters=1), THRESHOLD).rows
    assert placed["cluster"].to_list() == [0, 0]
    assert np.isfinite(placed.select("x", "y").to_numpy()).all()


def test_number_of_clusters_is_at_most_that_of_landmarks() -> None:
    assert [number_of_clusters(n) for n in range(9)] == [0, 1, 2, 2, 2, 2, 2, 2, 3]
    assert number_of_clusters(10**7) == MOST_CLUSTERS
    assert fit(shard(units(3)), clusters=50)["cluster"].n_unique() <= 3


def test_draw_does_not_depend_on_shards_and_a_larger_one_contains_it() -> None:
    first, second = shard(units(30)), shard(units(20, seed=3), "b")
    one = draw_personas(tables(first, second), THRESHOLD, 10, "landmarks")
    assert len(one) == 10
    assert one.equals(draw_personas(tables(second, first), THRESHOLD, 10, "landmarks"))
    more = draw_personas(tables(first, second), THRESHOLD, 25, "landmarks")
    assert more.head(10).equals(one)
    assert not one.equals(draw_personas(tables(first, second), THRESHOLD, 10, "growth"))


def test_fit_is_repeatable_and_does_not_depend_on_the_order_of_shards() -> None:
    first, second = shard(units(80)), shard(units(40, seed=3), "b")
    assert fit(first, second).equals(fit(second, first))


def unreadable() -> Shard:
    """Return a shard of six personas, of which three have no vector with a meaning."""
    hub, embeddings = shard(units(6), "u")
    zero = [0.0] * DIMENSIONS
    rows = embeddings.to_dicts()
    rows[1] |= {"vector": zero, "confusion": 1.0}
    rows[2] |= {"script": "Thai", "confusion": 0.97}
    rows[3] |= {"script": "Greek", "confusion": 0.4}
    del rows[4]
    return hub, typed_frame(rows, EMBEDDINGS)


def test_personas_without_a_meaningful_vector_are_left_off_with_the_reason() -> None:
    result = build_persona_map(*unreadable(), FITTED, THRESHOLD)
    assert dict(result.dropped.select("id", "reason").iter_rows()) == {
        "u1": "no_vector",
        "u2": "unread_script: Thai",
        "u4": "no_vector",
    }
    assert result.reasons() == {"no_vector": 2, "unread_script": 1}
    assert result.rows["persona_id"].to_list() == ["u0", "u3", "u5"]
    assert result.rows_in == 6


def test_no_landmark_is_unreadable_and_growth_counts_the_readable() -> None:
    home = unreadable()
    result = fit_map(tables(home), THRESHOLD)
    assert set(result.rows["persona_id"]) == {"u0", "u3", "u5"}
    assert result.decisions[FIT_PERSONAS] == 3


def test_hub_without_a_meaningful_vector_has_an_empty_map() -> None:
    hub, embeddings = unreadable()
    alone = (hub.head(1), embeddings.head(1).with_columns(confusion=pl.lit(0.99)))
    result = fit_map(tables(alone), THRESHOLD)
    assert result.rows.is_empty()
    assert FIT_DISTANCE not in result.decisions
    placed = build_persona_map(*OTHERS, result.rows, THRESHOLD)
    assert placed.rows.equals(pl.DataFrame(schema=MAP))
    assert placed.reasons() == {"no_landmarks": 70}
    # Landmarks come with the first readable personas.
    assert keep_map(result.rows, result.decisions, tables(OTHERS)) is None


def test_fit_is_kept_until_its_vectors_are_those_of_another_model() -> None:
    home = shard(units(50))
    result = fit_map(tables(home), THRESHOLD)
    grown = tables(home, OTHERS)
    kept = keep_map(result.rows, result.decisions, grown)
    assert kept is not None
    assert kept.rows.equals(result.rows)
    assert kept.decisions == result.decisions
    rounded = shard(units(50).astype(np.float16).astype(np.float32))
    assert keep_map(result.rows, result.decisions, tables(rounded)) is not None
    mirrored = shard(units(50)[:, ::-1].copy())
    assert keep_map(result.rows, result.decisions, tables(mirrored)) is None
    shorter = shard(units(50)[:, :10].copy())
    assert keep_map(result.rows, result.decisions, tables(shorter)) is None


def test_growth_advises_a_refit_of_an_outgrown_map() -> None:
    home = shard(units(50))
    result = fit_map(tables(home), THRESHOLD)
    alike, foreign = shard(units(20, seed=8), "c"), shard(-units(200), "d")
    same, more, other = (
        growth(result.decisions, state_of(result.rows, tables(*now), THRESHOLD))
        for now in ([home], [home, alike], [home, foreign])
    )
    assert same["distance"] == same["distance_at_the_fit"]
    assert (same["came_after_the_fit"], same["advice"]) == (0, "the map fits the hub")
    assert more["came_after_the_fit"] == pytest.approx(2 / 7)
    assert more["advice"] == "the map fits the hub"
    assert other["advice"].startswith("refit the map: 80 % of the personas came after the fit, and")
    assert "times as far as at the fit" in other["advice"]


def test_vectors_of_other_dimensions_name_the_table_to_make() -> None:
    with pytest.raises(ValueError, match="materialize map_landmarks again"):
        Landmarks(FITTED).place(np.eye(3, dtype=np.float32))


@settings(max_examples=20)
@given(st.integers(2, LEAST_PACMAP - 1), st.integers(1, 40))
def test_every_persona_has_a_finite_place(rows: int, clusters: int) -> None:
    table = fit_landmarks(shard(units(rows, seed=rows))[1].select("persona_id", "vector"), clusters)
    placed = build_persona_map(*OTHERS, table, THRESHOLD).rows
    inside = (placed["x"] >= table["x"].min()) & (placed["x"] <= table["x"].max())
    assert inside.all()
    assert set(placed["cluster"]) <= set(table["cluster"])
