"""The audit finds each promise that a table of duplicates can break."""

from fractions import Fraction

import polars as pl
import pytest

from persona_assets.ids import content_id
from persona_assets.steps.audit import audit_lexical, audit_semantic
from persona_assets.steps.hub import DUPLICATES
from persona_assets_tests.steps.vectors import at_cosines, embeddings

TEXTS = {"a": "a nurse at sea", "b": "at sea a nurse", "c": "a tailor", "d": "A tailor!"}
ROWS = pl.DataFrame({"persona_id": list(TEXTS), "persona": list(TEXTS.values()), "kept": True})
PERSONAS = [ROWS[:3].lazy(), ROWS[3:].lazy(), ROWS.clear().lazy()]
NINE_TENTHS = Fraction(9, 10)


def table(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame([(*row, "lexical") for row in rows], schema=DUPLICATES, orient="row")


SOUND = table(("b", "a", 1.0), ("d", "c", 1.0))


def test_a_sound_table_breaks_nothing() -> None:
    assert set(audit_lexical(PERSONAS, SOUND, NINE_TENTHS).values()) == {0}
    assert set(audit_lexical([], SOUND.clear(), NINE_TENTHS).values()) == {0}


@pytest.mark.parametrize(
    ("repeated", "broken"),
    [
        (table(("b", "a", 1.0)), {"similar_survivors": 1}),
        (table(("b", "a", 0.95), ("d", "c", 1.0)), {"wrong_similarity": 1}),
        (table(("b", "c", 1.0), ("d", "c", 1.0)), {"wrong_similarity": 1}),
        (table(("b", "e", 1.0), ("d", "c", 1.0)), {"wrong_similarity": 1}),
        (table(("a", "b", 1.0), ("b", "a", 1.0), ("d", "c", 1.0)), {"gone_survivors": 2}),
        (table(("b", "a", 1.0), ("b", "a", 1.0), ("d", "c", 1.0)), {"repeated_rows": 1}),
    ],
)
def test_each_broken_promise_is_counted(repeated: pl.DataFrame, broken: dict[str, int]) -> None:
    found = audit_lexical(PERSONAS, repeated, NINE_TENTHS)
    assert {name: count for name, count in found.items() if count} == broken


def test_vectors_are_compared_anew() -> None:
    rows = embeddings(dict(zip("abcd", at_cosines(1.0, 0.95, 0.5, 0.85), strict=True)))
    shards = [rows[:2].lazy(), rows.clear().lazy(), rows[2:].lazy()]
    assert set(audit_semantic(shards, table(("b", "a", 0.95)), 0.9).values()) == {0}
    assert audit_semantic(shards, table(("b", "a", 0.93)), 0.9)["wrong_similarity"] == 1
    assert audit_semantic(shards, table(("d", "a", 0.85)), 0.9)["wrong_similarity"] == 1
    # Decided by vectors that are a little different.
    assert set(audit_semantic(shards, table(("b", "a", 0.93)), 0.9, 0.05).values()) == {0}
    assert audit_semantic(shards, table(("d", "a", 0.91)), 0.9, 0.05)["wrong_similarity"] == 1
    # a and b, b and d.
    assert audit_semantic(shards, table(), 0.9)["similar_survivors"] == 4
    assert set(audit_semantic([], table(), 0.9).values()) == {0}


def test_a_sample_is_drawn_by_the_ids_alone() -> None:
    gone = [content_id(str(number)) for number in range(1000)]
    texts = ["a nurse", *(["A nurse!"] * 500 + ["a tailor"] * 500)]
    personas = pl.DataFrame({"persona_id": ["first", *gone], "persona": texts, "kept": True})
    repeated = table(*((one, "first", 1.0) for one in gone))
    for rows in (repeated, repeated.reverse(), repeated.sample(fraction=1, shuffle=True)):
        found = audit_lexical([personas.lazy()], rows, NINE_TENTHS)
        # Of the 100 whose ids have the lowest second halves, which are hashes.
        assert found["wrong_similarity"] == 52
