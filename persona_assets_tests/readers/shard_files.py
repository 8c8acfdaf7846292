"""Shard files for the tests of readers: written, packed, and read back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import zstandard

from persona_assets.ids import content_id
from persona_assets.readers import BadRecord, ShardFile, TextRecord, field_paths, reader_for

Record = TextRecord | BadRecord


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def noise(count: int) -> list[dict[str, str]]:
    """Return rows that compress badly, so that an archive of them can be cut inside its data."""
    return [{"text": content_id(str(i))} for i in range(count)]


def write(root: Path, key: str, data: bytes) -> Path:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def shard_file(
    root: Path,
    key: str,
    fields: Mapping[str, str] | None = None,
    max_record_bytes: int = 8_000_000,
) -> ShardFile:
    return ShardFile(key, root / key, field_paths(fields or {}), max_record_bytes)


def read(
    root: Path,
    key: str,
    data: bytes | None = None,
    *,
    fields: Mapping[str, str] | None = None,
    max_record_bytes: int = 8_000_000,
) -> list[Record]:
    """Return the records of a shard, written first if `data` is given."""
    if data is not None:
        write(root, key, data)
    return list(reader_for(key).read(shard_file(root, key, fields, max_record_bytes)))


def texts(records: Sequence[Record]) -> list[str]:
    return [record.text for record in records if isinstance(record, TextRecord)]


def reasons(records: Sequence[Record]) -> list[tuple[int, str]]:
    """Return row and reason, without its detail, of each bad record."""
    return [
        (record.row, record.reason.partition(":")[0])
        for record in records
        if isinstance(record, BadRecord)
    ]
