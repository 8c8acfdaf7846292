"""The hub is built from candidates: without duplicates, each with a vector and its script."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.dedup.index.vector_index import to_matrix
from persona_assets.ids import content_id
from persona_assets.steps.hub import (
    DUPLICATES,
    EMBEDDINGS,
    HUB,
    build_lexical_survivors,
    build_persona_embeddings,
    build_persona_hub,
    count_unread,
    zero_unread_vectors,
)
from persona_assets.steps.personas import CANDIDATES
from persona_assets.steps.probes import PROBES
from persona_assets.storage.step_result import typed_frame

THAI = ["ครูที่ปลูกกล้วยไม้", "ชาวประมงที่ซ่อมเรือ"]
GREEK = ["Ένας δάσκαλος", "Μια ναύτης"]
MONGOLIAN = "ᠪᠠᠭᠰᠢ"
MIXED = ["nurse", *THAI, *GREEK, "a ครู in Thailand", MONGOLIAN, "42", "tailor"]
"""Texts in scripts with and without probes."""


def candidates(rows: Sequence[tuple[str, bool]]) -> pl.DataFrame:
    """Return the candidates of a shard from pairs of persona and verdict of the quality filter."""
    records = [
        {
            "persona_id": content_id("a", str(number)),
            "persona": persona,
            "kept": kept,
            "reason": None if kept else "too_short",
        }
        for number, (persona, kept) in enumerate(rows)
    ]
    return typed_frame(records, CANDIDATES)


def survivors(*personas: str) -> pl.DataFrame:
    """Return the lexical survivors of a shard."""
    return candidates([(persona, True) for persona in personas]).select(HUB.names())


def duplicates(*rows: tuple[str, str, float], stage: str = "lexical") -> pl.DataFrame:
    """Return a table of duplicates from triples of duplicate, survivor and similarity."""
    return pl.DataFrame([(*row, stage) for row in rows], schema=DUPLICATES, orient="row")


class Embedder:
    """Embedder that reads no Thai: a vector per text, the same for all Thai, zero for numbers.

    Attributes:
        texts: All texts of all calls.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), 4096), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            if "\u0e00" <= text[0] <= "\u0e7f":
                vector[0] = -1
            elif not text.isdecimal():
                vector[int(content_id(text), 16) % 4096] = 1
        return vectors


@pytest.fixture(scope="module")
def mixed_embeddings() -> pl.DataFrame:
    """Embeddings of texts in several scripts."""
    return build_persona_embeddings(survivors(*MIXED), Embedder()).rows


def test_lexical_survivors_are_the_candidates_without_rejections_and_duplicates() -> None:
    rows = candidates([("a night nurse", False), ("a night nurse", True), ("a nurse, night", True)])
    rejected, survivor, duplicate = rows["persona_id"]
    outcome = build_lexical_survivors(rows, duplicates((duplicate, survivor, 1.0)))
    assert outcome.rows.schema == HUB
    assert outcome.rows["persona_id"].to_list() == [survivor]
    assert outcome.dropped.rows() == [
        (rejected, "lexical_survivors", "quality:too_short"),
        (duplicate, "lexical_survivors", "lexical_duplicate"),
    ]
    assert outcome.rows_in == 3


def test_persona_embeddings_embed_equal_personas_once() -> None:
    embedded: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        embedded.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], np.float32)

    rows = survivors("nurse", "tailor", "nurse")
    outcome = build_persona_embeddings(rows, embed)
    assert embedded == ["nurse", "tailor"]
    assert outcome.rows.schema == EMBEDDINGS
    assert outcome.rows["persona_id"].to_list() == rows["persona_id"].to_list()
    assert to_matrix(outcome.rows["vector"]).tolist() == [[5, 1], [6, 1], [5, 1]]


def test_persona_embeddings_embed_the_probes_of_their_scripts_in_the_same_call() -> None:
    embedder = Embedder()
    build_persona_embeddings(survivors(*MIXED), embedder)
    assert embedder.texts == [*MIXED, *PROBES["Greek"], *PROBES["Thai"]]


def test_persona_embeddings_contain_the_script_and_its_confusion(
    mixed_embeddings: pl.DataFrame,
) -> None:
    scripts = ["Latin", "Thai", "Thai", "Greek", "Greek", "Latin", "other", "none", "Latin"]
    assert mixed_embeddings["script"].to_list() == scripts
    assert mixed_embeddings["confusion"].to_list() == [None, 1, 1, 0, 0, None, None, 1, None]


@given(st.lists(st.sampled_from(MIXED), min_size=1, max_size=8, unique=True))
def test_persona_embeddings_of_a_row_depend_on_no_other_row(texts: list[str]) -> None:
    rows = survivors(*texts)
    single = [
        build_persona_embeddings(rows[at : at + 1], Embedder()).rows for at in range(len(rows))
    ]
    assert build_persona_embeddings(rows, Embedder()).rows.equals(pl.concat(single))


def test_zero_unread_vectors_changes_the_vectors_of_unread_texts_alone(
    mixed_embeddings: pl.DataFrame,
) -> None:
    read = zero_unread_vectors(mixed_embeddings.lazy(), 0.9).collect()
    zero = pl.Series([not any(vector) for vector in read["vector"]])
    assert zero.to_list() == [False, True, True, False, False, False, False, True, False]
    assert read.filter(~zero).equals(mixed_embeddings.filter(~zero))
    assert zero_unread_vectors(mixed_embeddings.lazy(), 1.0).collect().equals(read)


def test_zero_unread_vectors_writes_no_negative_zeros(mixed_embeddings: pl.DataFrame) -> None:
    # A zero with a sign is a different vector to a hash of the bits.
    read = zero_unread_vectors(mixed_embeddings.lazy(), 0.9).collect()
    vectors = to_matrix(read["vector"])
    zeros = vectors[~vectors.any(axis=1)]
    assert len(zeros) == 3
    assert not np.signbit(zeros).any()


def test_count_unread_counts_by_script_over_all_tables(mixed_embeddings: pl.DataFrame) -> None:
    halves = [mixed_embeddings[:4].lazy(), mixed_embeddings[4:].lazy()]
    assert count_unread(halves, 0.9) == {
        "unread_texts": 3,
        "unread_scripts": "Thai 2, none 1",
        "unprobed_texts": 1,
    }
    assert count_unread([], 0.9)["unread_scripts"] == "none"


def test_persona_hub_is_the_lexical_survivors_without_semantic_duplicates() -> None:
    rows = survivors("nurse", "tailor")
    survivor, duplicate = rows["persona_id"]
    outcome = build_persona_hub(rows, duplicates((duplicate, survivor, 0.95), stage="semantic"))
    assert outcome.rows.schema == HUB
    assert outcome.rows.rows() == [rows.row(0)]
    assert outcome.dropped.rows() == [(duplicate, "persona_hub", "semantic_duplicate")]


def test_persona_hub_without_duplicates_is_the_lexical_survivors() -> None:
    rows = survivors("nurse", "tailor")
    assert build_persona_hub(rows, duplicates()).rows.equals(rows)


def test_hub_steps_return_empty_tables_of_the_full_schema_for_no_rows() -> None:
    embedded = build_persona_embeddings(survivors(), lambda _: np.empty((0, 3), np.float32))
    for outcome, schema in (
        (build_lexical_survivors(candidates([]), duplicates()), HUB),
        (embedded, EMBEDDINGS),
        (build_persona_hub(survivors(), duplicates()), HUB),
    ):
        assert (outcome.rows.schema, len(outcome.rows)) == (schema, 0)
