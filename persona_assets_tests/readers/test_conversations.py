"""Demonstrations are read from conversations in three shapes, or from records of an answer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from persona_assets.readers.conversations import read_demonstrations

ASKED = "My boiler knocks twice at six every morning. What is it?"
WILDCHAT = {
    "conversation_hash": "a1",
    "conversation": [
        {"role": "user", "content": ASKED, "language": "English", "toxic": False},
        {"role": "assistant", "content": "Air in the pipes.", "language": "English"},
    ],
    "toxic": False,
    "redacted": False,
}
SHAREGPT = {
    "id": "b2",
    "conversations": [
        {"from": "system", "value": "You help."},
        {"from": "human", "value": ASKED},
        {"from": "gpt", "value": "Air in the pipes."},
    ],
}
MESSAGES = {"messages": [{"role": "user", "content": ASKED}], "language": "en"}
OWN = {"instruction": ASKED, "persona": "A widower in a cold flat.", "language": "en"}


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Any]:
    return list(read_demonstrations(path, ["instruction"], columns or {}))


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("record", [WILDCHAT, SHAREGPT, MESSAGES, OWN])
def test_first_message_of_the_user_is_the_answer(tmp_path: Path, record: object) -> None:
    [found] = read(write(tmp_path / "a.jsonl", record))
    assert found["instruction"] == ASKED


def test_language_and_persona_are_kept(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.jsonl", WILDCHAT, SHAREGPT, OWN))
    assert [each.get("language") for each in found] == ["English", None, "en"]
    assert [each.get("persona") for each in found] == [None, None, OWN["persona"]]


def test_parquet_and_an_array_are_read_as_lines_are(tmp_path: Path) -> None:
    lines = read(write(tmp_path / "a.jsonl", WILDCHAT, WILDCHAT))
    pl.DataFrame([WILDCHAT, WILDCHAT]).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps([WILDCHAT, WILDCHAT], indent=1))
    assert read(tmp_path / "a.parquet") == read(tmp_path / "a.json") == lines


def test_columns_of_other_names_are_mapped(tmp_path: Path) -> None:
    record = {"prompt": {"text": ASKED}, "who": "A widower in a cold flat."}
    path = write(tmp_path / "a.jsonl", record)
    [found] = read(path, {"instruction": "prompt.text", "persona": "who"})
    assert (found["instruction"], found["persona"]) == (ASKED, record["who"])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**WILDCHAT, "toxic": True}, "flagged"),
        ({**WILDCHAT, "redacted": True}, "flagged"),
        ({"messages": [{"role": "user", "content": ASKED, "toxic": True}]}, "flagged"),
        ({"messages": [{"role": "assistant", "content": ASKED}]}, "no_message_of_the_user"),
        ({"messages": [{"role": "user", "content": [1]}]}, "no_message_of_the_user"),
        ({"text": ASKED}, "unknown_shape"),
        ([ASKED], "not_an_object"),
        ("text", "not_an_object"),
    ],
)
def test_unfit_record_is_a_reason(tmp_path: Path, record: object, reason: str) -> None:
    assert read(write(tmp_path / "a.jsonl", record)) == [reason]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", b'{"instruction": \n'), ("a.parquet", b"PAR1"), ("a.jsonl", b"\xff\xfe\x00")],
)
def test_damaged_file_gives_reasons(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path / name)
    assert found
    assert all(isinstance(each, str) for each in found)
