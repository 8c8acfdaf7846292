"""Graphs of similar sets, and the sets of rows."""

from hypothesis import strategies as st

from persona_assets.dedup.edges import Edges

Graph = dict[tuple[int, int], float]
SETS = 10

graphs = st.dictionaries(
    st.tuples(st.integers(0, SETS - 1), st.integers(0, SETS - 1)).filter(lambda p: p[0] < p[1]),
    st.sampled_from([0.9, 0.925, 0.95]),
    max_size=25,
)
"""Pairs of sets; some of the sets have no rows."""
sets_of_rows = st.lists(st.integers(0, SETS - 1), max_size=16)


def edges_of(graph: Graph) -> Edges:
    return Edges.from_pairs([i for i, _ in graph], [j for _, j in graph], list(graph.values()))


def likeness(graph: Graph, one: int, other: int) -> float | None:
    return 1.0 if one == other else graph.get((min(one, other), max(one, other)))
