"""Records of all tables of a project by key: what one table has paid for, no other pays for again.

The index of keys (paid_index.py) names the tables that may settle a call; their files settle it.
Trouble with the index or with another table's files is reported and never raised: at worst a call
is paid for again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.completion_store import CompletionStore
from persona_assets.generation.journal.journal_reader import JournalReader
from persona_assets.generation.journal.paid_index import FileState, PaidIndex, file_state

REFRESH = 5.0
"""Least seconds between two refreshes of the index in a run."""

REFRESH_SHARE = 100
"""Least ratio of the seconds between two refreshes to the seconds of a refresh."""

PATIENCE = 60.0
"""Seconds to wait at first for another process that writes the index."""

MOST_OPEN = 8
"""Number of files of other tables that are held open."""

GROUPS_CACHED = 2
"""Decoded row groups per open file: a renamed corpus finds its records roughly in their order."""


class PaidRecords:
    """Records of a project's tables by key; a context manager that holds files of them open.

    Nothing is read before the first look-up.

    Args:
        folder: Folder of the index; see `PaidIndex`.
        journals: Folder of all journals.
        completions: Folder of all completions files.
        own: Journal of the table that looks records up, whose own files are left out.
        report: Called with a sentence about each trouble.

    Example:
        >>> import tempfile
        >>> from persona_assets.generation.journal.journal import Journal
        >>> with tempfile.TemporaryDirectory() as name:
        ...     root = Path(name)
        ...     journals, completions = root / "journals", root / "completions"
        ...     with Journal(journals / "hop" / "a.jsonl") as journal:
        ...         journal.append(CallRecord("key", 200, {"choices": []}))
        ...     own = journals / "hop" / "b.jsonl"
        ...     with PaidRecords(root / "paid_keys", journals, completions, own) as paid:
        ...         paid.get("key").body, paid.get("absent")
        ({'choices': []}, None)
    """

    def __init__(
        self,
        folder: Path,
        journals: Path,
        completions: Path,
        own: Path,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._own = own.relative_to(journals).with_suffix("").as_posix()
        self._index = PaidIndex(folder, journals, completions, ignored=(self._own,))
        self._journals = journals
        self._completions = completions
        self._report = report
        self._reported = set[str]()
        self._open: dict[Path, tuple[FileState, _Reader]] = {}
        self._due: float | None = None

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
        """Close the files."""
        with ExitStack() as stack:
            for _, reader in self._open.values():
                stack.callback(reader.close)
            self._open.clear()

    def get(self, key: str) -> CallRecord | None:
        """Return a record of another table that settles a call, or None."""
        if self._due is None or time.monotonic() >= self._due:
            self._refresh()
        for name in self._index.tables(key):
            if name != self._own and (record := self._read(name, key)) is not None:
                return record
        return None

    def _refresh(self) -> None:
        patience = PATIENCE if self._due is None else 0.0
        began = time.monotonic()
        try:
            if not self._index.refresh(patience) and patience:
                self._tell(
                    f"{self._index.folder} is being written by another process for more than "
                    f"{patience:.0f} s: calls may be sent again that other tables have paid for"
                )
        except OSError as error:
            self._tell(
                f"{self._index.folder} cannot be used ({error}): calls may be sent again that "
                "other tables have paid for; make it a folder that can be written, on a disk with "
                "room"
            )
        for name, reason in self._index.unreadable.items():
            self._tell(f"records of {name} are not reused: {reason}")
        now = time.monotonic()
        self._due = now + max(REFRESH, REFRESH_SHARE * (now - began))

    def _read(self, name: str, key: str) -> CallRecord | None:
        """Return the record of a table that settles a call, or None."""
        for path in self._files(name):
            try:
                reader = self._reader(path)
                record = None if reader is None else reader.get(key)
            except (OSError, ValueError, RecursionError) as error:
                self._tell(f"records of {name} are not reused: {error}")
                continue
            # Any other error may be of a configuration that has been corrected since.
            if record is not None and record.failure in (None, "content_filter"):
                return record
        return None

    def _files(self, name: str) -> Iterator[Path]:
        completions = self._completions / f"{name}.parquet"
        yield completions
        journal = self._journals / f"{name}.jsonl"
        yield journal
        if not journal.exists():
            # Its records may have moved since the first look.
            yield completions

    def _reader(self, path: Path) -> "_Reader | None":
        """Return an open reader of a file's present state; None if there is no file."""
        try:
            state = file_state(path)
        except FileNotFoundError:
            return None
        known, reader = self._open.pop(path, (None, None))
        if reader is not None and known is not None and not _continues(path, known, state):
            reader.close()
            reader = None
        if reader is None:
            try:
                reader = (
                    CompletionStore(path, groups_cached=GROUPS_CACHED)
                    if path.suffix == ".parquet"
                    else JournalReader(path)
                )
            except FileNotFoundError:
                return None
        self._open[path] = state, reader
        if len(self._open) > MOST_OPEN:
            _, oldest = self._open.pop(next(iter(self._open)))
            oldest.close()
        return reader

    def _tell(self, message: str) -> None:
        if message not in self._reported:
            self._reported.add(message)
            self._report(message)


def _continues(path: Path, known: FileState, state: FileState) -> bool:
    """Return True if an open file is the file of a path: a journal grows, others are replaced."""
    is_journal = path.suffix != ".parquet"
    return known == state or (is_journal and known[2] == state[2] and known[0] <= state[0])


class _Reader(Protocol):
    """Open file of records."""

    def get(self, key: str) -> CallRecord | None:
        """Return the first record that settles a call, or None."""

    def close(self) -> None:
        """Close the file."""
