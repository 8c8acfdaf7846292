"""Hypothesis strategies for graphs of similar sets, and for the set of each row."""

from hypothesis import strategies as st

from persona_assets.dedup.edges import Edges

Graph = dict[tuple[int, int], float]
"""Similarity by pair of sets, the smaller set first."""

SETS = 10

graphs = st.dictionaries(
    st.tuples(st.integers(0, SETS - 1), st.integers(0, SETS - 1)).filter(lambda p: p[0] < p[1]),
    st.sampled_from([0.9, 0.925, 0.95]),
    max_size=25,
)
"""Graphs of sets, which may have no rows."""

sets_of_rows = st.lists(st.integers(0, SETS - 1), max_size=16)
"""Set of each row."""


def edges_of(graph: Graph) -> Edges:
    return Edges.from_pairs([i for i, _ in graph], [j for _, j in graph], list(graph.values()))


def similarity_between(graph: Graph, a: int, b: int) -> float | None:
    """Return the similarity of two sets: 1 for the same set, None without an edge."""
    return 1.0 if a == b else graph.get((min(a, b), max(a, b)))
