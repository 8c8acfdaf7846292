"""What a join on Spark wrote, in the form in which the local engine gives it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from persona_assets.dedup.edges import Edges
from persona_assets.dedup.lexical.lexical_join import LexicalJoin
from persona_assets.dedup.spark.parquet_rows import positions


def joined(folder: Path, members: list[npt.NDArray[np.int64]]) -> LexicalJoin:
    """`members` are the rows of each file that took part."""
    edges, repeats = pq.read_table(folder / "edges"), pq.read_table(folder / "repeats")
    sets = np.arange(sum(map(len, members)))
    rows = positions(repeats["row"].to_numpy(), members)
    sets[rows] = positions(repeats["first"].to_numpy(), members)
    left, right = (positions(edges[side].to_numpy(), members) for side in ("left", "right"))
    return LexicalJoin(sets, Edges.from_pairs(left, right, edges["similarity"].to_numpy()))


def assert_same(found: LexicalJoin, expected: LexicalJoin) -> None:
    assert found.sets.tolist() == expected.sets.tolist()
    assert found.edges.left.tolist() == expected.edges.left.tolist()
    assert found.edges.right.tolist() == expected.edges.right.tolist()
    assert found.edges.similarity.tolist() == expected.edges.similarity.tolist()
