"""Compressed files are read to their end, and damage to an archive is named after its last row."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets_tests.readers.shard_files import lines, noise, read, reasons, texts, zstd

Pack = Callable[[bytes], bytes]


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("zst", zstd)])
def test_joined_archives_are_read_to_the_end(tmp_path: Path, ending: str, pack: Pack) -> None:
    parts = pack(lines({"text": "a"})) + pack(b"") + pack(lines({"text": "b"}))
    assert texts(read(tmp_path, f"a.jsonl.{ending}", parts)) == ["a", "b"]


def test_zstd_skippable_frame_is_skipped(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    data = skippable + zstd(lines({"text": "a"})) + skippable
    assert texts(read(tmp_path, "a.jsonl.zst", data)) == ["a"]


@pytest.mark.parametrize("cut", ["at half", "before the last byte", "in the header"])
@pytest.mark.parametrize(
    ("ending", "pack", "reason"),
    [("gz", gzip.compress, "truncated_gzip"), ("zst", zstd, "truncated_zstd")],
)
def test_truncated_archive_gives_its_whole_rows_and_the_reason(
    tmp_path: Path, ending: str, pack: Pack, reason: str, cut: str
) -> None:
    rows = noise(10_000)
    packed = pack(lines(*rows))
    length = {"at half": len(packed) // 2, "before the last byte": len(packed) - 1}.get(cut, 5)
    records = read(tmp_path, f"a.jsonl.{ending}", packed[:length])
    whole = texts(records)
    assert whole == [row["text"] for row in rows[: len(whole)]]
    assert reasons(records) == [(len(whole) + 1, reason)]
    assert len(whole) >= (2000 if length > 5 else 0)


def test_truncated_second_zstd_frame_is_noticed(tmp_path: Path) -> None:
    second = zstd(lines(*noise(100)))
    records = read(tmp_path, "a.jsonl.zst", zstd(lines({"text": "a"})) + second[:50])
    assert texts(records)[0] == "a"
    assert reasons(records)[-1][1] == "truncated_zstd"


@pytest.mark.parametrize(
    ("ending", "pack", "reason"),
    [("gz", gzip.compress, "corrupt_gzip"), ("zst", zstd, "corrupt_zstd")],
)
def test_corrupt_archive_is_named(tmp_path: Path, ending: str, pack: Pack, reason: str) -> None:
    key = f"a.jsonl.{ending}"
    assert reasons(read(tmp_path, key, b"this was never packed at all")) == [(1, reason)]
    trailing = read(tmp_path, key, pack(lines({"text": "a"})) + b"trailing rubbish")
    assert texts(trailing) == ["a"]
    assert reasons(trailing) == [(2, reason)]


def test_gzip_with_a_wrong_checksum_is_corrupt(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(lines({"text": "a"})))
    packed[-6] ^= 0xFF
    assert reasons(read(tmp_path, "a.jsonl.gz", bytes(packed))) == [(2, "corrupt_gzip")]
