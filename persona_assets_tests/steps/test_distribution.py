"""A distribution counts each sample once, and weighs strata by their personas in the hub."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.clusters import CLUSTERS
from persona_assets.steps.distribution import (
    ALL,
    DISTRIBUTION,
    OFF_THE_MAP,
    build_distribution,
    with_clusters,
)
from persona_assets.steps.grading import accuracy
from persona_assets.steps.persona_map import MAP
from persona_assets.storage.step_result import typed_frame

VALUES = ("for", "undecided", "against")


def tables(
    personas: list[tuple[int, str]], stances: dict[int, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return samples and a hub of personas by hop and language, and the stance of some of them."""
    hub = pl.DataFrame(
        [(str(number), hop, language) for number, (hop, language) in enumerate(personas)],
        schema={"persona_id": pl.String, "hop": pl.Int64, "language": pl.String},
        orient="row",
    )
    samples = pl.DataFrame(
        [(str(number), stance) for number, stance in stances.items()],
        schema={"persona_id": pl.String, "stance": pl.String},
        orient="row",
    )
    return samples, hub


def test_hub_shares_weigh_strata_by_their_personas() -> None:
    # Nine in ten personas are of hop 0, and each hop has two samples.
    samples, hub = tables(
        [(0, "en")] * 90 + [(1, "en")] * 10, {0: "for", 1: "for", 90: "against", 91: "for"}
    )
    rows = build_distribution(samples, hub, "stance", VALUES).rows
    whole = {row["value"]: row for row in rows.filter(pl.col("stratum") == ALL).to_dicts()}
    assert {value: row["count"] for value, row in whole.items()} == {
        "for": 3,
        "undecided": 0,
        "against": 1,
    }
    assert whole["for"]["share"] == pytest.approx(0.95)
    assert whole["against"]["share"] == pytest.approx(0.05)
    # 4 samples of such different weights tell as much as 2.4 of equal weights.
    assert whole["undecided"]["high"] == pytest.approx(3.8415 / (100**2 / 4100 + 3.8415), abs=1e-4)
    assert rows["stratum"].unique(maintain_order=True).to_list() == [
        ALL,
        "hop 0, language en",
        "hop 1, language en",
    ]


def test_interval_of_a_stratum_is_that_of_its_count() -> None:
    samples, hub = tables([(0, "en")] * 20, {n: VALUES[n % 2] for n in range(20)})
    rows = build_distribution(samples, hub, "stance", VALUES, ("language",)).rows
    expected = accuracy(10, 20)
    for row in rows.filter(pl.col("value") == "for").to_dicts():
        assert (row["n"], row["count"]) == (20, 10)
        assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_distribution_without_samples_is_empty() -> None:
    samples, hub = tables([(0, "en")], {})
    assert build_distribution(samples, hub, "stance", VALUES).rows.schema == DISTRIBUTION
    assert build_distribution(samples, hub, "stance", VALUES).rows.is_empty()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["en", "zh"])), min_size=1, max_size=30),
    st.data(),
)
def test_shares_add_up_to_one_within_their_intervals(
    personas: list[tuple[int, str]], data: st.DataObject
) -> None:
    numbers = st.integers(0, len(personas) - 1)
    stances = data.draw(st.dictionaries(numbers, st.sampled_from(VALUES), min_size=1))
    samples, hub = tables(personas, stances)
    rows = build_distribution(samples, hub, "stance", VALUES).rows
    for _, group in rows.group_by("stratum"):
        assert group["share"].sum() == pytest.approx(1)
        assert group["count"].sum() == group["n"][0]
    assert ((rows["low"] <= rows["share"] + 1e-9) & (rows["share"] <= rows["high"] + 1e-9)).all()
    by_stratum = rows.filter(pl.col("stratum") != ALL)
    assert by_stratum["count"].sum() == len(stances)


def clustered(hub: pl.DataFrame, clusters: list[int | None]) -> pl.DataFrame:
    """Add clusters to a hub; a persona of the cluster None is not on the map."""
    placed = [
        {"persona_id": persona_id, "cluster": cluster}
        for persona_id, cluster in zip(hub["persona_id"], clusters, strict=True)
        if cluster is not None
    ]
    labels = [{"cluster": number, "label": f"{number}: nurse, ward"} for number in range(3)]
    return with_clusters(hub, typed_frame(placed, MAP), typed_frame(labels, CLUSTERS))


def test_clusters_form_strata_beside_hops_and_languages() -> None:
    samples, hub = tables(
        [(0, "en")] * 90 + [(1, "en")] * 10,
        {0: "for", 1: "against", 90: "for", 91: "for", 92: "against"},
    )
    hub = clustered(hub, [0, 1, *[None] * 88, 0, 1, None, *[2] * 7])
    rows = build_distribution(samples, hub, "stance", VALUES).rows
    assert rows["strata"].unique(maintain_order=True).to_list() == [ALL, "hop, language", "cluster"]
    assert rows.filter(pl.col("strata") != "cluster").equals(
        build_distribution(samples, hub.drop("cluster"), "stance", VALUES).rows
    )
    found = {
        (row["stratum"], row["value"]): row
        for row in rows.filter(pl.col("strata") == "cluster").to_dicts()
    }
    assert {stratum for stratum, _ in found} == {
        "cluster 0: nurse, ward",
        "cluster 1: nurse, ward",
        f"cluster {OFF_THE_MAP}",
    }
    assert found["cluster 0: nurse, ward", "for"]["n"] == 2
    # A sample of hop 0 stands for 45 personas, one of hop 1 for 10 / 3.
    share = found["cluster 1: nurse, ward", "against"]["share"]
    assert share == pytest.approx(45 / (45 + 10 / 3))
    assert found[f"cluster {OFF_THE_MAP}", "against"]["personas"] == 89


def test_samples_spread_over_clusters_are_weighed_by_clusters() -> None:
    samples, hub = tables([(0, "en")] * 10, {0: "for", 1: "against"})
    hub = clustered(hub, [0, *[1] * 9])
    rows = build_distribution(samples, hub, "stance", VALUES, ("cluster",)).rows
    whole = dict(rows.filter(pl.col("stratum") == ALL).select("value", "share").iter_rows())
    assert (whole["for"], whole["against"]) == pytest.approx((0.1, 0.9))
    assert rows["strata"].unique(maintain_order=True).to_list() == [ALL, "cluster"]


def test_hub_without_a_map_has_no_strata_of_clusters() -> None:
    samples, hub = tables([(0, "en")] * 2, {0: "for"})
    rows = build_distribution(samples, clustered(hub, [None, None]), "stance", VALUES).rows
    assert "cluster" not in rows["strata"]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["en", "zh"]), st.sampled_from([0, 1, None])),
        min_size=1,
        max_size=30,
    ),
    st.data(),
)
def test_clusters_add_up_to_the_samples(
    personas: list[tuple[int, str, int | None]], data: st.DataObject
) -> None:
    numbers = st.integers(0, len(personas) - 1)
    stances = data.draw(st.dictionaries(numbers, st.sampled_from(VALUES), min_size=1))
    samples, hub = tables([(hop, language) for hop, language, _ in personas], stances)
    hub = clustered(hub, [cluster for *_, cluster in personas])
    rows = build_distribution(samples, hub, "stance", VALUES).rows
    for _, division in rows.group_by("strata"):
        assert division["count"].sum() == len(stances)
    for _, group in rows.group_by("strata", "stratum"):
        assert group["share"].sum() == pytest.approx(1)
        assert group["count"].sum() == group["n"][0] <= group["personas"][0]
    assert ((rows["low"] <= rows["share"] + 1e-9) & (rows["share"] <= rows["high"] + 1e-9)).all()
