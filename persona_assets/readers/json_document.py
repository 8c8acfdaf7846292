"""Reader of `.json` files: JSON lines, or documents over several lines; their content decides.

An array is read element by element, so that neither its size nor a broken element matters. A
library's parser would hold an element of any size, and end at the first error.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from persona_assets.readers.base import BadRecord, DamagedFileError, ShardFile, TextRecord
from persona_assets.readers.compression import AGAIN, read_chunks, with_packings
from persona_assets.readers.json_lines import parse_line, split_lines
from persona_assets.readers.text_chunks import read_head, to_utf8

# Possessive, so that no text makes a pattern go back.
_STRING = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\\n]++|\\[^\n])*+')
_STRUCTURE = re.compile(rb'["\[\]{},]')
_INDENT = re.compile(rb"[ \t\r\n]*+")


class JsonDocumentReader:
    """A record per object: of a line, of an array, or the object that is the whole file."""

    endings: tuple[str, ...] = with_packings(".json")

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield a record per line or value; a damaged file ends the reading with its reason."""
        row = 0
        try:
            for row, value in enumerate(json_values(file.path, file.max_record_bytes), 1):
                if value is None:
                    yield file.too_large(row)
                elif (record := parse_line(value, row, file.key, file.fields)) is not None:
                    yield record
        except DamagedFileError as damage:
            yield BadRecord(row + 1, str(damage))


def json_values(path: Path, limit: int) -> Iterator[bytes | None]:
    """Yield the values of a file of JSON lines or documents, and None for one over `limit` bytes.

    Raises:
        DamagedFileError: The rest of the file cannot be read.
    """
    head, chunks = read_head(to_utf8(read_chunks(path)), limit)
    yield from (split_values if _opens_document(head) else split_lines)(chunks, limit)


def split_values(chunks: Iterable[bytes], limit: int) -> Iterator[bytes | None]:
    """Yield the elements of top-level arrays and other top-level values, unparsed.

    A value over `limit` bytes is None. At most `limit` bytes of a value, and a chunk, are held.
    JSON allows no newline in a string: after such a newline a value ends where it is, and the next
    begins at the next line that starts with a brace.

    Raises:
        DamagedFileError: At the end, inside a value or an array: `truncated_json`.

    Example:
        >>> list(split_values([b'[{"a": [1, ', b'2]},\\n "[" ]', b"{}"], limit=100))
        [b'{"a": [1, 2]}', b'\\n "[" ', b'{}']
    """
    splitter = _Splitter(limit)
    for chunk in chunks:
        yield from splitter.split(chunk)
    yield from splitter.end()


class _Splitter:
    """Position in nested JSON: what is open, and the value so far."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._value = bytearray()
        self._is_array = False
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._is_lost = False
        self._at_line_start = False

    def split(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the values that end in a chunk."""
        start = at = 0
        while at < len(chunk):
            if self._is_lost:
                start = at = self._find_value(chunk, at)
            elif self._is_escaped:
                self._is_escaped = False
                at += 1
            elif self._in_string:
                at = self._leave_string(chunk, at)
                if self._is_lost:
                    yield self._take(chunk[start:at])
                    start = at
            else:
                match = _STRUCTURE.search(chunk, at)
                at = len(chunk) if match is None else match.end()
                if match is None:
                    break
                mark = match[0]
                if mark == b'"':
                    self._in_string = True
                elif mark in b"{[":
                    if mark == b"[" and self._is_between(chunk[start : at - 1]):
                        self._is_array = True
                        self._value.clear()
                        start = at
                    else:
                        self._depth += 1
                elif mark in b"}]" and self._depth:
                    self._depth -= 1
                    if not self._depth and not self._is_array:
                        yield self._take(chunk[start:at])
                        start = at
                elif self._is_array and not self._depth and mark in b",]":
                    yield self._take(chunk[start : at - 1])
                    self._is_array = mark == b","
                    start = at
        self._add(chunk[start:])

    def end(self) -> Iterator[bytes | None]:
        """Yield the last value of a file of values without brackets."""
        if self._is_array or self._depth or self._in_string:
            raise DamagedFileError(f"truncated_json: the last bracket is missing: {AGAIN}")
        if self._value.strip():
            yield self._take(b"")

    def _is_between(self, before: bytes) -> bool:
        """Return True at the top level, with nothing between the last value and this bracket."""
        nested = self._is_array or self._depth
        return not nested and not before.strip() and not self._value.strip()

    def _leave_string(self, chunk: bytes, at: int) -> int:
        """Return the position after a string, or the end of the chunk inside it."""
        match = _REST_OF_STRING.match(chunk, at)
        at = at if match is None else match.end()
        if at == len(chunk):
            return at
        if chunk[at] == ord('"'):
            self._in_string = False
        elif chunk[at] == ord("\\") and at + 1 == len(chunk):
            self._is_escaped = True
        else:
            self._in_string, self._is_lost, self._depth = False, True, 0
            return at
        return at + 1

    def _find_value(self, chunk: bytes, at: int) -> int:
        """Return the start of the line from which values can be told apart again."""
        if not self._at_line_start:
            at = chunk.find(b"\n", at)
            if at < 0:
                return len(chunk)
            self._at_line_start = True
        match = _INDENT.match(chunk, at)
        at = at if match is None else match.end()
        if at < len(chunk):
            self._at_line_start = False
            self._is_lost = chunk[at] not in (b"{]" if self._is_array else b"{[")
        return at

    def _add(self, part: bytes) -> None:
        if not self._is_lost:
            self._value += part
            del self._value[self._limit + 1 :]

    def _take(self, part: bytes) -> bytes | None:
        self._value += part
        value = bytes(self._value) if len(self._value) <= self._limit else None
        self._value.clear()
        return value


def _opens_document(head: bytes) -> bool:
    """Return True if the first value of a file is an array, or ends after its first line.

    A line that ends inside a string is a broken line.
    """
    line, _, _ = head.lstrip().partition(b"\n")
    if line.startswith(b"["):
        return True
    structure = _STRING.sub(b"", line)
    opened = structure.count(b"{") + structure.count(b"[")
    return b'"' not in structure and opened > structure.count(b"}") + structure.count(b"]")
