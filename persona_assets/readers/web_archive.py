"""Reader of web archives: WARC (ISO 28500), and WET, Common Crawl's archive of extracted texts.

FastWARC finds the records. The extra `warc` installs it, and Resiliparse, which extracts main
texts; both are imported by the first archive.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from persona_assets.readers.base import (
    BadRecord,
    DamagedFileError,
    ReaderMissingError,
    ShardFile,
    TextRecord,
)
from persona_assets.readers.compression import AGAIN, read_chunks, with_packings
from persona_assets.readers.fields import to_record
from persona_assets.readers.http_page import PageError, content_text, response_text

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

PASSED_OVER = ("warcinfo", "request", "metadata", "revisit")
"""Types of records without a text of their own."""


class WebArchiveReader:
    """A record per page: `conversion` as it is, `response` and `resource` by their main text.

    The source is the address of the page and the time of its capture, with a space in between;
    the fields `url`, `date` and `language` can be named in PERSONA_CORPUS_FIELDS.
    """

    endings: tuple[str, ...] = with_packings(".warc", ".wet")

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield a record per page; damage ends the reading with its reason.

        Raises:
            ReaderMissingError: The extra is not installed.
        """
        try:
            import resiliparse  # noqa: F401
            from fastwarc.warc import ArchiveIterator
        except ImportError as error:
            raise ReaderMissingError(
                f"shard {file.key!r} is a web archive, whose reader is not installed: "
                "pip install 'persona_assets[warc]'"
            ) from error
        row = 0
        stream = _ChunkStream(read_chunks(file.path))
        try:
            # HTTP is not parsed here: one page that cannot be decoded would end the reading.
            for record in ArchiveIterator(stream, parse_http=False, stream_detect=False):
                if _header(record, "WARC-Type").lower() not in PASSED_OVER:
                    row += 1
                    yield _read_page(record, row, file)
                if stream.damage:
                    break
        except OSError:
            if not stream.damage:
                yield BadRecord(row + 1, f"corrupt_warc: no record begins here: {AGAIN}")
        if stream.damage:
            yield BadRecord(row + 1, stream.damage)


class _ChunkStream(io.RawIOBase):
    """Stream of chunks; it ends where their file is damaged, and `damage` is then the reason."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._position = 0
        self.damage = ""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        while not self._rest and not self.damage:
            try:
                chunk = next(self._chunks, None)
            except DamagedFileError as damage:
                self.damage = str(damage)
                break
            if chunk is None:
                break
            self._rest = memoryview(chunk)
        part = bytes(self._rest[:size] if size >= 0 else self._rest)
        self._rest = self._rest[len(part) :]
        self._position += len(part)
        return part


def _read_page(record: "WarcRecord", row: int, file: ShardFile) -> TextRecord | BadRecord:
    if not _header(record, "Content-Length"):
        return BadRecord(row, f"truncated_warc: {AGAIN}")
    if record.content_length > file.max_record_bytes:
        return file.too_large(row)
    content = record.reader.read()
    if len(content) < record.content_length:
        return BadRecord(row, f"truncated_warc: {AGAIN}")
    kind = _header(record, "WARC-Type").lower()
    media_type = _header(record, "Content-Type").partition(";")[0].strip().lower()
    try:
        if kind == "conversion":
            text = content.decode()
        elif kind == "response" and media_type in ("application/http", ""):
            text = response_text(content, file.max_record_bytes)
        elif kind in ("response", "resource"):
            text = content_text(content, media_type)
        else:
            return BadRecord(row, "not_a_page: a record of another type")
    except UnicodeDecodeError as error:
        return BadRecord(row, f"invalid_utf8: {error.reason}")
    except PageError as error:
        return BadRecord(row, str(error))
    url = _header(record, "WARC-Target-URI").strip("<> ")
    date = _header(record, "WARC-Date")
    languages = _header(record, "WARC-Identified-Content-Language").split(",")
    data = {
        "text": text,
        "source": f"{url} {date}" if url else "",
        "url": url,
        "date": date,
        "language": languages[0],
    }
    return to_record(data, row, file.key, file.fields)


def _header(record: "WarcRecord", name: str) -> str:
    return (record.headers.get(name) or "").strip()
