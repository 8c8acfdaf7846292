"""Completions file: the records of a published table's journals in Parquet, a row per record.

A file is only ever replaced as a whole, and equal records give equal bytes.
"""

import itertools
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from persona_assets.generation.journal.call_record import FINAL, CallRecord
from persona_assets.generation.journal.completion_row import (
    CompletionRow,
    completion_schema,
    is_completion_schema,
    to_table,
    with_added_columns,
)
from persona_assets.generation.journal.key_index import KeyIndex
from persona_assets.generation.parsing.finish_reasons import finish_of
from persona_assets.storage.files import make_folder, sync

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1000
GROUP_BYTES = 8 << 20
"""Limits that end a row group; a response with embedding vectors takes megabytes."""

GROUPS_CACHED = 8
"""Number of decoded row groups kept in memory: a replay reads rows roughly in their order."""


class JournalCorrupt(ValueError):
    """A complete line of a journal is not a record, or a completions file is damaged."""


class CompletionStore:
    """Records of a completions file by key; a context manager that keeps the file open.

    A store reads the file as it was when opened, even if the file is replaced meanwhile. `get` may
    be called from many threads. Columns that files of earlier versions lack are read as nulls.

    Args:
        groups_cached: Number of decoded row groups kept in memory.

    Raises:
        FileNotFoundError: The file does not exist.
        JournalCorrupt: The file is damaged or is no completions file.

    Example:
        >>> import tempfile
        >>> record = CallRecord("key", 200, {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.parquet")
        ...     count = merge_journal(path, [(record, record.to_line())])
        ...     with CompletionStore(path) as store:
        ...         count, store.get("key") == record, "absent" in store
        (1, True, False)
    """

    def __init__(self, path: Path, *, groups_cached: int = GROUPS_CACHED) -> None:
        import pyarrow.parquet as pq

        self.path = path
        self._groups_cached = groups_cached
        self._cache: dict[int, list[CompletionRow]] = {}
        self._lock = threading.RLock()
        with self._reading():
            self._file = pq.ParquetFile(path)
        if not is_completion_schema(self._file.schema_arrow):
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
        """Close the file."""
        self._file.close(force=True)

    def __contains__(self, key: str) -> bool:
        return any(self._row(row).has_key(key) for row in self.keys.positions(key))

    def get(self, key: str) -> CallRecord | None:
        """Return the first record that settles a call, or None."""
        for row in self.keys.positions(key):
            record = self._row(row).record()
            if record.key == key:
                return record
        return None

    def holds(self, record: CallRecord) -> bool:
        """Return True if the file contains this record, by its id or, without an id, all fields."""
        candidates = (self._row(row).record() for row in self._ids.positions(_id_or_key(record)))
        return any(old.id == record.id and (bool(old.id) or old == record) for old in candidates)

    def records(self) -> Iterator[CallRecord]:
        """Iterate over all records in the order in which they were added."""
        for group in range(len(self._starts) - 1):
            for row in self._read(group):
                yield row.record()

    def columns(self, *names: str) -> Iterator[list[list[Any]]]:
        """Iterate over groups of rows, each as the values of the named columns."""
        for group in range(len(self._starts) - 1):
            yield self._columns(group, names)

    @cached_property
    def keys(self) -> KeyIndex:
        """Index of the rows that settle a call, by key."""
        return KeyIndex(self._settled_keys())

    @cached_property
    def _ids(self) -> KeyIndex:
        """Index of all rows by record id, or by key for records without an id."""
        return KeyIndex(
            ((record_id or key) if line is None else _id_or_key(CallRecord.from_line(line)), row)
            for row, (record_id, key, line) in self._scan("id", "key", "line")
        )

    def _settled_keys(self) -> Iterator[tuple[str, int]]:
        columns = ("key", "status_code", "error_code", "finish_reason", "line")
        for row, (key, status, code, reason, line) in self._scan(*columns):
            if line is not None:
                record = CallRecord.from_line(line)
                if record.answered:
                    yield record.key, row
            elif code in FINAL or (
                code is None and status == 200 and finish_of(reason) != "failed"
            ):
                yield key, row

    def _scan(self, *names: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Iterate over row numbers and the values of the named columns."""
        rows = (zip(*columns, strict=True) for columns in self.columns(*names))
        return enumerate(itertools.chain.from_iterable(rows))

    def _row(self, number: int) -> CompletionRow:
        """Return a row by its number in the file."""
        group = bisect_right(self._starts, number) - 1
        with self._lock:
            rows = self._cache.pop(group, None) or self._read(group)
            self._cache[group] = rows
            if len(self._cache) > self._groups_cached:
                del self._cache[next(iter(self._cache))]
        return rows[number - self._starts[group]]

    def _read(self, group: int) -> list[CompletionRow]:
        columns = self._columns(group, CompletionRow._fields)
        return [CompletionRow._make(values) for values in zip(*columns, strict=True)]

    def _columns(self, group: int, names: Sequence[str]) -> list[list[Any]]:
        table = self._table(group, names)
        return [table.column(name).to_pylist() for name in names]

    def _table(self, group: int, names: Iterable[str] = CompletionRow._fields) -> "pa.Table":
        stored = set(self._file.schema_arrow.names)
        with self._lock, self._reading():
            table = self._file.read_row_group(
                group, columns=[name for name in names if name in stored], use_threads=False
            )
        return with_added_columns(table, names)

    def _copy(self, writer: "CompletionWriter") -> None:
        """Copy full row groups unchanged and add the rows of the last group singly.

        The last group may have room for further rows.
        """
        groups = range(len(self._starts) - 1)
        for group in groups[:-1]:
            writer.copy(self._table(group))
        for group in groups[-1:]:
            for row in self._read(group):
                writer.add(row)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise JournalCorrupt in place of the errors by which pyarrow reports damage."""
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
    """Add a journal's records to a completions file, except those that the file already contains.

    When the function returns, the new records survive a crash of the machine. If it raises, the
    file is unchanged.

    Args:
        path: Completions file, created if there is no such file.
        records: Records with the lines from which they were read.

    Returns:
        Number of records added.

    Raises:
        OSError: The disk is full, or another error of the file system.
        JournalCorrupt: A record or the file is damaged.
    """
    with ExitStack() as stack:
        old = stack.enter_context(CompletionStore(path)) if path.exists() else None
        new = (
            CompletionRow.from_record(record, line)
            for record, line in records
            if old is None or not old.holds(record)
        )
        first = next(new, None)
        if first is None:
            return 0
        make_folder(path.parent)
        # The caller holds the journal's lease, so no other process uses this name.
        scratch = path.with_name(f".{path.name}.tmp")
        stack.callback(scratch.unlink, missing_ok=True)
        count = 0
        with CompletionWriter(scratch) as writer:
            if old is not None:
                old._copy(writer)
            for row in itertools.chain([first], new):
                writer.add(row)
                count += 1
        sync(scratch)
        scratch.replace(path)
        sync(path.parent)
    return count


class CompletionWriter:
    """Writer of a new completions file whose row groups depend on the rows alone.

    A context manager; the file is complete when it exits.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        # Dictionaries and statistics of random keys and of long texts only add bytes.
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
        """Add a row."""
        self._rows.append(row)
        self._size += len(row.body or "") + len(row.line or b"")
        if len(self._rows) >= GROUP_ROWS or self._size >= GROUP_BYTES:
            self._flush()

    def copy(self, group: "pa.Table") -> None:
        """Add a row group unchanged."""
        self._file.write_table(group)

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(to_table(self._rows))
            self._rows, self._size = [], 0


def _id_or_key(record: CallRecord) -> str:
    """Return the text by which `_ids` finds a record."""
    return str(record.id or record.key)
