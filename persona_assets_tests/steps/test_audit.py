"""The audit counts each kind of violation in a table of duplicates."""

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


def test_audit_of_a_sound_lexical_table_counts_no_violation() -> None:
    assert set(audit_lexical(PERSONAS, SOUND, NINE_TENTHS).values()) == {0}
    assert set(audit_lexical([], SOUND.clear(), NINE_TENTHS).values()) == {0}


@pytest.mark.parametrize(
    ("repeated", "violations"),
    [
        (table(("b", "a", 1.0)), {"similar_survivors": 1}),
        (table(("b", "a", 0.95), ("d", "c", 1.0)), {"wrong_similarity": 1}),
        (table(("b", "c", 1.0), ("d", "c", 1.0)), {"wrong_similarity": 1}),
        (table(("b", "e", 1.0), ("d", "c", 1.0)), {"wrong_similarity": 1}),
        (table(("a", "b", 1.0), ("b", "a", 1.0), ("d", "c", 1.0)), {"gone_survivors": 2}),
        (table(("b", "a", 1.0), ("b", "a", 1.0), ("d", "c", 1.0)), {"repeated_rows": 1}),
    ],
)
def test_lexical_audit_counts_each_kind_of_violation(
    repeated: pl.DataFrame, violations: dict[str, int]
) -> None:
    counts = audit_lexical(PERSONAS, repeated, NINE_TENTHS)
    assert {name: count for name, count in counts.items() if count} == violations


@pytest.fixture
def vectors() -> list[pl.LazyFrame]:
    """Vectors of a, b, c and d in three shards, the second empty; a and b, b and d are similar."""
    rows = embeddings(dict(zip("abcd", at_cosines(1.0, 0.95, 0.5, 0.85), strict=True)))
    return [rows[:2].lazy(), rows.clear().lazy(), rows[2:].lazy()]


def test_audit_of_a_sound_semantic_table_counts_no_violation(vectors: list[pl.LazyFrame]) -> None:
    assert set(audit_semantic(vectors, table(("b", "a", 0.95)), 0.9).values()) == {0}
    assert set(audit_semantic([], table(), 0.9).values()) == {0}


def test_semantic_audit_recomputes_cosines_from_the_vectors(vectors: list[pl.LazyFrame]) -> None:
    assert audit_semantic(vectors, table(("b", "a", 0.93)), 0.9)["wrong_similarity"] == 1
    assert audit_semantic(vectors, table(("d", "a", 0.85)), 0.9)["wrong_similarity"] == 1


def test_semantic_audit_tolerates_the_error_of_the_joins_vectors(
    vectors: list[pl.LazyFrame],
) -> None:
    assert set(audit_semantic(vectors, table(("b", "a", 0.93)), 0.9, 0.05).values()) == {0}
    assert audit_semantic(vectors, table(("d", "a", 0.91)), 0.9, 0.05)["wrong_similarity"] == 1


def test_semantic_audit_counts_similar_survivors_in_both_directions(
    vectors: list[pl.LazyFrame],
) -> None:
    assert audit_semantic(vectors, table(), 0.9)["similar_survivors"] == 4


def test_sample_depends_on_the_ids_alone() -> None:
    duplicates = [content_id(str(number)) for number in range(1000)]
    texts = ["a nurse", *(["A nurse!"] * 500 + ["a tailor"] * 500)]
    personas = pl.DataFrame({"persona_id": ["first", *duplicates], "persona": texts, "kept": True})
    repeated = table(*((duplicate, "first", 1.0) for duplicate in duplicates))
    for rows in (repeated, repeated.reverse(), repeated.sample(fraction=1, shuffle=True)):
        counts = audit_lexical([personas.lazy()], rows, NINE_TENTHS)
        # Of the 100 duplicates whose ids have the lowest second halves, 52 are tailors.
        assert counts["wrong_similarity"] == 52
