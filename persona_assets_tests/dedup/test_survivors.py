from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.lexical.lexical_join import lexical_join
from persona_assets.dedup.survivors import Survivors, choose_survivors
from persona_assets_tests.dedup.graphs import SETS, Graph, edges_of, graphs, likeness, sets_of_rows
from persona_assets_tests.dedup.texts import any_texts, brute_force, related_texts

ranks = st.integers(0, 4)


def decided(
    sets: list[int], graph: Graph, priority: list[int] | list[float] | None = None
) -> Survivors:
    ranks = None if priority is None else np.array(priority)
    return choose_survivors(np.array(sets, np.int64), edges_of(graph), ranks)


def greedy(sets: list[int], graph: Graph, order: list[int]) -> tuple[list[int], list[float]]:
    """The definition, row by row."""
    survivor, similarity = list(range(len(sets))), [1.0] * len(sets)
    kept: list[int] = []
    first: dict[int, int] = {}
    for row in order:
        one = sets[row]
        if one in first:
            survivor[row], similarity[row] = survivor[first[one]], similarity[first[one]]
            continue
        first[one] = row
        best = 0.0
        for other in kept:
            near = likeness(graph, one, sets[other])
            if near is not None and near > best:
                best, survivor[row], similarity[row] = near, other, near
        if not best:
            kept.append(row)
    return survivor, similarity


@settings(deadline=None, max_examples=150)
@given(sets_of_rows, graphs, st.data())
def test_equals_the_definition_and_keeps_its_promises(
    sets: list[int], graph: Graph, data: st.DataObject
) -> None:
    n = len(sets)
    priority = data.draw(st.none() | st.lists(ranks, min_size=n, max_size=n))
    result = decided(sets, graph, priority)
    order = sorted(range(n), key=lambda row: (priority[row] if priority else 0, row))
    assert (result.row.tolist(), result.similarity.tolist()) == greedy(sets, graph, order)
    kept = [row for row in range(n) if result.row[row] == row]
    assert result.dropped().tolist() == [row for row in range(n) if row not in kept]
    for i, one in enumerate(kept):
        assert all(likeness(graph, sets[one], sets[other]) is None for other in kept[:i])
    for row, survivor in enumerate(result.row.tolist()):
        assert survivor in kept
        assert likeness(graph, sets[row], sets[survivor]) == result.similarity[row]
        # Only what was taken earlier decides.
        assert order.index(survivor) <= order.index(row)


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs)
def test_the_rows_that_stay_are_those_of_a_pass_over_all_pairs_of_rows(
    sets: list[int], graph: Graph
) -> None:
    kept: list[int] = []
    for row in range(len(sets)):
        if all(likeness(graph, sets[row], sets[other]) is None for other in kept):
            kept.append(row)
    result = decided(sets, graph)
    assert np.flatnonzero(result.row == np.arange(len(sets))).tolist() == kept


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs, st.integers(0, 16))
def test_appending_rows_changes_no_earlier_decision(
    sets: list[int], graph: Graph, first: int
) -> None:
    earlier, later = decided(sets[:first], graph), decided(sets, graph)
    assert later.row.tolist()[:first] == earlier.row.tolist()
    assert later.similarity.tolist()[:first] == earlier.similarity.tolist()


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs, st.randoms())
def test_a_priority_without_ties_makes_the_order_of_rows_irrelevant(
    sets: list[int], graph: Graph, random: Random
) -> None:
    n = len(sets)
    priority, place = random.sample(range(n), n), random.sample(range(n), n)
    moved, moved_priority = [0] * n, [0] * n
    for row in range(n):
        moved[place[row]], moved_priority[place[row]] = sets[row], priority[row]
    here, there = decided(sets, graph, priority), decided(moved, graph, moved_priority)
    assert [place[i] for i in here.row.tolist()] == [there.row[place[row]] for row in range(n)]
    assert here.similarity.tolist() == [there.similarity[place[row]] for row in range(n)]


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs, st.permutations(range(SETS)))
def test_the_numbers_of_the_sets_mean_nothing(
    sets: list[int], graph: Graph, number: list[int]
) -> None:
    renamed = {
        (min(number[i], number[j]), max(number[i], number[j])): near
        for (i, j), near in graph.items()
    }
    here, there = decided(sets, graph), decided([number[one] for one in sets], renamed)
    assert here.row.tolist() == there.row.tolist()
    assert here.similarity.tolist() == there.similarity.tolist()


@settings(deadline=None, max_examples=60)
@given(
    related_texts() | st.lists(any_texts, max_size=10),
    st.sampled_from([Fraction(9, 10), Fraction(1, 2)]),
)
def test_of_texts_no_two_survivors_are_similar_and_each_that_goes_has_one(
    texts: list[str], threshold: Fraction
) -> None:
    join = lexical_join(texts, threshold)
    result = choose_survivors(join.sets, join.edges)
    near = {(i, j): similarity for i, j, similarity in brute_force(texts, threshold)}
    kept = set(range(len(texts))) - set(result.dropped().tolist())
    assert not any(i in kept and j in kept for i, j in near)
    for row in result.dropped().tolist():
        survivor = int(result.row[row])
        assert survivor in kept
        assert near[survivor, row] == result.similarity[row]


def test_a_chain_loses_every_other_row_and_not_all_but_one() -> None:
    chain = {(i, i + 1): 0.95 for i in range(5)}
    assert decided(list(range(6)), chain).row.tolist() == [0, 0, 2, 2, 4, 4]
    assert decided([0, 1, 1, 2, 2, 3], chain).row.tolist() == [0, 0, 0, 3, 3, 3]


def test_the_most_similar_kept_neighbour_is_the_survivor_and_the_first_taken_of_equals() -> None:
    graph = {(0, 3): 0.9, (1, 3): 0.95, (2, 3): 0.95}
    assert decided([0, 1, 2, 3], graph).row.tolist() == [0, 1, 2, 1]
    assert decided([0, 1, 2, 3], graph, [0, 2, 1, 3]).row.tolist() == [0, 1, 2, 2]
    assert decided([0, 1, 2, 3], graph).similarity.tolist() == [1, 1, 1, 0.95]


def test_no_rows_and_no_edges() -> None:
    assert decided([], {}).row.tolist() == []
    assert decided([], {(0, 1): 0.9}).row.tolist() == []
    assert decided([0, 1, 2], {}).row.tolist() == [0, 1, 2]
    assert decided([7, 7, 5], {}).row.tolist() == [0, 0, 2]
    assert decided([4, 4], {}, [2.5, -1]).row.tolist() == [1, 1]


def test_bad_priorities_are_refused() -> None:
    with pytest.raises(ValueError, match="one value a row"):
        decided([0, 1, 2], {}, [0, 1])
    with pytest.raises(ValueError, match="no NaN"):
        decided([0, 1, 2], {}, [0, float("nan"), 1])
