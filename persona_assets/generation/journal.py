"""The journal: every answer that was paid for, on disk before anybody reads it.

One JSON object a line, in the shape of the provider's Batch output, with a few members more. Lines
are only ever added. A line cut short by a crash is set aside and reported by its `.torn` file.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from persona_assets.generation.record import Record


class JournalBusy(RuntimeError):
    """Another process, or another opener in this one, holds the journal's lease."""


class JournalCorrupt(ValueError):
    """A complete line is not a record."""


class Journal:
    """The answers of one asset's shard, by key; a context manager that holds an exclusive lease.

    Only places are kept in memory, and lines are read back on demand. `append` may be called from
    one thread while others call `get`.

        with Journal(path) as journal:
            journal.append(record)      # on disk when this returns
            journal.get(record.key)

    Entering raises JournalBusy if somebody else holds the lease and JournalCorrupt if a complete
    line is not a record. `records` also works without entering, on a journal that another holds.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._places: dict[str, int] = {}
        self._end = 0
        self._file: FileIO | None = None
        self._lease: FileIO | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lease = self._take_lease()
        try:
            self._file = FileIO(self.path, "a+")
            self._set_torn_line_aside(self._file)
            self._places.clear()
            self._end = 0
            for record, size in self._scan():
                self._index(record, size)
            _sync_folder(self.path.parent)
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
        for file in (self._file, self._lease):
            if file is not None:
                file.close()
        self._file = self._lease = None

    def __len__(self) -> int:
        """Number of keys that are answered."""
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> Record | None:
        """What settled the call, or None if it has yet to be asked (again).

        Of two answers the first stays, so a replay gives what the first run gave.
        """
        place = self._places.get(key)
        if place is None:
            return None
        file = self._opened()
        line = b""
        while not line.endswith(b"\n"):
            part = os.pread(file.fileno(), max(8192, len(line)), place + len(line))
            if not part:
                raise JournalCorrupt(f"{self.path} was cut short while it was open")
            line += part[: part.find(b"\n") + 1] if b"\n" in part else part
        return Record.from_line(line)

    def append(self, *records: Record) -> None:
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
            self._index(record, len(line))

    def records(self) -> Iterator[Record]:
        """All records in the order in which they were added, transient errors included."""
        for record, _ in self._scan():
            yield record

    def _index(self, record: Record, size: int) -> None:
        if record.answered:
            self._places.setdefault(record.key, self._end)
        self._end += size

    def _opened(self) -> FileIO:
        if self._file is None:
            raise ValueError(f"{self.path} is not open: use it as `with Journal(path) as journal:`")
        return self._file

    def _scan(self) -> Iterator[tuple[Record, int]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    record = Record.from_line(line)
                except (ValueError, RecursionError) as error:
                    raise JournalCorrupt(
                        f"{self.path}, line {number} is not a record ({error}): restore the file "
                        "from a copy, or move that line into another file to ask its call again"
                    ) from None
                yield record, len(line)

    def _take_lease(self) -> FileIO:
        lock = FileIO(f"{self.path}.lock", "a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().decode("utf-8", "replace").strip() or "an unnamed process"
            lock.close()
            raise JournalBusy(
                f"{self.path} is held by {holder}: wait for that run to end, or end it"
            ) from None
        lock.truncate(0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lock.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
        return lock

    def _set_torn_line_aside(self, file: FileIO) -> None:
        """Moves what a crash left after the last newline to a `.torn` sibling."""
        size = whole = file.seek(0, os.SEEK_END)
        torn = b""
        while whole and b"\n" not in torn:
            step = min(65536, whole)
            whole -= step
            torn = os.pread(file.fileno(), step, whole) + torn
        torn = torn[torn.rfind(b"\n") + 1 :]
        if not torn:
            return
        with Path(f"{self.path}.torn").open("ab") as aside:
            aside.write(torn + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        file.truncate(size - len(torn))
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
