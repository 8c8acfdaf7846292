"""Reader of the output of a join on Spark, in the form of the local engine's result."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.lexical.lexical_join import LexicalJoin
from persona_assets.dedup.spark.parquet_rows import positions


def read_joined(folder: Path, members: list[npt.NDArray[np.int64]]) -> LexicalJoin:
    """Read the result; `members` are the rows of each file that took part."""
    edges, repeats = pq.read_table(folder / "edges"), pq.read_table(folder / "repeats")
    sets = np.arange(sum(map(len, members)))
    rows = positions(repeats["row"].to_numpy(), members)
    sets[rows] = positions(repeats["first"].to_numpy(), members)
    left, right = (positions(edges[side].to_numpy(), members) for side in ("left", "right"))
    return LexicalJoin(sets, Edges.from_pairs(left, right, edges["similarity"].to_numpy()))


def assert_equal_joins(actual: LexicalJoin, expected: LexicalJoin) -> None:
    assert actual.sets.tolist() == expected.sets.tolist()
    assert actual.edges.left.tolist() == expected.edges.left.tolist()
    assert actual.edges.right.tolist() == expected.edges.right.tolist()
    assert actual.edges.similarity.tolist() == expected.edges.similarity.tolist()
