from collections.abc import Sequence

import numpy as np
import polars as pl
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
    return typed_frame(made, CANDIDATES)


def repeats(rows: Sequence[tuple[str, str, float]], stage: str = "lexical") -> pl.DataFrame:
    """A table of duplicates."""
    return pl.DataFrame([(*row, stage) for row in rows], schema=DUPLICATES, orient="row")


def test_survivors_and_drops_are_the_candidates() -> None:
    given = [("a night nurse", False), ("a night nurse", True), ("a nurse, night", True)]
    rows = candidates(given)
    first, second, third = rows["persona_id"]
    outcome = build_lexical_survivors(rows, repeats([(third, second, 1.0)]))
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
    outcome = build_persona_embeddings(rows, embed)
    assert asked == ["nurse", "tailor"]
    assert outcome.rows.schema == EMBEDDINGS
    assert outcome.rows["persona_id"].to_list() == rows["persona_id"].to_list()
    assert to_matrix(outcome.rows["vector"]).tolist() == [[5, 1], [6, 1], [5, 1]]


THAI = ["ครูที่ปลูกกล้วยไม้", "ชาวประมงที่ซ่อมเรือ"]
GREEK = ["Ένας δάσκαλος", "Μια ναύτης"]
MONGOLIAN = "ᠪᠠᠭᠰᠢ"
MIXED = ["nurse", *THAI, *GREEK, "a ครู in Thailand", MONGOLIAN, "42", "tailor"]


def reads_no_thai(texts: Sequence[str]) -> np.ndarray:
    """A vector of its own for each text; one for all of Thai, none for numbers."""
    made = np.zeros((len(texts), 4096), np.float32)
    for row, text in zip(made, texts, strict=True):
        if "\u0e00" <= text[0] <= "\u0e7f":
            row[0] = -1
        elif not text.isdecimal():
            row[int(content_id(text), 16) % 4096] = 1
    return made


def test_what_is_known_of_a_script_is_beside_each_vector() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return reads_no_thai(texts)

    rows = candidates([(text, True) for text in MIXED]).select(HUB.names())
    table = build_persona_embeddings(rows, embed).rows
    assert asked == [*MIXED, *PROBES["Greek"], *PROBES["Thai"]]
    scripts = ["Latin", "Thai", "Thai", "Greek", "Greek", "Latin", "other", "none", "Latin"]
    assert table["script"].to_list() == scripts
    assert table["confusion"].to_list() == [None, 1, 1, 0, 0, None, None, 1, None]
    read = zero_unread_vectors(table.lazy(), 0.9).collect()
    zero = [not any(vector) for vector in read["vector"]]
    assert zero == [False, True, True, False, False, False, False, True, False]
    # A zero with a sign is another vector to a hash of its bits.
    assert not np.signbit(to_matrix(read["vector"])[zero]).any()
    assert read.filter(~pl.Series(zero)).equals(table.filter(~pl.Series(zero)))
    assert zero_unread_vectors(table.lazy(), 1.0).collect().equals(read)
    halves = [table[:4].lazy(), table[4:].lazy()]
    assert count_unread(halves, 0.9) == {
        "unread_texts": 3,
        "unread_scripts": "Thai 2, none 1",
        "unprobed_texts": 1,
    }
    assert count_unread([], 0.9)["unread_scripts"] == "none"


@given(st.lists(st.sampled_from(MIXED), min_size=1, max_size=8, unique=True))
def test_a_row_depends_on_no_other_row(texts: list[str]) -> None:
    rows = candidates([(text, True) for text in texts]).select(HUB.names())
    alone = [
        build_persona_embeddings(rows[at : at + 1], reads_no_thai).rows for at in range(len(rows))
    ]
    assert build_persona_embeddings(rows, reads_no_thai).rows.equals(pl.concat(alone))


def test_the_hub_is_what_both_rounds_leave() -> None:
    rows = candidates([("nurse", True), ("tailor", True)]).select(HUB.names())
    first, second = rows["persona_id"]
    repeated = typed_frame(
        [{"persona_id": second, "survivor_id": first, "similarity": 0.95}], DUPLICATES
    )
    outcome = build_persona_hub(rows, repeated)
    assert outcome.rows.schema == HUB
    assert outcome.rows.rows() == [rows.row(0)]
    assert outcome.dropped.rows() == [(second, "persona_hub", "semantic_duplicate")]
    assert build_persona_hub(rows, repeated.clear()).rows.equals(rows)


def test_nothing_in_gives_typed_nothing_out() -> None:
    none, empty = candidates([]), repeats([])
    assert build_lexical_survivors(none, empty).rows.schema == HUB
    embedded = build_persona_embeddings(
        none.select(HUB.names()), lambda _: np.empty((0, 3), np.float32)
    )
    assert embedded.rows.schema == EMBEDDINGS
    assert build_persona_hub(none.select(HUB.names()), empty).rows.schema == HUB
