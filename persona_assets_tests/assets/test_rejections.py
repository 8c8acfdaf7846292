"""A table with too many rejected rows holds up what would be bought for the rest."""

from typing import Any

import pytest

from persona_assets.assets.rejections import has_too_many_rejected, rejected_share
from persona_assets.storage.footer import Footer


def footer(rows: int, dropped: dict[str, int], **changes: Any) -> Footer:
    values: dict[str, Any] = {
        "asset": "tools",
        "shard": "a.jsonl",
        "run_id": "r",
        "code_version": "1",
        "data_version": "1",
        "prompt_versions": {"tools": "1"},
        "rows": rows,
        "dropped": dropped,
    }
    return Footer(**values | changes)


@pytest.mark.parametrize(
    ("table", "holds_up"),
    [
        (footer(45, {"refusal": 55}), False),
        (footer(30, {"refusal": 60}), True),
        # Too few rows to tell, and none left to buy for.
        (footer(1, {"refusal": 2}), False),
        (footer(0, {"refusal": 90}), False),
        # No verdict on the row itself.
        (footer(10, {"over_limit": 90, "repeat": 5}), False),
        (footer(10, {"refusal": 90}, prompt_versions={}), False),
        (footer(10, {"refusal": 90}, shard=None), False),
        # Of a tenth that was judged, all were rejected.
        (footer(900, {"judge_sound": 100}, decisions={"judged_rows": 100.0}), True),
        (footer(900, {"judge_sound": 20}, decisions={"judged_rows": 100.0}), False),
    ],
)
def test_share_counts_verdicts_and_is_sure(table: Footer, holds_up: bool) -> None:
    assert has_too_many_rejected(table, 0.5) == holds_up


def test_share_of_a_table_without_rows_is_not_measured() -> None:
    assert rejected_share(footer(0, {})).accuracy is None
