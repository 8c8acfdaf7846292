"""Reader of JSON lines, plain or packed."""

import json
from collections.abc import Iterable, Iterator, Mapping

from persona_assets.readers.base import BadRecord, DamagedFileError, ShardFile, TextRecord
from persona_assets.readers.compression import read_chunks, with_packings
from persona_assets.readers.fields import to_record


class JsonLinesReader:
    """A JSON object per line; blank lines are skipped but counted."""

    endings: tuple[str, ...] = with_packings(".jsonl", ".ndjson")

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield a record per line; a damaged archive ends the reading with its reason."""
        row = 0
        try:
            for row, line in enumerate(
                split_lines(read_chunks(file.path), file.max_record_bytes), 1
            ):
                if line is None:
                    yield file.too_large(row)
                elif (record := parse_line(line, row, file.key, file.fields)) is not None:
                    yield record
        except DamagedFileError as damage:
            yield BadRecord(row + 1, str(damage))


def split_lines(chunks: Iterable[bytes], limit: int) -> Iterator[bytes | None]:
    """Yield lines without their newline, and None for a line over `limit` bytes.

    At most `limit` bytes of a line, and a chunk, are in memory.

    Example:
        >>> list(split_lines([b"a\\nb", b"c\\nlong line\\n"], limit=4))
        [b'a', b'bc', None]
    """
    line = bytearray()
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            line += chunk[start:end]
            yield bytes(line) if len(line) <= limit else None
            line.clear()
            start = end + 1
        line += chunk[start:]
        del line[limit + 1 :]
    if line:
        yield bytes(line) if len(line) <= limit else None


def parse_line(
    line: bytes, row: int, shard: str, paths: Mapping[str, tuple[str, ...]]
) -> TextRecord | BadRecord | None:
    """Parse a line of JSON as a record (see `to_record`); return None for a blank line."""
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return BadRecord(row, f"invalid_utf8: {error.reason}")
    if not text.strip():
        return None
    try:
        data: object = json.loads(text)
    except json.JSONDecodeError as error:
        return BadRecord(row, f"malformed_json: {error.msg}")
    except ValueError:
        return BadRecord(row, "malformed_json: a number has too many digits")
    except RecursionError:
        return BadRecord(row, "malformed_json: nested too deeply")
    return to_record(data, row, shard, paths)
