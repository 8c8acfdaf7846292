"""Index of paid keys: from a key to the tables of a project whose files may settle it.

The index is a cache in a folder of its own: it is brought up to date from the journals and
completions files, built anew if it is damaged, and may be deleted. An entry is a 64-bit integer:
the first bits of a key, then the number of a table. So 10,000,000 keys take 80 MB on disk, which
are mapped and not read, and a look-up finds candidates: whoever asks compares the whole key.

A writer holds a lock, writes new files and renames the manifest over the old one, so a reader never
waits, and a kill at any moment leaves the old index or the new one.
"""

import fcntl
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from persona_assets.generation.journal import sorted_segments
from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_store import (
    CompletionStore,
)
from persona_assets.generation.journal.sorted_segments import (
    MappedSegment,
    Segment,
    SegmentDamaged,
)
from persona_assets.storage.files import make_folder, sync

if TYPE_CHECKING:
    from persona_assets.generation.journal.sorted_segments import Integers

TABLE_BITS = 22
"""Bits of a table's number; the other 42 are of the key. Among 10,000,000 keys an absent key has a
false candidate with a probability of 2e-6."""

MOST_TABLES = 1 << TABLE_BITS

BATCH = 2_000_000
"""Entries in memory before they are written, and lost by a kill."""

GARBAGE = 1_000_000
"""Entries of removed tables that are tolerated, beside as many as there are others."""

FORMAT = 1

_LOCK_POLL = 0.05
_MOST_HEAD = 96
# Our lines begin with id and key, so the key is found without parsing the response.
_LINE_KEY = re.compile(rb'\{"id":"[^"\\]*","custom_id":"([0-9a-f]{32})"')


FileState = tuple[int, int, int]
"""Size, modification time (ns) and inode of a file."""


class TableStamp(BaseModel):
    """State of a table's files when they were indexed.

    Attributes:
        number: Number of the table in the entries.
        entries: Number of keys that were read from the files.
        completions: State of the completions file.
        journal: State of the journal.
        end: Offset behind the last whole line of the journal.
        head: First bytes of the journal, as hexadecimal digits: a new journal has another id there.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    entries: int = 0
    completions: FileState | None = None
    journal: FileState | None = None
    end: int = 0
    head: str = ""


class Manifest(BaseModel):
    """Content of an index: its segments, and the files that they cover."""

    format: int = FORMAT
    next_number: int = 0
    tables: dict[str, TableStamp] = {}
    segments: tuple[Segment, ...] = ()


class TableFiles(NamedTuple):
    """States of a table's files on disk; None for a missing file."""

    completions: FileState | None = None
    journal: FileState | None = None


class PaidIndex:
    """Tables by key, over all journals and completions files of a project.

    A table is named by the path of its files below their folders, without the suffix.

    Args:
        folder: Folder of the index; created when it is written.
        journals: Folder of all journals.
        completions: Folder of all completions files.
        ignored: Tables whose journals are left out: the caller knows their records.

    Example:
        >>> import tempfile
        >>> from persona_assets.generation.journal.journal import Journal
        >>> with tempfile.TemporaryDirectory() as name:
        ...     root = Path(name)
        ...     with Journal(root / "journals" / "hop" / "a.jsonl") as journal:
        ...         journal.append(CallRecord("key", 200, {}))
        ...     index = PaidIndex(root / "index", root / "journals", root / "completions")
        ...     index.refresh(), index.tables("key"), index.tables("absent")
        (True, ['hop/a'], [])
    """

    def __init__(
        self, folder: Path, journals: Path, completions: Path, ignored: Collection[str] = ()
    ) -> None:
        self.folder = folder
        self.journals = journals
        self.completions = completions
        self.unreadable: dict[str, str] = {}
        self._ignored = ignored
        self._manifest = Manifest()
        self._published: FileState | None = None
        self._segments: list[MappedSegment] = []
        self._names: dict[int, str] = {}

    def __len__(self) -> int:
        """Return the number of entries; a key that several tables hold counts several times."""
        return sum(segment.segment.count for segment in self._segments)

    def tables(self, key: str) -> list[str]:
        """Return the tables that may hold a record of a key, the table indexed first in front."""
        first = key_prefix(key) >> TABLE_BITS << TABLE_BITS
        numbers = set[int]()
        for segment in self._segments:
            numbers.update(segment.between(first, first + MOST_TABLES - 1))
        names = (self._names.get(number - first) for number in sorted(numbers))
        return [name for name in names if name is not None]

    def has(self, table: str) -> bool:
        """Return True if the index covers a file of a table."""
        return table in self._manifest.tables

    def is_current(self) -> bool:
        """Load the index, and return True if it covers all files on disk as they are now."""
        files = self._scan()
        self._load()
        return not self._is_outdated(files)

    def refresh(self, patience: float = 0.0) -> bool:
        """Bring the index up to date with the files on disk.

        Args:
            patience: Seconds to wait for another process that writes the index.

        Returns:
            False if another process still writes the index, which may then lack recent records.

        Raises:
            OSError: The index cannot be read or written. What was loaded before stays usable.
        """
        files = self._scan()
        self._load()
        if not self._is_outdated(files):
            return True
        make_folder(self.folder)
        with _locked(self.folder / "lock", patience) as is_locked:
            # Another process may have published the same changes in the meantime.
            self._load()
            if is_locked and self._is_outdated(files):
                self._update(files)
            return is_locked

    def _is_outdated(self, files: dict[str, TableFiles]) -> bool:
        tables = self._manifest.tables
        return not tables.keys() <= files.keys() or any(
            _needs_reading(tables.get(name), found, name in self._ignored)
            for name, found in files.items()
        )

    def _scan(self) -> dict[str, TableFiles]:
        """Return the files of all tables. They are read later, so changes since then show again."""
        found = dict[str, TableFiles]()
        for name, state in _files(self.completions, ".parquet"):
            found[name] = TableFiles(state)
        for name, state in _files(self.journals, ".jsonl"):
            found[name] = TableFiles(found[name].completions if name in found else None, state)
        return found

    def _load(self) -> None:
        """Load the published index if it differs from the loaded one; none if it is damaged."""
        for _ in range(10):
            published = self._stamp()
            if published is not None and published == self._published:
                return
            try:
                manifest = self._read_manifest() if published else Manifest()
                segments = [MappedSegment(self.folder, one) for one in manifest.segments]
            except FileNotFoundError:
                # Another process has just replaced the index.
                time.sleep(_LOCK_POLL)
                continue
            except (SegmentDamaged, ValidationError):
                manifest, segments = Manifest(), []
            self._take(manifest, segments)
            self._published = published
            return
        self._take(Manifest(), [])

    def _stamp(self) -> FileState | None:
        try:
            return file_state(self.folder / "manifest.json")
        except FileNotFoundError:
            return None

    def _read_manifest(self) -> Manifest:
        manifest = Manifest.model_validate_json((self.folder / "manifest.json").read_bytes())
        return manifest if manifest.format == FORMAT else Manifest()

    def _take(self, manifest: Manifest, segments: Sequence[MappedSegment]) -> None:
        self._manifest, self._segments = manifest, list(segments)
        self._names = {stamp.number: name for name, stamp in manifest.tables.items()}

    def _update(self, files: dict[str, TableFiles]) -> None:
        """Index new files and parts of files; forget tables without files. Holds the lock."""
        import numpy as np

        kept = {name: one for name, one in self._manifest.tables.items() if name in files}
        next_number = self._manifest.next_number
        live = sum(stamp.entries for stamp in kept.values())
        if len(self) > 2 * live + GARBAGE or next_number + len(files) > MOST_TABLES:
            self._take(Manifest(), [])
            kept, next_number = {}, 0
        batch: list[Integers] = []
        for name, found in files.items():
            stamp = kept.get(name)
            if not _needs_reading(stamp, found, name in self._ignored):
                continue
            if stamp is None:
                if next_number >= MOST_TABLES:
                    continue
                stamp = TableStamp(number=next_number)
                next_number += 1
            kept[name], entries = self._read(name, stamp, found)
            batch += entries
            if sum(map(len, batch)) >= BATCH:
                self._publish(kept, next_number, np.concatenate(batch))
                batch = []
        self._publish(kept, next_number, np.concatenate([np.empty(0, np.uint64), *batch]))

    def _read(
        self, name: str, stamp: TableStamp, found: TableFiles
    ) -> "tuple[TableStamp, list[Integers]]":
        """Return the stamp of a table's files, and the entries that they add."""
        prefixes: list[Integers] = []
        entries = stamp.entries
        if found.completions is not None and found.completions != stamp.completions:
            prefixes += self._guarded(
                name, _completion_prefixes(self._path(name, completions=True))
            )
            entries = sum(map(len, prefixes))
        update: dict[str, object] = {"completions": found.completions}
        if name not in self._ignored:
            tail = _JournalTail(self._path(name), stamp.end, stamp.head)
            if found.journal is not None and found.journal != stamp.journal:
                lines = self._guarded(name, tail.prefixes())
                entries += sum(map(len, lines))
                prefixes += lines
            update |= {"journal": found.journal, "end": tail.end, "head": tail.head}
        table = stamp.model_copy(update=update | {"entries": entries})
        return table, [_entries(part, stamp.number) for part in prefixes]

    def _guarded(self, name: str, parts: "Iterable[Integers]") -> "list[Integers]":
        """Read keys from a file; a damaged or missing file has those read so far."""
        read: list[Integers] = []
        try:
            read.extend(parts)
        except FileNotFoundError:
            # Its records have moved to the completions file, which the next refresh reads.
            pass
        except (OSError, ValueError, RecursionError) as error:
            self.unreadable[name] = str(error)
        return read

    def _path(self, name: str, *, completions: bool = False) -> Path:
        root, suffix = (self.completions, "parquet") if completions else (self.journals, "jsonl")
        return root / f"{name}.{suffix}"

    def _publish(
        self, tables: dict[str, TableStamp], next_number: int, entries: "Integers"
    ) -> None:
        segments = sorted_segments.add(self.folder, self._segments, entries)
        manifest = Manifest(
            next_number=next_number,
            tables=dict(tables),
            segments=tuple(one.segment for one in segments),
        )
        scratch = self.folder / ".manifest.tmp"
        with scratch.open("wb") as file:
            file.write(manifest.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.folder / "manifest.json")
        sync(self.folder)
        self._take(manifest, segments)
        self._published = self._stamp()
        names = {segment.name for segment in manifest.segments}
        for path in self.folder.glob(f"*{sorted_segments.SUFFIX}"):
            if path.name not in names:
                path.unlink(missing_ok=True)


def key_prefix(key: str) -> int:
    """Return 64 bits of a key: the first of a usual key, a hash of any other text.

    Example:
        >>> hex(key_prefix("8bf90af2e1b79d6d82fb2382866f475e"))
        '0x8bf90af2e1b79d6d'
    """
    if len(key) == 32 and key.isalnum():
        try:
            return int.from_bytes(bytes.fromhex(key)[:8])
        except ValueError:
            pass
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def key_prefixes(keys: Sequence[str]) -> "Integers":
    """Return the prefixes of many keys, as an array."""
    import numpy as np

    joined = "".join(keys)
    if joined.isalnum() and set(map(len, keys)) == {32}:
        try:
            # Numbers in network order: the first 64 of 128 bits each.
            return np.frombuffer(bytes.fromhex(joined), ">u8")[::2].astype(np.uint64)
        except ValueError:
            pass
    return np.fromiter(map(key_prefix, keys), np.uint64, len(keys))


def _entries(prefixes: "Integers", number: int) -> "Integers":
    import numpy as np

    bits = np.uint64(TABLE_BITS)
    entries: Integers = (prefixes >> bits << bits) | np.uint64(number)
    return entries


def _needs_reading(stamp: TableStamp | None, found: TableFiles, is_ignored: bool) -> bool:
    if stamp is None:
        return found.completions is not None or not is_ignored
    if found.completions is not None and found.completions != stamp.completions:
        return True
    return not is_ignored and found.journal != stamp.journal


def _completion_prefixes(path: Path) -> "Iterator[Integers]":
    with CompletionStore(path) as store:
        for keys, lines in store.columns("key", "line"):
            yield key_prefixes(
                [
                    key if line is None else CallRecord.from_line(line).key
                    for key, line in zip(keys, lines, strict=True)
                ]
            )


class _JournalTail:
    """Whole lines of a journal from an offset on, or from its beginning if it is a new journal.

    Attributes:
        end: Offset behind the last line that was read.
        head: First bytes of the journal, as hexadecimal digits.
    """

    def __init__(self, path: Path, end: int, head: str) -> None:
        self._path = path
        self.end = end
        self.head = head

    def prefixes(self) -> "Iterator[Integers]":
        with self._path.open("rb") as file:
            head = file.read(_MOST_HEAD).hex()
            size = os.fstat(file.fileno()).st_size
            if not self.head or not head.startswith(self.head) or size < self.end:
                self.end = 0
            self.head = head
            file.seek(self.end)
            keys: list[str] = []
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.end += len(line)
                if (key := _line_key(line)) is not None:
                    keys.append(key)
                if len(keys) >= 10_000:
                    yield key_prefixes(keys)
                    keys = []
            if keys:
                yield key_prefixes(keys)


def _line_key(line: bytes) -> str | None:
    """Return the key of a line; None if the line is no record, which its own table reports."""
    if match := _LINE_KEY.match(line):
        return match[1].decode()
    try:
        return CallRecord.from_line(line).key
    except (ValueError, RecursionError):
        return None


def _files(root: str | Path, suffix: str, folder: str = "") -> Iterator[tuple[str, FileState]]:
    """Iterate over table names and file states in a folder and in the folders of assets below."""
    try:
        entries = list(os.scandir(root))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.name.endswith(suffix):
            try:
                yield folder + entry.name.removesuffix(suffix), _state(entry.stat())
            except FileNotFoundError:  # It was removed in the meantime.
                continue
        # Files of open batches are no journals.
        elif not folder and entry.is_dir() and not entry.name.endswith(".batches"):
            yield from _files(entry.path, suffix, f"{entry.name}/")


def file_state(path: Path) -> FileState:
    """Return the state of a file.

    Raises:
        FileNotFoundError: The file does not exist.
    """
    return _state(path.stat())


def _state(status: os.stat_result) -> FileState:
    return status.st_size, status.st_mtime_ns, status.st_ino


@contextmanager
def _locked(path: Path, patience: float) -> Iterator[bool]:
    """Lock a file, and yield False if another process still holds it after `patience` s."""
    end = time.monotonic() + patience
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    yield False
                    return
                time.sleep(_LOCK_POLL)
            else:
                yield True
                return
