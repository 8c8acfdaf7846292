from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from persona_assets.ids import content_id
from persona_assets.outcome import frame
from persona_assets.steps.hub import (
    DUPLICATES,
    EMBEDDINGS,
    HUB,
    lexical_survivors,
    matrix,
    persona_embeddings,
    persona_hub,
)
from persona_assets.steps.personas import CANDIDATES
from persona_assets_tests.steps.vectors import embeddings


def candidates(rows: Sequence[tuple[str, bool]], shard: str = "a") -> pl.DataFrame:
    """Candidates of a shard from (persona, whether the quality filter keeps it)."""
    made = [
        {
            "persona_id": content_id(shard, str(number)),
            "persona": persona,
            "kept": kept,
            "reason": None if kept else "too_short",
        }
        for number, (persona, kept) in enumerate(rows)
    ]
    return frame(made, CANDIDATES)


def repeats(rows: Sequence[tuple[str, str, float]], stage: str = "lexical") -> pl.DataFrame:
    """A table of duplicates."""
    return pl.DataFrame([(*row, stage) for row in rows], schema=DUPLICATES, orient="row")


def test_survivors_and_drops_are_the_candidates() -> None:
    given = [("a night nurse", False), ("a night nurse", True), ("a nurse, night", True)]
    rows = candidates(given)
    first, second, third = rows["persona_id"]
    outcome = lexical_survivors(rows, repeats([(third, second, 1.0)]))
    assert outcome.rows.schema == HUB
    assert outcome.rows["persona_id"].to_list() == [second]
    assert outcome.dropped.rows() == [
        (first, "lexical_survivors", "quality:too_short"),
        (third, "lexical_survivors", "lexical_duplicate"),
    ]
    assert outcome.rows_in == 3


def test_equal_personas_are_embedded_once_and_each_gets_its_vector() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], np.float32)

    rows = candidates([("nurse", True), ("tailor", True), ("nurse", True)]).select(HUB.names())
    outcome = persona_embeddings(rows, embed)
    assert asked == ["nurse", "tailor"]
    assert outcome.rows.schema == EMBEDDINGS
    assert outcome.rows["persona_id"].to_list() == rows["persona_id"].to_list()
    assert matrix(outcome.rows["vector"]).tolist() == [[5, 1], [6, 1], [5, 1]]


def test_the_hub_is_what_both_rounds_leave() -> None:
    rows = candidates([("nurse", True), ("tailor", True)]).select(HUB.names())
    first, second = rows["persona_id"]
    repeated = frame([{"persona_id": second, "survivor_id": first, "similarity": 0.95}], DUPLICATES)
    outcome = persona_hub(rows, repeated)
    assert outcome.rows.schema == HUB
    assert outcome.rows.rows() == [rows.row(0)]
    assert outcome.dropped.rows() == [(second, "persona_hub", "semantic_duplicate")]
    assert persona_hub(rows, repeated.clear()).rows.equals(rows)


def test_nothing_in_gives_typed_nothing_out() -> None:
    none, empty = candidates([]), repeats([])
    assert lexical_survivors(none, empty).rows.schema == HUB
    embedded = persona_embeddings(none.select(HUB.names()), lambda _: np.empty((0, 3), np.float32))
    assert embedded.rows.schema == EMBEDDINGS
    assert persona_hub(none.select(HUB.names()), empty).rows.schema == HUB


def test_vectors_of_two_models_are_told_apart() -> None:
    mixed = embeddings({"a": [1.0, 0.0], "b": [1.0, 0.0, 0.0, 0.0]})
    with pytest.raises(ValueError, match="2 and 4 dimensions: materialize persona_embeddings"):
        matrix(mixed["vector"])
