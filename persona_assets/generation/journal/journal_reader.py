"""Reader of a journal without a lease: the journal of another run, as it is now."""

from pathlib import Path

from persona_assets.generation.journal.call_record import CallRecord
from persona_assets.generation.journal.journal import settled_keys
from persona_assets.generation.journal.key_index import KeyIndex


class JournalReader:
    """Records of a journal's whole lines by key. The file stays open.

    Raises:
        FileNotFoundError: The file does not exist.
        JournalCorrupt: A whole line is not a record.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._offsets = KeyIndex(settled_keys(path, self._file))
        except BaseException:
            self.close()
            raise

    def get(self, key: str) -> CallRecord | None:
        """Return the first record that settles a call, or None."""
        for offset in self._offsets.positions(key):
            self._file.seek(offset)
            record = CallRecord.from_line(self._file.readline())
            if record.key == key:
                return record
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
