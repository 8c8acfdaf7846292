"""Append-only log of call records: each paid response is on disk before any code reads it.

A line is a JSON object in the format of the provider's Batch output with a few more members. A
crash may cut the last line short; the next opener moves this torn line into a `.torn` file. When a
table is published, `compact` moves its journal into the table's completions file.
"""

import fcntl
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from decimal import Decimal
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic_core import from_json

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_store import (
    CompletionStore,
    JournalCorrupt,
    merge_journal,
)
from persona_assets.generation.journal.key_index import KeyIndex
from persona_assets.generation.parsing.finish_reasons import finish_of
from persona_assets.storage.files import make_folder, sync
from persona_assets.storage.locks import process_lives

__all__ = ["Journal", "JournalBusy", "JournalCorrupt", "compact"]


_HOLDER = re.compile(r"process (?P<pid>\d+) on (?P<host>\S+) since ")
"""Beginning of the line that `acquire_lease` writes."""


class JournalBusy(RuntimeError):
    """Another process, or another opener in this process, holds the journal's lease."""


class Journal:
    """Call records of an asset's shard by key; a context manager that holds an exclusive lease.

    Memory holds file offsets alone, and lines are read on demand. Threads may call `append` and
    `get` at the same time. `records` and `live` need no lease: they work without entering, even
    while another process holds the journal.

    Args:
        completions: Completions file with the records of published runs.

    Attributes:
        asked: Keys of all look-ups, for a table whose other completions are purged afterwards; None
            in any other journal.

    Raises:
        JournalBusy: On entering: another opener holds the lease.
        JournalCorrupt: On entering: a complete line is not a record.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Journal(f"{folder}/a.jsonl") as journal:
        ...     journal.append(CallRecord("key", 200, {"choices": []}))
        ...     journal.get("key").body, journal.get("absent")
        ({'choices': []}, None)
    """

    def __init__(
        self, path: str | os.PathLike[str], completions: str | os.PathLike[str] | None = None
    ) -> None:
        self.path = Path(path)
        self.completions = None if completions is None else Path(completions)
        self.asked: set[str] | None = None
        self._offsets = KeyIndex()
        self._store: CompletionStore | None = None
        self._end = 0
        self._appending = threading.Lock()
        self._file: FileIO | None = None
        self._lease: FileIO | None = None

    def __enter__(self) -> Self:
        make_folder(self.path.parent)
        self._lease = acquire_lease(self.path)
        try:
            self._file = FileIO(self.path, "a+")
            self._end = _remove_torn_line(self.path, self._file)
            with self.path.open("rb") as file:
                self._offsets = KeyIndex(settled_keys(self.path, file))
            self._store = _open_store(self.completions)
            sync(self.path.parent)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lease; the lock file stays, as its removal would race with other openers."""
        for file in (self._file, self._store, self._lease):
            if file is not None:
                file.close()
        self._file = self._store = self._lease = None

    def __len__(self) -> int:
        """Return the number of settled keys in the journal and the completions file together."""
        stored = [] if self._store is None else [self._store.keys]
        return KeyIndex.distinct(self._offsets, *stored)

    def __contains__(self, key: str) -> bool:
        return self.compacted(key) or self._find(key) is not None

    def get(self, key: str) -> CallRecord | None:
        """Return the first record that settles a call, or None if the call needs an attempt.

        Later records of a settled key are ignored, so that a replay equals the first run.
        """
        if self.asked is not None:
            self.asked.add(key)
        # Records in the completions file are older than any line of the journal.
        record = None if self._store is None else self._store.get(key)
        return self._find(key) if record is None else record

    def compacted(self, key: str) -> bool:
        """Return True if the completions file contains a record that settles the call."""
        return self._store is not None and key in self._store

    def append(self, *records: CallRecord) -> None:
        """Append records by a single write; when it returns, they survive a crash of the machine.

        Raises:
            OSError: The disk is full, or another write error. Nothing was appended.
        """
        file = self._require_file()
        lines = [record.to_line() for record in records]
        data = memoryview(b"".join(lines))
        with self._appending:
            try:
                while data:
                    data = data[file.write(data) :]
                os.fdatasync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
            for record, line in zip(records, lines, strict=True):
                if record.answered:
                    self._offsets.add(record.key, self._end)
                self._end += len(line)

    def records(self) -> Iterator[CallRecord]:
        """Iterate over all records in the order in which they were added, with errors."""
        return self._records(compacted=True)

    def live(self) -> Iterator[CallRecord]:
        """Iterate over the records that the completions file does not contain yet."""
        return self._records(compacted=False)

    def _records(self, *, compacted: bool) -> Iterator[CallRecord]:
        with ExitStack() as stack:
            # Records move from the journal to the completions file, so the journal is opened first:
            # a record that moves meanwhile is read twice, which its id reveals, and never missed.
            try:
                file = stack.enter_context(self.path.open("rb"))
            except FileNotFoundError:
                file = None
            completions = _open_store(self.completions)
            if completions is not None:
                stack.enter_context(completions)
                yield from completions.records() if compacted else ()
            for record, _ in _parse_lines(self.path, file) if file is not None else ():
                if completions is None or not completions.holds(record):
                    yield record

    def _find(self, key: str) -> CallRecord | None:
        for offset in self._offsets.positions(key):
            record = CallRecord.from_line(self._line(offset))
            if record.key == key:
                return record
        return None

    def _line(self, offset: int) -> bytes:
        file = self._require_file()
        line = b""
        while not line.endswith(b"\n"):
            chunk = os.pread(file.fileno(), max(8192, len(line)), offset + len(line))
            if not chunk:
                raise JournalCorrupt(f"{self.path} was cut short while it was open")
            line += chunk[: chunk.find(b"\n") + 1] if b"\n" in chunk else chunk
        return line

    def _require_file(self) -> FileIO:
        if self._file is None:
            raise ValueError(f"{self.path} is not open: use it as `with Journal(path) as journal:`")
        return self._file


def compact(journal: Path, completions: Path) -> int:
    """Move a journal's records into its table's completions file.

    The journal is removed only when the completions file is on disk. A crash in between leaves
    records in both files; their ids keep the next call from adding them twice. If the function
    raises, both files are unchanged.

    Returns:
        Number of records that the completions file did not contain before.

    Raises:
        JournalBusy: A run holds the journal.
        JournalCorrupt: A line of the journal or the completions file is damaged.
        OSError: The disk is full, or another error of the file system.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     journal, completions = Path(folder, "a.jsonl"), Path(folder, "a.parquet")
        ...     with Journal(journal) as opened:
        ...         opened.append(CallRecord("key", 200, {}))
        ...     compact(journal, completions), journal.exists(), completions.exists()
        (1, False, True)
    """
    if not journal.exists():
        return 0
    with closing(acquire_lease(journal)), FileIO(journal, "a+") as file:
        _remove_torn_line(journal, file)
        with journal.open("rb") as lines:
            moved = merge_journal(completions, _parse_lines(journal, lines))
        journal.unlink()
        sync(journal.parent)
    return moved


def _open_store(completions: Path | None) -> CompletionStore | None:
    try:
        return None if completions is None else CompletionStore(completions)
    except FileNotFoundError:
        return None


def settled_keys(path: Path, file: BinaryIO, offset: int = 0) -> Iterator[tuple[str, int]]:
    """Iterate over key and offset of each line that settles a call; check that all are records.

    Args:
        path: Path of the file, for messages.
        file: The journal.
        offset: Begin of the first line to read.

    A last line without its end, which a run may be writing, is left out.

    Raises:
        JournalCorrupt: A whole line is not a record.
    """
    file.seek(offset)
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            return
        key = _quick_key(line)
        if key is None:
            record = _parse_line(path, number, line)
            key = record.key if record.answered else None
        if key is not None:
            yield key, offset
        offset += len(line)


def _quick_key(line: bytes) -> str | None:
    """Return the key of a usual line with an answer, three times as fast as CallRecord."""
    try:
        # This parser rejects some lines that CallRecord reads, such as lone surrogates, and accepts
        # no line that CallRecord rejects.
        data = from_json(line, cache_strings="keys")
        if not isinstance(data, dict) or data.get("error") is not None:
            return None
        response = data.get("response")
        if not isinstance(response, dict) or response.get("status_code") != 200:
            return None
        if (cost := data.get("cost_usd")) is not None:
            Decimal(cost)
        reason = data["response"]["body"]["choices"][0]["finish_reason"]
    except (KeyError, IndexError):
        reason = None
    except (ValueError, TypeError, ArithmeticError):
        return None
    if reason != "stop" and finish_of(reason) == "failed":
        return None
    key = data.get("custom_id")
    return key if isinstance(key, str) else None


def _parse_lines(path: Path, file: BinaryIO) -> Iterator[tuple[CallRecord, bytes]]:
    """Iterate over all complete lines: the record and the line itself."""
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            return
        yield _parse_line(path, number, line), line


def _parse_line(path: Path, number: int, line: bytes) -> CallRecord:
    try:
        return CallRecord.from_line(line)
    except (ValueError, RecursionError) as error:
        raise JournalCorrupt(
            f"{path}, line {number} is not a record ({error}): restore the file from a copy, or "
            "move that line into another file to ask its call again"
        ) from None


def acquire_lease(path: Path) -> FileIO:
    """Lock a journal's lock file and note the holder in it; closing the file releases the lock.

    Raises:
        JournalBusy: Another opener holds it.
    """
    lock = FileIO(f"{path}.lock", "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().decode("utf-8", "replace").strip() or "an unnamed process"
        lock.close()
        raise JournalBusy(
            f"{path} is held by {holder}: wait for that run to end, or end it"
        ) from None
    lock.truncate(0)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lock.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
    return lock


def lease_holder(path: Path) -> str | None:
    """Return the process of this machine that holds a journal's lease; None if none is alive.

    The lock is not touched: a run that begins in the same instant would be refused.
    """
    try:
        content = Path(f"{path}.lock").read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return None
    match = _HOLDER.match(content)
    return content if match and process_lives(match["host"], match["pid"]) else None


def _remove_torn_line(path: Path, file: FileIO) -> int:
    """Move bytes behind the last newline into a `.torn` sibling; return the remaining size."""
    size = start = file.seek(0, os.SEEK_END)
    torn = b""
    while start and b"\n" not in torn:
        step = min(65536, start)
        start -= step
        torn = os.pread(file.fileno(), step, start) + torn
    torn = torn[torn.rfind(b"\n") + 1 :]
    if torn:
        with Path(f"{path}.torn").open("ab") as torn_file:
            torn_file.write(torn + b"\n")
            torn_file.flush()
            os.fsync(torn_file.fileno())
        file.truncate(size - len(torn))
        os.fsync(file.fileno())
    return size - len(torn)
