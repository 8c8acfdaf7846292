"""The corpus folder: finds its shards, notices changed files, has their records read.

Does not belong here: file formats (`readers/`).
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from persona_assets.readers import (
    BadRecord,
    ShardFile,
    TextRecord,
    field_paths,
    known_endings,
    reader_for,
)
from persona_assets.storage.footer import SourceFile
from persona_assets.storage.shard_keys import check_shard_key


@dataclass(frozen=True)
class Corpus:
    """Folder of text files, each file a shard.

    Args:
        root: The folder.
        fields: Dotted path of each column that is stored under an unknown name (see
            `readers.fields.FIELDS`): `{"text": "body", "source": "page.url"}`.
        max_record_bytes: Largest record that is read.

    Raises:
        ValueError: A column is unknown, or `max_record_bytes` is below 1.
    """

    root: Path
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    max_record_bytes: int = 8_000_000

    def __post_init__(self) -> None:
        _ = field_paths(self.fields)
        if self.max_record_bytes < 1:
            raise ValueError(f"max_record_bytes must be positive; it is {self.max_record_bytes}")

    def shards(self) -> list[str]:
        """Return the keys of all shards in the folder, sorted.

        Left out: files without a known ending, names that start with `.` or `~`, files in hidden or
        linked folders, and links that leave the root.

        Raises:
            FileNotFoundError: The root does not exist.
            NotADirectoryError: The root is a file.
            ValueError: The path of a file cannot be a key.
        """
        base = self._base()
        endings = known_endings()
        keys: list[str] = []
        for folder, folders, names in os.walk(base, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(base).as_posix()
                if _is_shard_name(name, endings) and _is_inside(path, base):
                    keys.append(check_shard_key(key))
        return sorted(keys)

    def has(self, key: str) -> bool:
        """Return True if the file of the shard exists."""
        return self._file(key) is not None

    def stamp(self, key: str) -> tuple[int, int] | None:
        """Return size and modification time (ns) of a shard's file, unread; None if gone."""
        path = self._file(key)
        if path is None:
            return None
        status = path.stat()
        return status.st_size, status.st_mtime_ns

    def fingerprint(self, key: str) -> SourceFile | None:
        """Return the current fingerprint of a shard's file, read in full; None if gone."""
        path = self._file(key)
        return None if path is None else _hash(path)

    def changed(self, key: str, known: SourceFile) -> SourceFile | None:
        """Return the new fingerprint of a file whose content has changed, None if it has not.

        The file is read only if its size or modification time differs.

        Raises:
            FileNotFoundError: The file is gone.
        """
        path = self._present(key)
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (known.size, known.mtime_ns):
            return None
        now = _hash(path)
        return None if now.sha256 == known.sha256 else now

    def read(self, key: str) -> Iterator[TextRecord | BadRecord]:
        """Return an iterator over a shard's records, with a BadRecord for each unreadable record.

        A bad record does not stop the reading. A file without any record gives `empty_file`.

        Raises:
            FileNotFoundError: The file is gone.
            ValueError: No reader knows the file's ending.
        """
        path = self._present(key)
        reader = reader_for(key)
        file = ShardFile(key, path, field_paths(self.fields), self.max_record_bytes)
        return _or_empty_file(reader.read(file))

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


def _raise(error: OSError) -> NoReturn:
    raise error


def _hash(path: Path) -> SourceFile:
    with path.open("rb") as file:
        # Status before hash: a write in between then shows as a newer time at the next look.
        status = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFile(size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256)


def _is_shard_name(name: str, endings: tuple[str, ...]) -> bool:
    return name.lower().endswith(endings) and name[0] not in ".~"


def _is_inside(path: Path, base: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(base)


def _or_empty_file(records: Iterator[TextRecord | BadRecord]) -> Iterator[TextRecord | BadRecord]:
    first = next(records, None)
    yield BadRecord(1, "empty_file") if first is None else first
    yield from records
