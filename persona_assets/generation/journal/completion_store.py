"""Completions: what journals held when their tables were published, one row a record, in Parquet.

A file is only ever replaced as a whole, and the same records give the same bytes.
"""

import itertools
import os
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from persona_assets.generation.journal.call_record import TRANSIENT, CallRecord
from persona_assets.generation.journal.completion_row import (
    CompletionRow,
    completion_schema,
    to_table,
)
from persona_assets.generation.journal.key_index import KeyIndex

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1000
GROUP_BYTES = 8 << 20
"""A row group ends with the row that reaches either: an answer of vectors takes megabytes."""

GROUPS_KEPT = 8
"""Row groups that stay decoded: a replay asks more or less in the order of the rows."""


class JournalCorrupt(ValueError):
    """A complete line of a journal is not a record, or a file of completions is damaged."""


class CompletionStore:
    """The records of one file, by key; a context manager that holds the file open.

    A file that is replaced meanwhile goes on being read as it was. `get` may be called from many
    threads. Raises FileNotFoundError, and JournalCorrupt for a file that is damaged or is none.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self._kept: dict[int, list[CompletionRow]] = {}
        self._lock = threading.RLock()
        with self._reading():
            self._file = pq.ParquetFile(path)
        if self._file.schema_arrow != completion_schema():
            self.close()
            raise JournalCorrupt(f"{path} has other columns than completions have: move it away")
        groups = range(self._file.num_row_groups)
        sizes = (self._file.metadata.row_group(group).num_rows for group in groups)
        self._starts: list[int] = list(itertools.accumulate(sizes, initial=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close(force=True)

    def __contains__(self, key: str) -> bool:
        return any(self._row(place).is_of(key) for place in self.keys.places(key))

    def get(self, key: str) -> CallRecord | None:
        """What settled a call: of two answers the first. None if nothing here does."""
        for place in self.keys.places(key):
            record = self._row(place).record()
            if record.key == key:
                return record
        return None

    def holds(self, record: CallRecord) -> bool:
        """Whether this very record is here: its id or, where it has none, all that it says."""
        found = (self._row(place).record() for place in self._ids.places(_name(record)))
        return any(it.id == record.id and (bool(it.id) or it == record) for it in found)

    def records(self) -> Iterator[CallRecord]:
        """All records, in the order in which they were added."""
        for group in range(len(self._starts) - 1):
            for row in self._read(group):
                yield row.record()

    @cached_property
    def keys(self) -> KeyIndex:
        """The rows that settle a call, by its key."""
        return KeyIndex(
            (key if line is None else CallRecord.from_line(line).key, place)
            for place, (key, code, line) in self._scan("key", "error_code", "line")
            if code not in TRANSIENT
        )

    @cached_property
    def _ids(self) -> KeyIndex:
        return KeyIndex(
            ((name or key) if line is None else _name(CallRecord.from_line(line)), place)
            for place, (name, key, line) in self._scan("id", "key", "line")
        )

    def _scan(self, *names: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        groups = range(len(self._starts) - 1)
        rows = (zip(*self._columns(group, names), strict=True) for group in groups)
        return enumerate(itertools.chain.from_iterable(rows))

    def _row(self, place: int) -> CompletionRow:
        group = bisect_right(self._starts, place) - 1
        with self._lock:
            rows = self._kept.pop(group, None) or self._read(group)
            self._kept[group] = rows
            if len(self._kept) > GROUPS_KEPT:
                del self._kept[next(iter(self._kept))]
        return rows[place - self._starts[group]]

    def _read(self, group: int) -> list[CompletionRow]:
        columns = self._columns(group, CompletionRow._fields)
        return [CompletionRow._make(values) for values in zip(*columns, strict=True)]

    def _columns(self, group: int, names: Iterable[str]) -> list[list[Any]]:
        table = self._table(group, names)
        return [table.column(name).to_pylist() for name in names]

    def _table(self, group: int, names: Iterable[str] = CompletionRow._fields) -> "pa.Table":
        with self._lock, self._reading():
            return self._file.read_row_group(group, columns=list(names), use_threads=False)

    def _copy(self, to: "_Writer") -> None:
        """Adds all rows as they are; the last group may have room for more."""
        groups = range(len(self._starts) - 1)
        for group in groups[:-1]:
            to.copy(self._table(group))
        for group in groups[-1:]:
            for row in self._read(group):
                to.add(row)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise JournalCorrupt(
                f"{self.path} is damaged ({error}): restore it from a copy, or move it away and "
                "pay for its calls again"
            ) from None


def merge_journal(path: Path, records: Iterable[tuple[CallRecord, bytes]]) -> int:
    """Adds a journal's records, each with its line, to a file; returns the number that are new.

    Those that the file holds are left out. When this returns, the new ones survive a crash of the
    machine; where it raises (OSError, JournalCorrupt) the file is as it was.
    """
    with ExitStack() as stack:
        old = stack.enter_context(CompletionStore(path)) if path.exists() else None
        new = (CompletionRow.of(*pair) for pair in records if old is None or not old.holds(pair[0]))
        first = next(new, None)
        if first is None:
            return 0
        make_folder(path.parent)
        # Whoever adds to the file has the journal's lease, so the name needs nothing of its own.
        scratch = path.with_name(f".{path.name}.tmp")
        stack.callback(scratch.unlink, missing_ok=True)
        count = 0
        with _Writer(scratch) as writer:
            if old is not None:
                old._copy(writer)
            for row in itertools.chain([first], new):
                writer.add(row)
                count += 1
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
        sync_folder(path.parent)
    return count


def make_folder(folder: Path) -> None:
    """Makes a folder that survives a crash of the machine, and those above it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Puts on disk which files a folder has."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Writer:
    """Groups rows into a new file. Which rows share a group depends on the rows alone."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        # Dictionaries and statistics of random keys and of texts help nobody.
        self._file = pq.ParquetWriter(
            path,
            completion_schema(),
            compression="zstd",
            use_dictionary=False,
            write_statistics=False,
            store_schema=False,
        )
        self._rows: list[CompletionRow] = []
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._file.close()

    def add(self, row: CompletionRow) -> None:
        self._rows.append(row)
        self._size += len(row.body or "") + len(row.line or b"")
        if len(self._rows) >= GROUP_ROWS or self._size >= GROUP_BYTES:
            self._flush()

    def copy(self, group: "pa.Table") -> None:
        self._file.write_table(group)

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(to_table(self._rows))
            self._rows, self._size = [], 0


def _name(record: CallRecord) -> str:
    """What a record is looked up by."""
    return str(record.id or record.key)
