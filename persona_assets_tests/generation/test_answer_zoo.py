"""Replies as endpoints and models send them, a row of zoo/answers.jsonl each, and their answers.

A row has `name`, `format`, `message` (a text is the content of a message), `finish` (the finish
reason, "stop" if absent) and, of the answer, `status`, `value`, `notes` and a part of the `reason`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from persona_assets.generation import CallRecord, Request, to_answer

ZOO = Path(__file__).with_name("zoo") / "answers.jsonl"
ROWS = [json.loads(line) for line in ZOO.read_text(encoding="utf-8").splitlines()]


class Text(BaseModel):
    text: str = Field(min_length=1)


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    formula: str = ""
    count: int | None = 0
    tags: list[str] = []


def test_zoo_has_a_name_for_each_row() -> None:
    assert len({(row["name"], row["format"]) for row in ROWS}) == len(ROWS) >= 120


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['format']} {row['name']}" for row in ROWS])
def test_reply_has_the_answer_of_its_row(row: dict[str, Any]) -> None:
    message = {"content": row["message"]} if isinstance(row["message"], str) else row["message"]
    choice = {"index": 0, "message": message, "finish_reason": row.get("finish", "stop")}
    record = CallRecord(key="k", status_code=200, body={"choices": [choice]}, model="m")
    output = Item if row["format"] == "json" else Text
    answer = to_answer(Request("writer", (), {}, output, row["format"]), record)
    assert (answer.status, list(answer.notes)) == (row["status"], row.get("notes", []))
    assert row.get("reason", "") in answer.reason
    assert len(answer.reason) <= 200
    if answer.value is None:
        assert "value" not in row
        assert answer.reason
    else:
        assert {name: answer.value[name] for name in row["value"]} == row["value"]
