"""The corpus folder: finds its shards, notices changed files, reads them record by record.

What knows about files and compression is here; field names, and what a record becomes, are in
`steps/corpus.py`. Files are untrusted: whatever one holds, reading it gives records or reasons, and
takes memory in proportion to `max_record_bytes`, not to the file.

| extension | a shard's records |
|---|---|
| .jsonl .ndjson .jsonl.gz .jsonl.zst .json.gz | one JSON object a line |
| .parquet | one row each |
| .txt .txt.gz | the whole file is one text |
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import zstandard

from persona_assets.steps.corpus import (
    FIELDS,
    BadRecord,
    TextRecord,
    field_paths,
    parse_line,
    split_lines,
    to_record,
)
from persona_assets.storage.footer import SourceFile
from persona_assets.storage.shard_keys import check_shard_key

JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".json.gz")
PARQUET = (".parquet",)
PLAIN_TEXT = (".txt", ".txt.gz")

_CHUNK = 1 << 16
# A zstd block of 4 bytes can unpack to 128 KiB: this bounds one step of a hostile file to 8 MiB.
_ZSTD_CHUNK = 1 << 8
_PARQUET_BATCH = 16


class _Damaged(Exception):
    """The rest of a file cannot be read; the argument is the BadRecord's reason."""


@dataclass(frozen=True)
class Corpus:
    """A folder of text files, each of them one shard.

    `fields` says where a column is found that has no name of `steps.corpus.FIELDS`, as a dotted
    path: `{"text": "body", "source": "page.url"}`. Raises ValueError for an unknown column or a
    `max_record_bytes` below 1.
    """

    root: Path
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    max_record_bytes: int = 8_000_000

    def __post_init__(self) -> None:
        _ = field_paths(self.fields)
        if self.max_record_bytes < 1:
            raise ValueError(f"max_record_bytes must be positive; it is {self.max_record_bytes}")

    def shards(self) -> list[str]:
        """Keys of all shards in the folder, sorted.

        Left out: other extensions, names that start with `.` or `~`, what lies in hidden or linked
        folders, and links that leave the root. Raises FileNotFoundError or NotADirectoryError for
        the root, ValueError for a file whose path cannot be a key.
        """
        base = self._base()
        keys: list[str] = []
        for folder, folders, names in os.walk(base, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(base).as_posix()
                if _is_shard_name(name) and _is_inside(path, base):
                    keys.append(check_shard_key(key))
        return sorted(keys)

    def has(self, key: str) -> bool:
        """Whether the shard's file is there."""
        return self._file(key) is not None

    def stamp(self, key: str) -> tuple[int, int] | None:
        """Size and time of change (ns) of the shard's file, without reading it; None if gone."""
        path = self._file(key)
        if path is None:
            return None
        status = path.stat()
        return status.st_size, status.st_mtime_ns

    def fingerprint(self, key: str) -> SourceFile | None:
        """The file as it is now, read in full for its hash; None if it is gone."""
        path = self._file(key)
        return None if path is None else _hash(path)

    def changed(self, key: str, known: SourceFile) -> SourceFile | None:
        """The new fingerprint if the file's content is not the known one, None if it is.

        The file is read only if its size or time differs. Raises FileNotFoundError if it is gone.
        """
        path = self._present(key)
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (known.size, known.mtime_ns):
            return None
        now = _hash(path)
        return None if now.sha256 == known.sha256 else now

    def read(self, key: str) -> Iterator[TextRecord | BadRecord]:
        """The shard's records in order, and a BadRecord for each one that cannot be read.

        Blank lines are skipped but counted. A bad record does not stop the reading. Damage to the
        file ends it (truncated_gzip, corrupt_gzip, truncated_zstd, corrupt_zstd), in Parquet only
        that of the row group (unreadable_parquet). A file without any record gives `empty_file`.
        Raises FileNotFoundError if the file is gone, ValueError for an unknown extension.
        """
        path = self._present(key)
        name = key.lower()
        if name.endswith(JSON_LINES):
            records = self._read_json_lines(key, path)
        elif name.endswith(PARQUET):
            records = self._read_parquet(key, path)
        elif name.endswith(PLAIN_TEXT):
            records = self._read_plain_text(key, path)
        else:
            known = " ".join(JSON_LINES + PARQUET + PLAIN_TEXT)
            raise ValueError(f"shard {key!r} has an unknown extension: use one of {known}")
        return _or_empty_file(records)

    def _base(self) -> Path:
        if not self.root.exists():
            raise FileNotFoundError(f"corpus folder {self.root} does not exist: create or mount it")
        if not self.root.is_dir():
            raise NotADirectoryError(
                f"corpus {self.root} is not a folder: name the one with the files"
            )
        return self.root.resolve()

    def _file(self, key: str) -> Path | None:
        base = self._base()
        path = base / check_shard_key(key)
        return path if _is_inside(path, base) else None

    def _present(self, key: str) -> Path:
        path = self._file(key)
        if path is None:
            raise FileNotFoundError(f"shard {key!r} is gone from the corpus {self.root}")
        return path

    def _read_json_lines(self, key: str, path: Path) -> Iterator[TextRecord | BadRecord]:
        paths = field_paths(self.fields)
        row = 0
        try:
            for row, line in enumerate(split_lines(_chunks(path), self.max_record_bytes), 1):
                record = self._too_large(row) if line is None else parse_line(line, row, key, paths)
                if record is not None:
                    yield record
        except _Damaged as damage:
            yield BadRecord(row + 1, str(damage))

    def _read_plain_text(self, key: str, path: Path) -> Iterator[TextRecord | BadRecord]:
        content = bytearray()
        try:
            for chunk in _chunks(path):
                content += chunk
                if len(content) > self.max_record_bytes:
                    yield self._too_large(1)
                    return
            text = content.decode("utf-8-sig")
        except _Damaged as damage:
            yield BadRecord(1, str(damage))
        except UnicodeDecodeError as error:
            yield BadRecord(1, f"invalid_utf8: {error.reason}")
        else:
            if text.strip():
                yield to_record({"text": text}, 1, key, FIELDS)

    def _read_parquet(self, key: str, path: Path) -> Iterator[TextRecord | BadRecord]:
        # By name, as pyarrow has no types to import.
        pa: Any = import_module("pyarrow")
        pq: Any = import_module("pyarrow.parquet")
        if not path.stat().st_size:
            return
        try:
            file = pq.ParquetFile(path, buffer_size=_CHUNK)
        except (pa.ArrowException, OSError, ValueError) as error:
            yield BadRecord(1, f"unreadable_parquet: {_headline(error)}")
            return
        end = 0
        with file:
            for group in range(file.num_row_groups):
                row, end = end, end + file.metadata.row_group(group).num_rows
                try:
                    for record in self._read_row_group(key, file, group, row):
                        row = record.row
                        yield record
                except (pa.ArrowException, OSError, ValueError) as error:
                    lost = f"rows {row + 1} to {end}"
                    yield BadRecord(row + 1, f"unreadable_parquet: {lost}: {_headline(error)}")

    def _read_row_group(
        self, key: str, file: Any, group: int, row: int
    ) -> Iterator[TextRecord | BadRecord]:
        paths = field_paths(self.fields)
        columns = _wanted([leaf.path for leaf in file.schema], paths)
        for batch in file.iter_batches(_PARQUET_BATCH, [group], columns, use_threads=False):
            for one in (batch.slice(index, 1) for index in range(batch.num_rows)):
                row += 1
                if one.nbytes > self.max_record_bytes:
                    yield self._too_large(row)
                    continue
                try:
                    values = [column[0].as_py() for column in one.columns]
                except UnicodeDecodeError as error:
                    yield BadRecord(row, f"invalid_utf8: {error.reason}")
                else:
                    data = dict(zip(one.schema.names, values, strict=True))
                    yield to_record(data, row, key, paths)

    def _too_large(self, row: int) -> BadRecord:
        return BadRecord(row, f"record_too_large: over {self.max_record_bytes} bytes")


def _raise(error: OSError) -> NoReturn:
    raise error


def _hash(path: Path) -> SourceFile:
    with path.open("rb") as file:
        # Taken before the hash: a write in between then shows as a newer time next time.
        status = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFile(size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256)


def _is_shard_name(name: str) -> bool:
    return name.lower().endswith(JSON_LINES + PARQUET + PLAIN_TEXT) and name[0] not in ".~"


def _is_inside(path: Path, base: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(base)


def _or_empty_file(records: Iterator[TextRecord | BadRecord]) -> Iterator[TextRecord | BadRecord]:
    first = next(records, None)
    yield BadRecord(1, "empty_file") if first is None else first
    yield from records


def _headline(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]


def _wanted(leaves: list[str], paths: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The Parquet leaves to read: those at or below a path, and plain columns that one enters."""
    sought = {path for candidates in paths.values() for path in candidates}
    roots = {path.partition(".")[0] for path in sought}
    below = tuple(f"{path}." for path in sought)
    return [leaf for leaf in leaves if leaf in sought | roots or leaf.startswith(below)]


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked; raises _Damaged after the last good ones."""
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        try:
            if suffix == ".gz":
                with gzip.open(file) as unpacked:
                    while chunk := unpacked.read1(_CHUNK):
                        yield chunk
            elif suffix == ".zst":
                yield from _unpack_zstd(file)
            else:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except EOFError as error:
            raise _Damaged("truncated_gzip" if suffix == ".gz" else "truncated_zstd") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise _Damaged("corrupt_gzip") from error
        except zstandard.ZstdError as error:
            raise _Damaged("corrupt_zstd") from error


def _unpack_zstd(file: BinaryIO) -> Iterator[bytes]:
    """Unpacks frame after frame; raises EOFError in the middle of one.

    `ZstdDecompressor.stream_reader` would take a truncated frame for the end of the file.
    """
    decompressor = zstandard.ZstdDecompressor()
    frame = None
    while packed := file.read(_ZSTD_CHUNK):
        while packed:
            frame = frame or decompressor.decompressobj()
            yield frame.decompress(packed)
            packed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError
