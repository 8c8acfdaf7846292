"""A shard's records become its texts: cleaned, cut at a boundary, kept once."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.ids import text_content, text_id
from persona_assets.readers import BadRecord, TextRecord
from persona_assets.steps.corpus import SCHEMA, build_raw_corpus, clean_text, cut_text
from persona_assets.storage.step_result import QUARANTINE_SCHEMA, StepResult

SHARD = "a.jsonl"


def record(row: int, text: str, source: str = "s") -> TextRecord:
    return TextRecord(row, text, source, "CC0-1.0", "en")


def run(
    *records: TextRecord | BadRecord, limit: int | None = None, max_chars: int = 1000
) -> StepResult:
    return build_raw_corpus(SHARD, records, limit=limit, max_chars=max_chars)


def test_rows_carry_id_source_licence_and_language_in_order() -> None:
    outcome = run(record(1, "one"), record(2, "two", "t"))
    assert outcome.rows.schema == SCHEMA
    assert outcome.rows.rows() == [
        (text_id(SHARD, "s", "one"), "one", "s", "CC0-1.0", "en"),
        (text_id(SHARD, "t", "two"), "two", "t", "CC0-1.0", "en"),
    ]


def test_no_records_give_empty_typed_tables() -> None:
    outcome = run()
    assert outcome.rows.schema == SCHEMA
    assert outcome.dropped.schema == QUARANTINE_SCHEMA
    assert (len(outcome.rows), len(outcome.dropped), outcome.rows_in) == (0, 0, 0)


def test_text_under_another_source_or_spacing_is_a_repeat() -> None:
    outcome = run(record(1, "one two"), record(2, "one\n\n two ", "other"), record(3, "One two"))
    assert outcome.rows["text"].to_list() == ["one two", "One two"]
    assert outcome.dropped.rows() == [
        (text_id(SHARD, "other", "one\n\n two"), "raw_corpus", "repeat")
    ]
    assert outcome.rows_in == 3


def test_texts_made_equal_by_the_cut_are_repeats() -> None:
    outcome = run(record(1, "ab cd ef"), record(2, "ab cd gh"), max_chars=5)
    assert outcome.rows["text"].to_list() == ["ab cd"]
    assert outcome.dropped["reason"].to_list() == ["repeat"]


def test_bad_records_are_dropped_under_their_row() -> None:
    outcome = run(BadRecord(1, "invalid_utf8: x"), record(2, "one"), BadRecord(7, "empty_text"))
    assert outcome.dropped.rows() == [
        (f"{SHARD}#1", "raw_corpus", "invalid_utf8: x"),
        (f"{SHARD}#7", "raw_corpus", "empty_text"),
    ]


@pytest.mark.parametrize("text", ["", " \n", "\0\0"])
def test_text_that_cleaning_empties_is_dropped(text: str) -> None:
    outcome = run(record(4, text))
    assert outcome.dropped.rows() == [(f"{SHARD}#4", "raw_corpus", "empty_text")]


def test_limit_counts_kept_texts_and_reads_no_further() -> None:
    texts = [record(row, text) for row, text in enumerate("aabc", 2)]
    records: Iterator[TextRecord | BadRecord] = iter([BadRecord(1, "x"), *texts])
    outcome = build_raw_corpus(SHARD, records, limit=2, max_chars=10)
    assert outcome.rows["text"].to_list() == ["a", "b"]
    assert outcome.dropped["reason"].to_list() == ["x", "repeat"]
    assert next(records) == record(5, "c")


def test_limit_of_zero_keeps_no_text() -> None:
    assert len(run(record(1, "a"), limit=0).rows) == 0


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        run(limit=-1)
    with pytest.raises(ValueError, match="max_chars"):
        run(max_chars=0)


def test_every_column_is_cleaned_of_characters_that_a_table_cannot_hold(tmp_path: Path) -> None:
    dirty = TextRecord(1, "a\0b \ud800 c😀", "s\0\ud800", "l\udfff", "e\0n")
    rows = build_raw_corpus(SHARD, [dirty], limit=None, max_chars=100).rows
    assert rows.row(0)[1:] == ("ab \ufffd c😀", "s\ufffd", "l\ufffd", "en")
    rows.write_parquet(tmp_path / "t.parquet")
    assert pl.read_parquet(tmp_path / "t.parquet").equals(rows)


@given(st.lists(st.text(st.characters(), max_size=8), max_size=12))
def test_every_record_is_a_row_or_a_drop_and_ids_are_unique(texts: list[str]) -> None:
    outcome = run(*(record(row, text) for row, text in enumerate(texts, 1)), max_chars=5)
    assert len(outcome.rows) + len(outcome.dropped) == len(texts)
    assert outcome.rows["text_id"].is_unique().all()
    distinct = {" ".join(cut_text(clean_text(text), 5).split()) for text in texts} - {""}
    assert {" ".join(text.split()) for text in outcome.rows["text"]} == distinct


@pytest.mark.parametrize(
    ("text", "max_chars", "expected"),
    [
        ("Short.", 6, "Short."),
        ("One two. Three four five", 20, "One two. Three four"),
        ("One two three. Four five", 20, "One two three."),
        ("One two three. Four five", 14, "One two three."),
        ("One two. Six seven. Eight", 19, "One two. Six seven."),
        ('He said "no more." Then left', 22, 'He said "no more."'),
        ("It is 3.14159265 exactly", 9, "It is"),
        ("first line\nsecond", 13, "first line"),
        ("春は曙。夏は夜。秋は夕暮れ。", 9, "春は曙。夏は夜。"),
        ("x" * 30, 10, "x" * 10),
        ("ab", 1, "a"),
    ],
)
def test_cut_falls_on_a_boundary(text: str, max_chars: int, expected: str) -> None:
    assert cut_text(text, max_chars) == expected


@given(st.text("ab .!?\n。\"'", max_size=60), st.integers(1, 70))
def test_cut_is_a_start_of_the_text_within_the_limit(text: str, max_chars: int) -> None:
    text = text.strip()
    start = cut_text(text, max_chars)
    assert len(start) <= max_chars
    assert text.startswith(start)
    assert bool(start) == bool(text)
    if not re.search(r"[\s。]", text[: max_chars + 1]):
        assert start == text[:max_chars]


def test_cut_of_a_run_of_full_stops_takes_linear_time() -> None:
    assert len(cut_text("." * 2_000_000, 1_000_000)) == 1_000_000


def test_withdrawn_text_leaves_and_no_other_takes_its_place() -> None:
    records = [record(1, "one two"), record(2, "one  two", "t"), record(3, "three"), record(4, "4")]
    outcome = build_raw_corpus(
        SHARD, records, limit=2, max_chars=1000, withdrawn={text_content("one two"), "other"}
    )
    assert outcome.rows["text"].to_list() == ["three"]
    assert outcome.reasons() == {"repeat": 1, "withdrawn": 1}
    assert outcome.withdrawn == (text_content("one two"),)
