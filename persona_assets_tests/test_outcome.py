import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.outcome import DROPPED, Outcome, drops, frame, once

SCHEMA = pl.Schema({"id": pl.String(), "n": pl.Int64(), "tags": pl.List(pl.String())})


def test_no_rows_give_an_empty_typed_frame() -> None:
    assert frame([], SCHEMA).schema == SCHEMA
    assert frame([], SCHEMA).height == 0
    assert drops("stage", []).schema == DROPPED
    assert Outcome(frame([], SCHEMA)).dropped.schema == DROPPED


def test_a_frame_has_the_schema_s_order_and_types_whatever_the_rows_begin_with() -> None:
    rows = [{"n": None, "tags": [], "id": "a"}] * 200 + [{"n": 3, "tags": ["x"], "id": "b"}]
    made = frame(rows, SCHEMA)
    assert made.schema == SCHEMA
    assert made.row(200) == ("b", 3, ["x"])
    assert made.row(0) == ("a", None, [])


def test_drops_name_the_stage_and_the_reason() -> None:
    assert drops("hop", [("a", "repeat"), ("a", "refused")]).rows() == [
        ("a", "hop", "repeat"),
        ("a", "hop", "refused"),
    ]


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef")))
def test_once_keeps_the_first_of_each_id_and_names_the_rest(ids: list[str]) -> None:
    rows = [{"id": row_id, "place": place} for place, row_id in enumerate(ids)]
    kept, repeats = once(rows, "id")
    assert [row["place"] for row in kept] == sorted({ids.index(row_id) for row_id in ids})
    assert sorted([*(row["id"] for row in kept), *(row_id for row_id, _ in repeats)]) == sorted(ids)
    assert {reason for _, reason in repeats} <= {"repeat"}


def test_a_lost_row_is_refused() -> None:
    rows = frame([{"id": "a", "n": 1, "tags": []}], SCHEMA)
    dropped = drops("stage", [("b", "repeat")])
    assert Outcome(rows, dropped, 2).rows_in == 2
    with pytest.raises(ValueError, match="unaccounted for: 3 in, 1 out, 1 dropped"):
        Outcome(rows, dropped, 3)
    with pytest.raises(ValueError, match="unaccounted for: 1 in, 1 out, 1 dropped"):
        Outcome(rows, dropped, 1)


def test_reasons_are_counted_without_their_detail_most_frequent_first() -> None:
    dropped = drops(
        "stage",
        [
            ("a", "invalid: persona: Field required"),
            ("b", "invalid: the answer is empty"),
            ("c", "repeat"),
            ("d", "error:timeout"),
        ],
    )
    reasons = Outcome(frame([], SCHEMA), dropped).reasons()
    assert list(reasons.items()) == [("invalid", 2), ("error:timeout", 1), ("repeat", 1)]
    assert Outcome(frame([], SCHEMA)).reasons() == {}
