"""Reader of a journal without a lease: the journal of another run, while that run writes it."""

from pathlib import Path

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import settled_keys
from persona_assets.generation.journal.key_index import KeyIndex


class JournalReader:
    """Records of a journal's whole lines by key. The file stays open, even if it is removed.

    Raises:
        FileNotFoundError: The file does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._offsets = KeyIndex()
        self._end = 0

    def get(self, key: str) -> CallRecord | None:
        """Return the first record that settles a call, or None.

        Raises:
            JournalCorrupt: A whole line is not a record.
        """
        record = self._find(key)
        if record is None and self._extend():
            record = self._find(key)
        return record

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _find(self, key: str) -> CallRecord | None:
        for offset in self._offsets.positions(key):
            record = CallRecord.from_line(self._line(offset))
            if record.key == key:
                return record
        return None

    def _extend(self) -> bool:
        """Add the lines that were written since the last look-up; return True if there are any."""
        last = None
        for key, offset in settled_keys(self._path, self._file, self._end):
            self._offsets.add(key, offset)
            last = offset
        if last is None:
            return False
        self._end = last + len(self._line(last))
        return True

    def _line(self, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.readline()
