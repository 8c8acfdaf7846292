from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.edges import MAX_EDGES, EdgeBuilder, Edges
from persona_assets_tests.dedup.graphs import Graph, edges_of, graphs, likeness, sets_of_rows


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs)
def test_pairs_of_rows_are_those_of_one_set_and_of_similar_ones(
    sets: list[int], graph: Graph
) -> None:
    found = edges_of(graph).expanded(np.array(sets, np.int64))
    expected = {
        (i, j): near
        for j in range(len(sets))
        for i in range(j)
        if (near := likeness(graph, sets[i], sets[j])) is not None
    }
    pairs = zip(found.left.tolist(), found.right.tolist(), strict=True)
    assert dict(zip(pairs, found.similarity.tolist(), strict=True)) == expected


def test_edges_in_any_order_and_orientation_are_put_straight() -> None:
    edges = Edges.from_pairs([3, 0, 2], [1, 2, 1], [0.9, 1.0, 0.95])
    assert edges.left.tolist() == [0, 1, 1]
    assert edges.right.tolist() == [2, 2, 3]
    assert edges.similarity.tolist() == [1.0, 0.95, 0.9]


@settings(deadline=None, max_examples=60)
@given(graphs, graphs)
def test_pairs_in_both_are_counted(one: Graph, other: Graph) -> None:
    assert edges_of(one).count_shared(edges_of(other)) == len(one.keys() & other.keys())


@settings(deadline=None, max_examples=60)
@given(graphs, st.randoms(), st.lists(st.integers(0, 25), max_size=3))
def test_what_is_found_piece_by_piece_is_put_together(
    graph: Graph, random: Random, cuts: list[int]
) -> None:
    pairs = [(*random.sample(pair, 2), near) for pair, near in graph.items()]
    random.shuffle(pairs)
    builder = EdgeBuilder()
    for piece in np.split(np.array(pairs).reshape(-1, 3), sorted(min(c, len(pairs)) for c in cuts)):
        assert builder.add(piece[:, 0].astype(int), piece[:, 1].astype(int), piece[:, 2])
    built, expected = builder.edges(), edges_of(graph)
    assert built.left.tolist() == expected.left.tolist()
    assert built.right.tolist() == expected.right.tolist()
    assert built.similarity.tolist() == expected.similarity.tolist()
    assert len(builder.edges()) == 0


def test_more_pairs_than_can_be_held_are_refused() -> None:
    builder = EdgeBuilder(known=MAX_EDGES - 4)
    one, other = np.array([7, 7, 2, 9]), np.array([1, 9, 7, 8])
    assert builder.add(one, other, np.ones(4))
    assert not builder.add(one[:1], np.array([100]), np.ones(1))
    with pytest.raises(ValueError, match=r"100,000,000 pairs .*\(4 of them, .*raise the threshold"):
        builder.edges()
    alike = np.zeros(14_200, np.int64)
    with pytest.raises(ValueError, match=r"14,199 of them.*drop identical"):
        Edges.from_pairs([], [], []).expanded(alike)


@pytest.mark.parametrize(
    ("a", "b", "similarity", "message"),
    [
        ([0], [0], [1], "two positions"),
        ([-1], [0], [1], "two positions"),
        ([0, 1], [1, 0], [1, 1], "once"),
        ([0], [1, 2], [1], "one length"),
        ([0, 1], [1, 2], [1], "one length"),
        ([0], [2**32], [1], "below 2"),
    ],
)
def test_what_is_no_edge_list_is_refused(
    a: list[int], b: list[int], similarity: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Edges.from_pairs(a, b, similarity)
