"""Clusters have their own words and most typical personas, however shards divide them."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.clusters import CLUSTERS, build_clusters
from persona_assets.steps.persona_map import MAP

NURSES = [
    "A nurse on a night ward who knits",
    "A nurse who trains in a ward for burns",
    "A retired nurse who misses the ward",
]
MINERS = ["A miner who sings in a coal town", "A coal miner who breeds pigeons"]
TEACHERS = ["退休教师喜欢养花", "小学教师喜欢骑车"]
PERSONAS = [
    (text, cluster) for cluster, group in enumerate((NURSES, MINERS, TEACHERS)) for text in group
]


def shard(rows: list[tuple[int, str, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the map and the hub of a shard from number, persona and cluster.

    The first persona of a cluster is the most typical one.
    """
    placed = [
        (f"p{number}", float(number), -float(cluster), cluster, 1 - number / 100)
        for number, _, cluster in rows
    ]
    hub = {"persona_id": [f"p{n}" for n, *_ in rows], "persona": [text for _, text, _ in rows]}
    schema = {"persona_id": pl.String, "persona": pl.String}
    return pl.DataFrame(placed, schema=MAP, orient="row"), pl.DataFrame(hub, schema=schema)


ROWS = [(number, *row) for number, row in enumerate(PERSONAS)]
WHOLE = build_clusters([shard(ROWS)]).rows


def test_clusters_are_named_by_the_words_that_set_them_apart() -> None:
    assert WHOLE.schema == CLUSTERS
    rows = {row["cluster"]: row for row in WHOLE.to_dicts()}
    assert rows[0]["label"] == "0: nurse, ward"
    assert set(rows[1]["words"][:2]) == {"miner", "coal"}
    assert {"who", "a", "in"}.isdisjoint(word for row in rows.values() for word in row["words"])
    # A script without spaces has words of two characters.
    assert {"教师", "喜欢"} <= set(rows[2]["words"])
    assert [row["size"] for row in rows.values()] == [3, 2, 2]
    assert rows[0]["share"] == 3 / 7


def test_clusters_show_the_personas_nearest_to_their_centre() -> None:
    first = WHOLE.row(0, named=True)
    assert first["examples"] == NURSES
    assert first["example_ids"] == ["p0", "p1", "p2"]
    assert (first["x"], first["y"]) == (1.0, 0.0)


def test_single_cluster_has_no_words_to_set_it_apart() -> None:
    [row] = build_clusters([shard([(n, text, 0) for n, text, _ in ROWS])]).rows.to_dicts()
    assert (row["label"], row["words"], row["size"]) == ("0", [], 7)


def test_clusters_of_no_personas_are_an_empty_table() -> None:
    for shards in ([], [shard([])]):
        assert build_clusters(shards).rows.equals(pl.DataFrame(schema=CLUSTERS))


def test_words_of_a_cluster_hold_no_markup() -> None:
    hostile = '<img src=x onerror="alert(1)"> ![](javascript:alert(2)) $\\frac{a}{b}$ who bakes'
    rows = [*ROWS, *((n, hostile, 3) for n in (7, 8))]
    found = build_clusters([shard(rows)]).rows.filter(pl.col("cluster") == 3).row(0, named=True)
    assert found["words"]
    assert all(word.isalnum() for word in found["words"])


@given(st.lists(st.integers(0, 3), min_size=len(ROWS), max_size=len(ROWS)), st.randoms())
def test_clusters_do_not_depend_on_the_division_into_shards(homes: list[int], random) -> None:
    rows = ROWS.copy()
    random.shuffle(rows)
    shards = [shard([row for row in rows if homes[row[0]] == home]) for home in range(4)]
    assert build_clusters(shards).rows.equals(WHOLE)
