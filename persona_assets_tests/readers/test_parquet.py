"""Parquet rows are records; bad rows and damaged row groups are named, and reading goes on."""

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_assets.readers import TextRecord
from persona_assets_tests.readers.shard_files import noise, read, reasons, texts

KEY = "a.parquet"


def test_parquet_rows_are_records(tmp_path: Path) -> None:
    rows = [{"text": f"t{i}", "url": f"u{i}", "language": "en", "dump": "d"} for i in range(50)]
    pl.DataFrame(rows).write_parquet(tmp_path / KEY, row_group_size=20)
    assert read(tmp_path, KEY) == [
        TextRecord(i + 1, f"t{i}", f"u{i}", "unknown", "en") for i in range(50)
    ]


@pytest.mark.parametrize(
    "meta",
    [
        {"url": "u", "language": "en", "other": [1, 2]},
        json.dumps({"url": "u", "language": "en"}),
    ],
)
def test_parquet_nests_as_structs_or_json_strings(tmp_path: Path, meta: object) -> None:
    pl.DataFrame([{"raw_content": "t", "meta": meta}]).write_parquet(tmp_path / KEY)
    assert read(tmp_path, KEY) == [TextRecord(1, "t", "u", "unknown", "en")]


def test_parquet_uses_the_users_own_field_paths(tmp_path: Path) -> None:
    rows = [{"body": "t", "page": {"url": "u", "at": 5}, "rights.name": "CC0-1.0"}]
    pl.DataFrame(rows).write_parquet(tmp_path / KEY)
    fields = {"text": "body", "source": "page.url", "licence": "rights.name"}
    assert read(tmp_path, KEY, fields=fields) == [TextRecord(1, "t", "u", "CC0-1.0", "und")]


def test_parquet_without_rows_has_no_records(tmp_path: Path) -> None:
    pl.DataFrame(schema={"text": pl.String}).write_parquet(tmp_path / KEY)
    assert read(tmp_path, KEY) == []


def test_bad_parquet_rows_are_named_and_reading_goes_on(tmp_path: Path) -> None:
    values = [b"good", None, b"", b"\xff\xfe", b"x" * 2000, b"last"]
    column = pa.array(values, pa.binary())
    unchecked = pa.StringArray.from_buffers(len(column), *column.buffers()[1:], column.buffers()[0])
    pq.write_table(pa.table({"text": unchecked}), tmp_path / KEY)
    records = read(tmp_path, KEY, max_record_bytes=1000)
    assert texts(records) == ["good", "last"]
    assert reasons(records) == [
        (2, "missing_text"),
        (3, "empty_text"),
        (4, "invalid_utf8"),
        (5, "record_too_large"),
    ]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"title": ["a", "b"]}, "missing_text"),
        ({"text": [1, 2]}, "text_not_a_string"),
        ({"text": [["a"], ["b"]]}, "text_not_a_string"),
    ],
)
def test_parquet_of_another_shape_has_a_reason_per_row(
    tmp_path: Path, column: dict[str, list[object]], reason: str
) -> None:
    pl.DataFrame(column).write_parquet(tmp_path / KEY)
    assert reasons(read(tmp_path, KEY)) == [(1, reason), (2, reason)]


def test_parquet_columns_of_equal_names_do_no_harm(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), tmp_path / KEY)
    assert texts(read(tmp_path, KEY)) == ["b"]


def test_parquet_without_a_readable_footer_is_one_bad_record(tmp_path: Path) -> None:
    assert reasons(read(tmp_path, KEY, b"PAR1 but no more")) == [(1, "unreadable_parquet")]
    pl.DataFrame(noise(1000)).write_parquet(tmp_path / KEY)
    whole = (tmp_path / KEY).read_bytes()
    half = whole[: len(whole) // 2]
    assert reasons(read(tmp_path, KEY, half)) == [(1, "unreadable_parquet")]
    renamed = whole.replace(b"text", b"\xff\xff\xff\xff")
    assert reasons(read(tmp_path, KEY, renamed)) == [(1, "unreadable_parquet")]


def test_damaged_row_group_names_the_lost_rows_and_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / KEY
    pl.DataFrame(noise(900)).write_parquet(path, row_group_size=300)
    group = pq.read_metadata(path).row_group(1).column(0)
    start = group.dictionary_page_offset or group.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + group.total_compressed_size] = bytes(group.total_compressed_size)
    records = read(tmp_path, KEY, bytes(data))
    assert [record.row for record in records] == [*range(1, 302), *range(601, 901)]
    assert reasons(records) == [(301, "unreadable_parquet")]
    assert "rows 301 to 600" in repr(records[300])
