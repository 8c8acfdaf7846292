"""Readers need memory in proportion to the size limit of a record, not to the file."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.readers import reader_for
from persona_assets_tests.readers.shard_files import reasons, shard_file, texts, write, zstd


@pytest.mark.parametrize(
    ("key", "pack"),
    [("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd), ("a.txt", bytes)],
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
