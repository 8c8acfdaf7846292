"""Neighbours are all pairs above a cosine; one with the problem's numbers contains it."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps import neighbours as steps
from persona_assets.steps.contamination import BY_MEANING, PROBLEMS
from persona_assets.steps.neighbours import (
    FORBIDDEN_VECTORS,
    MissingVectorError,
    ProblemVectors,
    build_forbidden_vectors,
    contained_by_meaning,
    neighbours,
)
from persona_assets.steps.samples import SAMPLE_EMBEDDINGS
from persona_assets.storage.step_result import typed_frame

FERRY = "A ferry carries $18$ cars of $1200$ kg each. How heavy are they together?"
REWORDED = "What do 18 cars weigh if a single one of them weighs 1200 kg?"
LIGHTER = REWORDED.replace("1200", "900")
BAKER = "A baker sells $7$ of $31$ loaves. How many are left?"
NORTH, NEAR, EAST = [1.0, 0.0, 0.0], [0.96, 0.28, 0.0], [0.0, 0.0, 1.0]


def units(rows: int, dimensions: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def found(*arguments: Any) -> dict[tuple[int, int], float]:
    return {
        (row, other): cosine
        for rows, others, cosines in neighbours(*arguments)
        for row, other, cosine in zip(rows.tolist(), others.tolist(), cosines, strict=True)
    }


@given(st.integers(0, 60), st.integers(0, 60), st.integers(2, 5), st.floats(0.05, 0.999))
def test_neighbours_are_all_pairs_above_the_cosine(
    rows: int, others: int, dimensions: int, cosine: float
) -> None:
    left, right = units(rows, dimensions, 1), units(others, dimensions, 2)
    cosines = left.astype(np.float64) @ right.astype(np.float64).T
    pairs = found(left, right, cosine)
    assert pairs.keys() == set(
        zip(*map(np.ndarray.tolist, np.nonzero(cosines > cosine)), strict=True)
    )
    assert all(abs(cosines[pair] - value) < 1e-12 for pair, value in pairs.items())


def test_blocks_change_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = units(200, 4, 3), units(150, 4, 4)
    whole = found(left, right, 0.8)
    monkeypatch.setattr(steps, "TILE", 17)
    monkeypatch.setattr(steps, "PAIRS", 3)
    assert found(left, right, 0.8) == whole != {}


def test_a_zero_vector_has_no_neighbour() -> None:
    assert found(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), 0.01) == {}


def vectors(
    samples: list[tuple[str, list[float], float | None]],
    forbidden: list[tuple[str, list[float], float | None]],
    cosine: float = 0.9,
) -> ProblemVectors:
    """Return vectors of problems, from triples of id, vector and confusion."""

    def table(rows: list[tuple[str, list[float], float | None]], schema: pl.Schema) -> pl.LazyFrame:
        named = (dict(zip(schema, (i, v, "Latin", c), strict=True)) for i, v, c in rows)
        return typed_frame(list(named), schema).lazy()

    # A shard each, and an empty one.
    shards = [table([row], SAMPLE_EMBEDDINGS) for row in samples]
    return ProblemVectors(
        [*shards, table([], SAMPLE_EMBEDDINGS)], table(forbidden, FORBIDDEN_VECTORS), cosine
    )


def problems(**texts: str) -> pl.DataFrame:
    return pl.DataFrame({"sample_id": list(texts), "problem": list(texts.values())})


def apart(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), PROBLEMS, orient="row")


def test_a_neighbour_with_the_problem_s_numbers_contains_it() -> None:
    own = problems(a=REWORDED, b=LIGHTER, c=REWORDED, d=FERRY)
    given_vectors = vectors(
        [("a", NEAR, None), ("b", NORTH, None), ("c", EAST, None), ("d", NORTH, 0.95)],
        [("1", NORTH, None), ("2", EAST, None)],
    )
    contained = contained_by_meaning(
        own, apart(("MATH", "1", FERRY), ("MATH", "2", BAKER)), given_vectors
    )
    assert contained.keys() == {"a"}, "other numbers, another meaning, and an unread text"
    [only] = contained.values()
    assert (only.benchmark, only.problem_id, only.how) == ("MATH", "1", BY_MEANING)
    assert only.cosine == pytest.approx(0.96)
    assert 0 < only.share < 1
    assert only.reason == f"contaminated: MATH 1 {only.share:.2f} by meaning (cosine 0.96)"


def test_of_several_contained_problems_the_nearest_is_named() -> None:
    forbidden = apart(
        ("MATH", "1", FERRY),
        ("mine", "2", FERRY.replace("heavy", "light")),
        *(("MATH", str(n), BAKER.replace("31", str(n))) for n in range(3, 9)),
    )
    near = [("1", NEAR, None), ("2", NORTH, None), *((str(n), EAST, None) for n in range(3, 9))]
    given_vectors = vectors([("a", NORTH, None)], near)
    [contained] = contained_by_meaning(problems(a=REWORDED), forbidden, given_vectors).values()
    assert (contained.benchmark, contained.problem_id) == ("mine", "2")


def test_a_sample_may_be_forbidden_itself() -> None:
    given_vectors = vectors([("a", NEAR, None), ("held", NORTH, None)], [])
    forbidden = apart(("held_out", "held", FERRY))
    assert contained_by_meaning(problems(a=REWORDED), forbidden, given_vectors).keys() == {"a"}


def test_a_problem_without_a_vector_is_an_error_that_names_the_table() -> None:
    forbidden = apart(("MATH", "1", FERRY))
    with pytest.raises(MissingVectorError, match=r"1 problems .* \(b\): materialize embedded_"):
        contained_by_meaning(
            problems(b=BAKER), forbidden, vectors([("a", NEAR, None)], [("1", NORTH, None)])
        )
    with pytest.raises(MissingVectorError, match=r"\(1\): materialize forbidden_vectors"):
        contained_by_meaning(problems(a=BAKER), forbidden, vectors([("a", NEAR, None)], []))


def test_nothing_is_contained_where_nothing_is_forbidden_or_read() -> None:
    own = problems(a=FERRY)
    assert contained_by_meaning(own, apart(), vectors([("a", NORTH, None)], [])) == {}
    unread = vectors([("a", NORTH, None)], [("1", NORTH, 1.0)])
    assert contained_by_meaning(own, apart(("MATH", "1", FERRY)), unread) == {}


def test_forbidden_problems_are_embedded_once_and_long_ones_up_to_the_limit() -> None:
    embedded: list[str] = []

    def embed(texts: Any) -> np.ndarray:
        embedded.extend(texts)
        return units(len(texts), 3, 5)

    rows = apart(("MATH", "1", FERRY), ("copy", "1", FERRY), ("MATH", "2", BAKER))
    result = build_forbidden_vectors(rows, 20, embed)
    assert result.rows.schema == FORBIDDEN_VECTORS
    assert result.rows["problem_id"].to_list() == ["1", "2"]
    assert embedded == [FERRY[:20], BAKER[:20]]
