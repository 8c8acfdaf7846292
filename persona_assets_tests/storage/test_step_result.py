"""A step result accounts for every row: published, or quarantined with stage and reason."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.storage.step_result import (
    QUARANTINE_SCHEMA,
    StepResult,
    quarantine,
    split_repeats,
    typed_frame,
)

SCHEMA = pl.Schema({"id": pl.String(), "n": pl.Int64(), "tags": pl.List(pl.String())})


def test_typed_frame_of_no_rows_is_empty_and_has_the_schema() -> None:
    assert typed_frame([], SCHEMA).schema == SCHEMA
    assert typed_frame([], SCHEMA).height == 0


def test_quarantine_of_no_drops_has_its_schema() -> None:
    assert quarantine("stage", []).schema == QUARANTINE_SCHEMA
    assert StepResult(typed_frame([], SCHEMA)).dropped.schema == QUARANTINE_SCHEMA


def test_typed_frame_follows_the_schema_whatever_the_first_rows_hold() -> None:
    rows = [{"n": None, "tags": [], "id": "a"}] * 200 + [{"n": 3, "tags": ["x"], "id": "b"}]
    frame = typed_frame(rows, SCHEMA)
    assert frame.schema == SCHEMA
    assert frame.row(200) == ("b", 3, ["x"])
    assert frame.row(0) == ("a", None, [])


def test_quarantine_holds_id_stage_and_reason() -> None:
    assert quarantine("hop", [("a", "repeat"), ("a", "refused")]).rows() == [
        ("a", "hop", "repeat"),
        ("a", "hop", "refused"),
    ]


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef")))
def test_split_repeats_keeps_the_first_row_of_each_id_and_reports_the_rest(ids: list[str]) -> None:
    rows = [{"id": row_id, "place": place} for place, row_id in enumerate(ids)]
    kept, repeats = split_repeats(rows, "id")
    assert [row["place"] for row in kept] == sorted({ids.index(row_id) for row_id in ids})
    assert sorted([*(row["id"] for row in kept), *(row_id for row_id, _ in repeats)]) == sorted(ids)
    assert {reason for _, reason in repeats} <= {"repeat"}


def test_step_result_refuses_a_lost_or_surplus_row() -> None:
    rows = typed_frame([{"id": "a", "n": 1, "tags": []}], SCHEMA)
    dropped = quarantine("stage", [("b", "repeat")])
    assert StepResult(rows, dropped, 2).rows_in == 2
    with pytest.raises(ValueError, match="unaccounted for: 3 in, 1 out, 1 dropped"):
        StepResult(rows, dropped, 3)
    with pytest.raises(ValueError, match="unaccounted for: 1 in, 1 out, 1 dropped"):
        StepResult(rows, dropped, 1)


def test_reasons_are_counted_without_detail_most_frequent_first() -> None:
    dropped = quarantine(
        "stage",
        [
            ("a", "invalid: persona: Field required"),
            ("b", "invalid: the answer is empty"),
            ("c", "repeat"),
            ("d", "error:timeout"),
        ],
    )
    reasons = StepResult(typed_frame([], SCHEMA), dropped).reasons()
    assert list(reasons.items()) == [("invalid", 2), ("error:timeout", 1), ("repeat", 1)]
    assert StepResult(typed_frame([], SCHEMA)).reasons() == {}
