"""Readers need memory in proportion to the size limit of a record, not to the file."""

import bz2
import gzip
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.readers import TextRecord, reader_for
from persona_assets_tests.readers.shard_files import reasons, shard_file, texts, write, zstd


@pytest.mark.parametrize(
    ("key", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.zst", zstd),
        ("a.jsonl.bz2", bz2.compress),
        ("a.jsonl.xz", lzma.compress),
        ("a.json", bytes),
        ("a.txt", bytes),
    ],
)
def test_huge_record_is_never_held(
    tmp_path: Path, key: str, pack: Callable[[bytes], bytes]
) -> None:
    huge = b'{"text": "' + b"0123456789" * 2_000_000 + b'"}\n{"text": "after"}\n'
    write(tmp_path, key, pack(huge))
    del huge
    file, reader = shard_file(tmp_path, key, max_record_bytes=100_000), reader_for(key)
    tracemalloc.start()
    records = list(reader.read(file))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reasons(records) == [(1, "record_too_large")]
    assert texts(records) == ([] if key == "a.txt" else ["after"])
    assert peak < 10_000_000, "part of the 20 MB was held"


ROW = b"0123456789 " * 100_000
"""Text of a row: 1.1 MB."""


@pytest.mark.parametrize(
    ("key", "start", "row", "end", "rows", "reason"),
    [
        ("a.json.gz", b"[", b'{"text": "' + ROW + b'"},\n', b"]", 200, None),
        ("a.json.gz", b'[{"text": "', ROW, b'"}, {"text": "b"}]', 1, "record_too_large"),
        ("a.json.gz", b'{"text": "', ROW, b'"}\n{"text": "b"}', 1, "record_too_large"),
        ("a.csv.gz", b"text,n\n", b'"' + ROW + b'\n""",1\n', b"", 200, None),
        ("a.csv.gz", b'text,n\n"', ROW, b'",1\nb,2\n', 1, "record_too_large"),
        ("a.csv.gz", b'text,n\n"', ROW + b"\n", b"", 0, "unclosed_quote"),
        ("a.csv.gz", b"text", ROW, b"\nb\n", 0, "no_header"),
    ],
    ids=["array", "element", "line", "csv", "field", "quote", "header"],
)
def test_file_of_200_megabytes_is_never_held(
    tmp_path: Path,
    key: str,
    start: bytes,
    row: bytes,
    end: bytes,
    rows: int,
    reason: str | None,
) -> None:
    with gzip.open(tmp_path / key, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(200):
            file.write(row)
        file.write(end)
    shard, reader = shard_file(tmp_path, key, max_record_bytes=2_000_000), reader_for(key)
    tracemalloc.start()
    found, bad = 0, []
    for record in reader.read(shard):
        found += isinstance(record, TextRecord)
        bad += reasons([record])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found, bad) == (rows, [] if reason is None else [(1, reason)])
    assert peak < 20_000_000, "more than a few records of the 200 MB were held"
