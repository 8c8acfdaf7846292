"""Specification of `choose_survivors`: the greedy pass over rows in priority order."""

from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.dedup.lexical.lexical_join import lexical_join
from persona_assets.dedup.survivors import Survivors, choose_survivors
from persona_assets_tests.dedup.graphs import (
    SETS,
    Graph,
    edges_of,
    graphs,
    sets_of_rows,
    similarity_between,
)
from persona_assets_tests.dedup.texts import any_texts, brute_force, related_texts


def survivors_of(
    sets: list[int], graph: Graph, priority: list[int] | list[float] | None = None
) -> Survivors:
    priorities = None if priority is None else np.array(priority)
    return choose_survivors(np.array(sets, np.int64), edges_of(graph), priorities)


def greedy_pass(sets: list[int], graph: Graph, order: list[int]) -> tuple[list[int], list[float]]:
    """Choose survivors row by row, as the definition does."""
    survivor, similarity = list(range(len(sets))), [1.0] * len(sets)
    kept: list[int] = []
    first_row: dict[int, int] = {}
    for row in order:
        own = sets[row]
        if own in first_row:
            first = first_row[own]
            survivor[row], similarity[row] = survivor[first], similarity[first]
            continue
        first_row[own] = row
        best = 0.0
        for other in kept:
            candidate = similarity_between(graph, own, sets[other])
            if candidate is not None and candidate > best:
                best, survivor[row], similarity[row] = candidate, other, candidate
        if not best:
            kept.append(row)
    return survivor, similarity


@settings(deadline=None, max_examples=150)
@given(sets_of_rows, graphs, st.data())
def test_survivors_equal_the_greedy_pass_and_keep_its_guarantees(
    sets: list[int], graph: Graph, data: st.DataObject
) -> None:
    n = len(sets)
    ranks = st.integers(0, 4)
    priority = data.draw(st.none() | st.lists(ranks, min_size=n, max_size=n))
    result = survivors_of(sets, graph, priority)
    order = sorted(range(n), key=lambda row: (priority[row] if priority else 0, row))
    assert (result.row.tolist(), result.similarity.tolist()) == greedy_pass(sets, graph, order)
    kept = [row for row in range(n) if result.row[row] == row]
    assert result.dropped().tolist() == [row for row in range(n) if row not in kept]
    for i, row in enumerate(kept):
        assert all(similarity_between(graph, sets[row], sets[other]) is None for other in kept[:i])
    for row, survivor in enumerate(result.row.tolist()):
        assert survivor in kept
        assert similarity_between(graph, sets[row], sets[survivor]) == result.similarity[row]
        # Only rows visited earlier decide.
        assert order.index(survivor) <= order.index(row)


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs)
def test_kept_rows_equal_those_of_a_pass_over_all_pairs_of_rows(
    sets: list[int], graph: Graph
) -> None:
    kept: list[int] = []
    for row in range(len(sets)):
        if all(similarity_between(graph, sets[row], sets[other]) is None for other in kept):
            kept.append(row)
    result = survivors_of(sets, graph)
    assert np.flatnonzero(result.row == np.arange(len(sets))).tolist() == kept


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs, st.integers(0, 16))
def test_appended_rows_change_no_earlier_decision(
    sets: list[int], graph: Graph, count: int
) -> None:
    before, after = survivors_of(sets[:count], graph), survivors_of(sets, graph)
    assert after.row.tolist()[:count] == before.row.tolist()
    assert after.similarity.tolist()[:count] == before.similarity.tolist()


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs, st.randoms())
def test_a_priority_without_ties_makes_the_order_of_rows_irrelevant(
    sets: list[int], graph: Graph, random: Random
) -> None:
    n = len(sets)
    priority, place = random.sample(range(n), n), random.sample(range(n), n)
    moved_sets, moved_priority = [0] * n, [0] * n
    for row in range(n):
        moved_sets[place[row]], moved_priority[place[row]] = sets[row], priority[row]
    original = survivors_of(sets, graph, priority)
    moved = survivors_of(moved_sets, graph, moved_priority)
    assert [place[i] for i in original.row.tolist()] == [moved.row[place[row]] for row in range(n)]
    assert original.similarity.tolist() == [moved.similarity[place[row]] for row in range(n)]


@settings(deadline=None, max_examples=60)
@given(sets_of_rows, graphs, st.permutations(range(SETS)))
def test_the_numbers_of_the_sets_do_not_matter(
    sets: list[int], graph: Graph, number: list[int]
) -> None:
    renumbered = {
        (min(number[i], number[j]), max(number[i], number[j])): similarity
        for (i, j), similarity in graph.items()
    }
    original = survivors_of(sets, graph)
    renamed = survivors_of([number[own] for own in sets], renumbered)
    assert original.row.tolist() == renamed.row.tolist()
    assert original.similarity.tolist() == renamed.similarity.tolist()


@settings(deadline=None, max_examples=60)
@given(
    related_texts() | st.lists(any_texts, max_size=10),
    st.sampled_from([Fraction(9, 10), Fraction(1, 2)]),
)
def test_no_two_kept_texts_are_similar_and_each_dropped_text_has_a_similar_survivor(
    texts: list[str], threshold: Fraction
) -> None:
    join = lexical_join(texts, threshold)
    result = choose_survivors(join.sets, join.edges)
    pairs = {(i, j): similarity for i, j, similarity in brute_force(texts, threshold)}
    kept = set(range(len(texts))) - set(result.dropped().tolist())
    assert not any(i in kept and j in kept for i, j in pairs)
    for row in result.dropped().tolist():
        survivor = int(result.row[row])
        assert survivor in kept
        assert pairs[survivor, row] == result.similarity[row]


def test_a_chain_loses_every_other_row_and_not_all_but_the_first() -> None:
    chain = {(i, i + 1): 0.95 for i in range(5)}
    assert survivors_of(list(range(6)), chain).row.tolist() == [0, 0, 2, 2, 4, 4]
    assert survivors_of([0, 1, 1, 2, 2, 3], chain).row.tolist() == [0, 0, 0, 3, 3, 3]


def test_the_survivor_is_the_most_similar_kept_row_and_of_equals_the_first_visited() -> None:
    graph = {(0, 3): 0.9, (1, 3): 0.95, (2, 3): 0.95}
    assert survivors_of([0, 1, 2, 3], graph).row.tolist() == [0, 1, 2, 1]
    assert survivors_of([0, 1, 2, 3], graph, [0, 2, 1, 3]).row.tolist() == [0, 1, 2, 2]
    assert survivors_of([0, 1, 2, 3], graph).similarity.tolist() == [1, 1, 1, 0.95]


def test_without_rows_or_edges_only_repeats_are_dropped() -> None:
    assert survivors_of([], {}).row.tolist() == []
    assert survivors_of([], {(0, 1): 0.9}).row.tolist() == []
    assert survivors_of([0, 1, 2], {}).row.tolist() == [0, 1, 2]
    assert survivors_of([7, 7, 5], {}).row.tolist() == [0, 0, 2]
    assert survivors_of([4, 4], {}, [2.5, -1]).row.tolist() == [1, 1]


def test_a_priority_of_the_wrong_shape_or_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="one value a row"):
        survivors_of([0, 1, 2], {}, [0, 1])
    with pytest.raises(ValueError, match="no NaN"):
        survivors_of([0, 1, 2], {}, [0, float("nan"), 1])
