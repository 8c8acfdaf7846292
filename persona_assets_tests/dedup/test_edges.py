"""Specification of `Edges`: sorted distinct pairs, their expansion to rows, and their limit."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.edges import MAX_EDGES, EdgeBuilder, Edges
from persona_assets_tests.dedup.graphs import (
    Graph,
    edges_of,
    graphs,
    sets_of_rows,
    similarity_between,
)


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs)
def test_expanded_edges_join_rows_of_equal_and_of_similar_sets(
    sets: list[int], graph: Graph
) -> None:
    edges = edges_of(graph).expanded(np.array(sets, np.int64))
    expected = {
        (i, j): similarity
        for j in range(len(sets))
        for i in range(j)
        if (similarity := similarity_between(graph, sets[i], sets[j])) is not None
    }
    pairs = zip(edges.left.tolist(), edges.right.tolist(), strict=True)
    assert dict(zip(pairs, edges.similarity.tolist(), strict=True)) == expected


def test_edges_from_pairs_sorts_pairs_and_orients_them() -> None:
    edges = Edges.from_pairs([3, 0, 2], [1, 2, 1], [0.9, 1.0, 0.95])
    assert edges.left.tolist() == [0, 1, 1]
    assert edges.right.tolist() == [2, 2, 3]
    assert edges.similarity.tolist() == [1.0, 0.95, 0.9]


@settings(deadline=None, max_examples=60)
@given(graphs, graphs)
def test_edges_count_the_pairs_they_share(graph: Graph, other: Graph) -> None:
    assert edges_of(graph).count_shared(edges_of(other)) == len(graph.keys() & other.keys())


@settings(deadline=None, max_examples=60)
@given(graphs, st.randoms(), st.lists(st.integers(0, 25), max_size=3))
def test_edge_builder_collects_pairs_added_in_pieces(
    graph: Graph, random: Random, cuts: list[int]
) -> None:
    pairs = [(*random.sample(pair, 2), similarity) for pair, similarity in graph.items()]
    random.shuffle(pairs)
    builder = EdgeBuilder()
    ends = sorted(min(cut, len(pairs)) for cut in cuts)
    for piece in np.split(np.array(pairs).reshape(-1, 3), ends):
        assert builder.add(piece[:, 0].astype(int), piece[:, 1].astype(int), piece[:, 2])
    built, expected = builder.edges(), edges_of(graph)
    assert built.left.tolist() == expected.left.tolist()
    assert built.right.tolist() == expected.right.tolist()
    assert built.similarity.tolist() == expected.similarity.tolist()
    assert len(builder.edges()) == 0


def test_edge_builder_refuses_too_many_pairs_and_names_the_largest_degree() -> None:
    builder = EdgeBuilder(known=MAX_EDGES - 4)
    a, b = np.array([7, 7, 2, 9]), np.array([1, 9, 7, 8])
    assert builder.add(a, b, np.ones(4))
    assert not builder.add(a[:1], np.array([100]), np.ones(1))
    with pytest.raises(ValueError, match=r"100,000,000 pairs .*\(4 of them, .*raise the threshold"):
        builder.edges()


def test_expanded_refuses_too_many_pairs_before_it_allocates_them() -> None:
    rows_of_a_single_set = np.zeros(14_200, np.int64)
    with pytest.raises(ValueError, match=r"14,199 of them.*drop identical"):
        Edges.from_pairs([], [], []).expanded(rows_of_a_single_set)


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
def test_edges_from_pairs_refuses_invalid_pairs(
    a: list[int], b: list[int], similarity: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Edges.from_pairs(a, b, similarity)
