"""Reader of comma- and tab-separated values (RFC 4180) with the names of columns in the first row.

The module `csv` parses a row; where a row ends is found here, so that no quote makes a row larger
than memory, and a broken row does not end the reading.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping

from persona_assets.readers.base import BadRecord, DamagedFileError, ShardFile, TextRecord
from persona_assets.readers.compression import read_chunks, with_packings
from persona_assets.readers.fields import to_record
from persona_assets.readers.text_chunks import to_utf8

DELIMITERS = ",;\t|"
"""Delimiters of a `.csv` file: the first one with which the header has a column for the text."""

# Possessive, so that no text makes the pattern go back.
_REST_OF_QUOTED = re.compile(rb'(?:[^"]++|"")*+')


class DelimitedTextReader:
    """A record per row. UTF-8, or UTF-16 with a byte order mark; newlines may be in quotes."""

    endings: tuple[str, ...] = with_packings(".csv", ".tsv")

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield a record per row after the header; blank rows are skipped but counted.

        A row of more or fewer fields than the header is a BadRecord. A header without a column for
        the text, and a quote that is never closed, end the reading.
        """
        # A limit of the process, which rows of any length in memory do not need.
        csv.field_size_limit(max(csv.field_size_limit(), file.max_record_bytes))
        row = 0
        try:
            chunks = _with_newlines(to_utf8(read_chunks(file.path)))
            chunks, header, delimiter = _read_header(file, chunks)
            rows = split_rows(chunks, delimiter.encode(), file.max_record_bytes)
            for row, data in enumerate(_after_header(rows), 1):
                if data is None:
                    yield file.too_large(row)
                elif data.strip():
                    yield _parse_row(data, row, header, delimiter, file)
        except DamagedFileError as damage:
            yield BadRecord(row + 1, str(damage))


def split_rows(chunks: Iterable[bytes], delimiter: bytes, limit: int) -> Iterator[bytes | None]:
    """Yield rows with their newlines, and None for a row over `limit` bytes.

    A field is quoted if its first character is a quote, as in the module `csv`.

    Raises:
        DamagedFileError: At the end, inside quotes: `unclosed_quote`.

    Example:
        >>> list(split_rows([b'a,"b\\n', b'c""d"\\ne,5" f\\n'], b",", limit=100))
        [b'a,"b\\nc""d"\\n', b'e,5" f\\n']
    """
    row = bytearray()
    quotes = _Quotes(delimiter)
    lines = 0
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            end = chunk.find(b"\n", start) + 1
            part = chunk[start : end or len(chunk)]
            quotes.enter(part)
            row += part
            start += len(part)
            lines += end > 0
            if end and not quotes.is_open:
                yield bytes(row) if len(row) <= limit else None
                row.clear()
                quotes, lines = _Quotes(delimiter), 0
            del row[limit + 1 :]
    if quotes.is_open:
        raise DamagedFileError(
            "unclosed_quote: it takes in the rest of the file: close or remove it"
        )
    if row:
        yield bytes(row) if len(row) <= limit else None


class _Quotes:
    """Position in a row: at the start of a field, in a field, in quotes, or behind a quote."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._opening = delimiter + b'"'
        self._at_field_start = True
        self._behind_quote = False
        self.is_open = False

    def enter(self, part: bytes) -> None:
        """Move to the end of the next part of the row, which is not empty."""
        if self._behind_quote:
            # The quote was the first half of a doubled one, or closed the field.
            self._behind_quote, self.is_open = False, part[:1] == b'"'
            at = int(self.is_open)
        elif not self.is_open and self._at_field_start and part[:1] == b'"':
            self.is_open, at = True, 1
        else:
            at = 0
        if b'"' in part[at:]:
            while at < len(part):
                at = self._leave_quotes(part, at) if self.is_open else self._find_quotes(part, at)
        self._at_field_start = part.endswith(self._delimiter)

    def _leave_quotes(self, part: bytes, at: int) -> int:
        match = _REST_OF_QUOTED.match(part, at)
        at = at if match is None else match.end()
        if at < len(part):
            at += 1
            self.is_open = False
            self._behind_quote = at == len(part)
        return at

    def _find_quotes(self, part: bytes, at: int) -> int:
        # The delimiter before the quote may be the last byte read.
        found = part.find(self._opening, at)
        if found < 0:
            return len(part)
        self.is_open = True
        return found + len(self._opening)


def _with_newlines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks with newlines for the carriage returns of a file that has nothing else."""
    first = b""
    for chunk in chunks:
        first = chunk
        if first:
            break
    is_old_mac = b"\r" in first[:-1] and b"\n" not in first
    for chunk in itertools.chain([first], chunks):
        yield chunk.replace(b"\r", b"\n") if is_old_mac else chunk


def _read_header(
    file: ShardFile, chunks: Iterator[bytes]
) -> tuple[Iterator[bytes], list[str], str]:
    """Return all chunks of a file, its column names and its delimiter."""
    head: list[bytes] = []
    rows = split_rows(_recorded(chunks, head, file), b",", file.max_record_bytes)
    header = next((row for row in rows if row is None or row.strip()), b"")
    if header is None:
        raise DamagedFileError(f"no_header: over {file.max_record_bytes} bytes")
    if not header:
        return iter([]), [], ","
    text = header.decode(errors="replace")
    is_tabbed = file.key.lower().endswith(with_packings(".tsv"))
    for delimiter in "\t" if is_tabbed else DELIMITERS:
        try:
            names = [name.strip() for name in _parse(text, delimiter)]
        except csv.Error:
            raise DamagedFileError(
                "malformed_csv: a carriage return outside quotes in the first row: write its line "
                "breaks as newlines"
            ) from None
        if any(path in names or path.partition(".")[0] in names for path in file.fields["text"]):
            return itertools.chain(head, chunks), names, delimiter
    raise DamagedFileError(
        f"no_header: no column of the first row is {' or '.join(file.fields['text'])}: name the "
        "columns there, or the column of the text in PERSONA_CORPUS_FIELDS"
    )


def _recorded(chunks: Iterator[bytes], record: list[bytes], file: ShardFile) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        record.append(chunk)
        size += len(chunk)
        yield chunk
        if size > file.max_record_bytes:
            raise DamagedFileError(f"no_header: over {file.max_record_bytes} bytes")


def _after_header(rows: Iterator[bytes | None]) -> Iterator[bytes | None]:
    for row in rows:
        if row is None or row.strip():
            break
    return rows


def _parse_row(
    data: bytes, row: int, header: list[str], delimiter: str, file: ShardFile
) -> TextRecord | BadRecord:
    try:
        fields = _parse(data.decode(), delimiter)
    except UnicodeDecodeError as error:
        return BadRecord(row, f"invalid_utf8: {error.reason}")
    except csv.Error:
        return BadRecord(row, "malformed_csv: a carriage return outside quotes")
    if len(fields) != len(header):
        kind = "more" if len(fields) > len(header) else "fewer"
        return BadRecord(row, f"ragged_row: {kind} fields than the header")
    columns: Mapping[str, str] = dict(zip(header, fields, strict=True))
    return to_record(columns, row, file.key, file.fields)


def _parse(row: str, delimiter: str) -> list[str]:
    return next(csv.reader([row], delimiter=delimiter), [])
