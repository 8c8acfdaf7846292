from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.lexical import lexical_edges
from persona_assets.dedup.survivors import Edges, duplicates, survivors

Graph = dict[tuple[int, int], float]
ROWS = 14

graphs = st.dictionaries(
    st.tuples(st.integers(0, ROWS - 1), st.integers(0, ROWS - 1)).filter(lambda p: p[0] < p[1]),
    st.sampled_from([0.9, 0.925, 0.95, 1.0]),
)
priorities = st.lists(st.integers(0, 5), min_size=ROWS, max_size=ROWS)


def edges_of(graph: Graph) -> Edges:
    return Edges.of([i for i, _ in graph], [j for _, j in graph], list(graph.values()))


def greedy(graph: Graph, order: list[int]) -> list[int]:
    """The definition, row by row."""
    survivor = list(range(len(order)))
    taken: list[int] = []
    for row in order:
        best = -1.0
        for other in taken:
            similarity = graph.get((min(row, other), max(row, other)), -1.0)
            if survivor[other] == other and similarity > best:
                best, survivor[row] = similarity, other
        taken.append(row)
    return survivor


@settings(deadline=None, max_examples=200)
@given(graphs, st.none() | priorities)
def test_equals_the_definition_and_keeps_its_promises(
    graph: Graph, priority: list[int] | None
) -> None:
    edges = edges_of(graph)
    result = survivors(ROWS, edges, None if priority is None else np.array(priority))
    order = sorted(range(ROWS), key=lambda row: (priority[row] if priority else 0, row))
    assert result.dtype == np.int64
    assert result.tolist() == greedy(graph, order)
    kept = {row for row in range(ROWS) if result[row] == row}
    assert not any(i in kept and j in kept for i, j in graph)
    ids = [f"p{row}" for row in range(ROWS)]
    gone = duplicates(ids, edges, result)
    assert [row_id for row_id, _, _ in gone] == [f"p{i}" for i in range(ROWS) if i not in kept]
    for row_id, survivor_id, similarity in gone:
        i, j = int(row_id[1:]), int(survivor_id[1:])
        assert j in kept
        assert graph[min(i, j), max(i, j)] == similarity


@settings(deadline=None, max_examples=100)
@given(graphs, st.integers(0, ROWS))
def test_appending_rows_changes_no_earlier_decision(graph: Graph, first: int) -> None:
    before = {pair: similarity for pair, similarity in graph.items() if pair[1] < first}
    earlier = survivors(first, edges_of(before)).tolist()
    assert survivors(ROWS, edges_of(graph)).tolist()[:first] == earlier


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(alphabet="ab ", max_size=7)), st.lists(st.text(alphabet="ab ", max_size=7)))
def test_appending_texts_changes_no_earlier_decision(old: list[str], new: list[str]) -> None:
    half = Fraction(1, 2)
    earlier = survivors(len(old), lexical_edges(old, half)).tolist()
    texts = old + new
    assert survivors(len(texts), lexical_edges(texts, half)).tolist()[: len(old)] == earlier


@settings(deadline=None, max_examples=100)
@given(graphs, st.permutations(range(ROWS)), st.permutations(range(ROWS)))
def test_a_priority_without_ties_makes_the_order_of_rows_irrelevant(
    graph: Graph, priority: list[int], place: list[int]
) -> None:
    moved = {
        (min(place[i], place[j]), max(place[i], place[j])): value for (i, j), value in graph.items()
    }
    moved_priority = np.empty(ROWS, np.int64)
    moved_priority[place] = priority
    here = survivors(ROWS, edges_of(graph), np.array(priority))
    there = survivors(ROWS, edges_of(moved), moved_priority)
    assert [place[i] for i in here.tolist()] == [int(there[place[row]]) for row in range(ROWS)]


def test_a_chain_loses_every_other_row_and_not_all_but_one() -> None:
    chain = edges_of({(i, i + 1): 0.95 for i in range(5)})
    assert survivors(6, chain).tolist() == [0, 0, 2, 2, 4, 4]


def test_no_rows_and_no_edges() -> None:
    assert survivors(0, Edges.of([], [], [])).tolist() == []
    assert survivors(3, Edges.of([], [], [])).tolist() == [0, 1, 2]
    assert duplicates(["a", "b"], Edges.of([], [], []), np.arange(2)) == []


def test_edges_in_any_order_and_orientation_are_put_straight() -> None:
    edges = Edges.of([3, 0, 2], [1, 2, 1], [0.9, 1.0, 0.95])
    assert edges.left.tolist() == [0, 1, 1]
    assert edges.right.tolist() == [2, 2, 3]
    assert edges.similarity.tolist() == [1.0, 0.95, 0.9]


@pytest.mark.parametrize(
    ("a", "b", "similarity", "message"),
    [
        ([0], [0], [1], "two positions"),
        ([-1], [0], [1], "two positions"),
        ([0, 1], [1, 0], [1, 1], "once"),
        ([0], [1, 2], [1], "one length"),
        ([0, 1], [1, 2], [1], "one length"),
    ],
)
def test_what_is_no_edge_list_is_refused(
    a: list[int], b: list[int], similarity: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Edges.of(a, b, similarity)


def test_bad_arguments() -> None:
    edges = Edges.of([0], [2], [0.95])
    with pytest.raises(ValueError, match="row 2, but there are 2 rows"):
        survivors(2, edges)
    with pytest.raises(ValueError, match="one value a row"):
        survivors(3, edges, np.arange(2))
    with pytest.raises(ValueError, match="no NaN"):
        survivors(3, edges, np.array([0, np.nan, 1]))
    with pytest.raises(ValueError, match="2 ids"):
        duplicates(["a", "b"], edges, np.arange(3))
    with pytest.raises(ValueError, match="no edge to its survivor"):
        duplicates(["a", "b", "c"], edges, np.array([0, 0, 2]))
