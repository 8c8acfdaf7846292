"""A text file is a single text, or a single bad record."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.readers import TextRecord
from persona_assets_tests.readers.shard_files import read, reasons


@pytest.mark.parametrize(("ending", "pack"), [("txt", bytes), ("txt.gz", gzip.compress)])
def test_text_file_is_one_text(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    data = "\ufeffFirst.\n\nSecond: é.\n".encode()
    key = f"dir/a.{ending}"
    assert read(tmp_path, key, pack(data)) == [
        TextRecord(1, "First.\n\nSecond: é.\n", f"{key}#1", "unknown", "und")
    ]


def test_text_file_is_read_without_the_users_own_field_paths(tmp_path: Path) -> None:
    records = read(tmp_path, "a.txt", b"y", fields={"text": "body", "source": "page.url"})
    assert records == [TextRecord(1, "y", "a.txt#1", "unknown", "und")]


@pytest.mark.parametrize(
    ("key", "data", "reason"),
    [
        ("a.txt", b"caf\xe9", "invalid_utf8"),
        ("a.txt", "utf-16".encode("utf-16"), "invalid_utf8"),
        ("a.txt", b"x" * 1001, "record_too_large"),
        ("a.txt.gz", gzip.compress(b"x" * 1001, mtime=0), "record_too_large"),
        ("a.txt.gz", gzip.compress(b"hello", mtime=0)[:-3], "truncated_gzip"),
        ("a.txt.gz", b"hello", "corrupt_gzip"),
    ],
)
def test_bad_text_file_is_one_bad_record(
    tmp_path: Path, key: str, data: bytes, reason: str
) -> None:
    assert reasons(read(tmp_path, key, data, max_record_bytes=1000)) == [(1, reason)]
