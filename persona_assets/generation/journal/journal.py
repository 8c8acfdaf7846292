"""The journal: every answer that was paid for, on disk before anybody reads it.

One JSON object a line, in the shape of the provider's Batch output, with a few members more. Lines
are only ever added. A line cut short by a crash is set aside and reported by its `.torn` file. When
a table is published, `compact` moves its journal into the table's completions.
"""

import fcntl
import os
import socket
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
    make_folder,
    merge_journal,
    sync_folder,
)
from persona_assets.generation.journal.key_index import KeyIndex

__all__ = ["Journal", "JournalBusy", "JournalCorrupt", "compact"]


class JournalBusy(RuntimeError):
    """Another process, or another opener in this one, holds the journal's lease."""


class Journal:
    """The answers of one asset's shard, by key; a context manager that holds an exclusive lease.

    completions: where the answers of earlier runs lie once their table was published.
    Only places are kept in memory, and lines are read back on demand. `append` may be called from
    one thread while others call `get`.

        with Journal(path, completions) as journal:
            journal.append(record)      # on disk when this returns
            journal.get(record.key)

    Entering raises JournalBusy if somebody else holds the lease and JournalCorrupt if a complete
    line is not a record. `records` and `live` also work without entering, on a journal that another
    holds.
    """

    def __init__(
        self, path: str | os.PathLike[str], completions: str | os.PathLike[str] | None = None
    ) -> None:
        self.path = Path(path)
        self.completions = None if completions is None else Path(completions)
        self._places = KeyIndex()
        self._landed: CompletionStore | None = None
        self._end = 0
        self._file: FileIO | None = None
        self._lease: FileIO | None = None

    def __enter__(self) -> Self:
        make_folder(self.path.parent)
        self._lease = _take_lease(self.path)
        try:
            self._file = FileIO(self.path, "a+")
            self._end = _set_torn_line_aside(self.path, self._file)
            with self.path.open("rb") as file:
                self._places = KeyIndex(_settled(self.path, file))
            self._landed = _open(self.completions)
            sync_folder(self.path.parent)
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
        """Gives the lease back. The lock file stays: to remove it would be to race for it."""
        for file in (self._file, self._landed, self._lease):
            if file is not None:
                file.close()
        self._file = self._landed = self._lease = None

    def __len__(self) -> int:
        """Number of keys that are settled, here or in the completions."""
        landed = [] if self._landed is None else [self._landed.keys]
        return KeyIndex.distinct(self._places, *landed)

    def __contains__(self, key: str) -> bool:
        return self.landed(key) or self._find(key) is not None

    def get(self, key: str) -> CallRecord | None:
        """What settled the call, or None if it has yet to be asked (again).

        Of two answers the first stays, so a replay gives what the first run gave.
        """
        # What the completions hold was there before any line of the journal.
        record = None if self._landed is None else self._landed.get(key)
        return self._find(key) if record is None else record

    def landed(self, key: str) -> bool:
        """Whether the call was settled in a run whose table was published."""
        return self._landed is not None and key in self._landed

    def append(self, *records: CallRecord) -> None:
        """Adds records in one go; when this returns, they survive a crash of the machine.

        Raises OSError (disk full ...) with nothing added.
        """
        file = self._opened()
        lines = [record.to_line() for record in records]
        data = memoryview(b"".join(lines))
        try:
            while data:
                data = data[file.write(data) :]
            os.fdatasync(file.fileno())
        except OSError:
            file.truncate(self._end)
            raise
        for record, line in zip(records, lines, strict=True):
            if record.answered:
                self._places.add(record.key, self._end)
            self._end += len(line)

    def records(self) -> Iterator[CallRecord]:
        """All records in the order in which they were added, transient errors included."""
        return self._records(landed=True)

    def live(self) -> Iterator[CallRecord]:
        """The records that have yet to be moved into the completions."""
        return self._records(landed=False)

    def _records(self, *, landed: bool) -> Iterator[CallRecord]:
        with ExitStack() as stack:
            # In this order, since records go from the journal to the completions: what moves in
            # between is seen twice, which its id tells, and never missed.
            try:
                file = stack.enter_context(self.path.open("rb"))
            except FileNotFoundError:
                file = None
            completions = _open(self.completions)
            if completions is not None:
                stack.enter_context(completions)
                yield from completions.records() if landed else ()
            for record, _ in _parsed(self.path, file) if file is not None else ():
                if completions is None or not completions.holds(record):
                    yield record

    def _find(self, key: str) -> CallRecord | None:
        for place in self._places.places(key):
            record = CallRecord.from_line(self._line(place))
            if record.key == key:
                return record
        return None

    def _line(self, place: int) -> bytes:
        file = self._opened()
        line = b""
        while not line.endswith(b"\n"):
            part = os.pread(file.fileno(), max(8192, len(line)), place + len(line))
            if not part:
                raise JournalCorrupt(f"{self.path} was cut short while it was open")
            line += part[: part.find(b"\n") + 1] if b"\n" in part else part
        return line

    def _opened(self) -> FileIO:
        if self._file is None:
            raise ValueError(f"{self.path} is not open: use it as `with Journal(path) as journal:`")
        return self._file


def compact(journal: Path, completions: Path) -> int:
    """Moves a journal's records into its table's completions; returns how many are new there.

    The journal goes only when the completions are on disk, and what a crash in between left in both
    is told by its id. Raises JournalBusy if a run holds the journal, JournalCorrupt, or OSError
    (disk full ...); then all is where it was.
    """
    if not journal.exists():
        return 0
    with closing(_take_lease(journal)), FileIO(journal, "a+") as file:
        _set_torn_line_aside(journal, file)
        with journal.open("rb") as lines:
            moved = merge_journal(completions, _parsed(journal, lines))
        journal.unlink()
        sync_folder(journal.parent)
    return moved


def _open(completions: Path | None) -> CompletionStore | None:
    try:
        return None if completions is None else CompletionStore(completions)
    except FileNotFoundError:
        return None


def _settled(path: Path, file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Key and offset of each line that settles a call, each line being checked to be a record."""
    offset = 0
    for number, line in enumerate(file, start=1):
        key = _key_of_answer(line)
        if key is None:
            record = _parse(path, number, line)
            key = record.key if record.answered else None
        if key is not None:
            yield key, offset
        offset += len(line)


def _key_of_answer(line: bytes) -> str | None:
    """What Record would say of the usual line, in a third of the time; None for any other."""
    try:
        # Refuses some that Record reads, such as lone surrogates, and reads none that it refuses.
        data = from_json(line, cache_strings="keys")
        if not isinstance(data, dict) or data.get("error") is not None:
            return None
        if (cost := data.get("cost_usd")) is not None:
            Decimal(cost)
    except (ValueError, TypeError, ArithmeticError):
        return None
    key = data.get("custom_id")
    return key if isinstance(key, str) else None


def _parsed(path: Path, file: BinaryIO) -> Iterator[tuple[CallRecord, bytes]]:
    """The records of all complete lines, each with its line."""
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            return
        yield _parse(path, number, line), line


def _parse(path: Path, number: int, line: bytes) -> CallRecord:
    try:
        return CallRecord.from_line(line)
    except (ValueError, RecursionError) as error:
        raise JournalCorrupt(
            f"{path}, line {number} is not a record ({error}): restore the file from a copy, or "
            "move that line into another file to ask its call again"
        ) from None


def _take_lease(path: Path) -> FileIO:
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


def _set_torn_line_aside(path: Path, file: FileIO) -> int:
    """Moves what a crash left after the last newline to a `.torn` sibling; returns the size."""
    size = whole = file.seek(0, os.SEEK_END)
    torn = b""
    while whole and b"\n" not in torn:
        step = min(65536, whole)
        whole -= step
        torn = os.pread(file.fileno(), step, whole) + torn
    torn = torn[torn.rfind(b"\n") + 1 :]
    if torn:
        with Path(f"{path}.torn").open("ab") as aside:
            aside.write(torn + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        file.truncate(size - len(torn))
        os.fsync(file.fileno())
    return size - len(torn)
