"""Reader protocol: the file of a shard in, its records out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TextRecord:
    """Text of a corpus file; `row` is its line (or Parquet row), counted from 1."""

    row: int
    text: str
    source: str
    licence: str
    language: str


@dataclass(frozen=True, slots=True)
class BadRecord:
    """Unreadable record; `reason` is a fixed word, then perhaps `: ` and a detail.

    The reason never contains text of the record, and its wordings are few, so that records can be
    counted by reason.
    """

    row: int
    reason: str


class DamagedFileError(Exception):
    """The rest of a file cannot be read; the argument is the reason of the BadRecord."""


class ReaderMissingError(ValueError):
    """A package that a reader needs is not installed; the message names it."""


@dataclass(frozen=True)
class ShardFile:
    """The file of a shard, and how its records are read.

    Attributes:
        key: Shard key, which is the source of a record without a source of its own.
        path: File on this disk. It is untrusted: its content may be damaged or hostile.
        fields: Dotted paths of each column, from `field_paths`.
        max_record_bytes: Largest record that is read; a larger record becomes a BadRecord.
    """

    key: str
    path: Path
    fields: Mapping[str, tuple[str, ...]]
    max_record_bytes: int

    def too_large(self, row: int) -> BadRecord:
        """Return the BadRecord of a record over `max_record_bytes`."""
        return BadRecord(row, f"record_too_large: over {self.max_record_bytes} bytes")


class Reader(Protocol):
    """Reader of the files of a format."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Lower-case ends of the file names of this format, each with its leading full stop."""
        ...

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield the records of a file in order, and a BadRecord for each unreadable record.

        Every file, even a hostile one, yields records or reasons, in memory proportional to
        `max_record_bytes` and not to the file. A file without records yields nothing. Damage that
        hides the rest of the file ends the reading with a BadRecord.
        """
        ...
