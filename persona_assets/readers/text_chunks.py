"""Chunks of a text file: as UTF-8, whatever its byte order mark; its head."""

import codecs
import itertools
from collections.abc import Iterable, Iterator

from persona_assets.readers.base import DamagedFileError

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def to_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a text without its byte order mark, UTF-16 as UTF-8.

    Text without a mark, which is UTF-8 or damaged, passes unchanged.

    Raises:
        DamagedFileError: After the last readable text, `invalid_utf16`.

    Example:
        >>> b"".join(to_utf8(["é".encode("utf-16")])).decode()
        'é'
    """
    remaining = iter(chunks)
    head = b""
    while len(head) < max(map(len, _MARKS)) and (chunk := next(remaining, None)) is not None:
        head += chunk
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    if encoding == "utf-8":
        yield head[len(mark) :]
        yield from remaining
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(head[len(mark) :]).encode()
        for chunk in remaining:
            yield decoder.decode(chunk).encode()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"invalid_utf16: {error.reason}") from error


def read_head(chunks: Iterator[bytes], limit: int) -> tuple[bytes, Iterator[bytes]]:
    """Return a file as far as the end of its first line that is not blank, and all its chunks.

    Args:
        chunks: Chunks of the file; their iterator must not be used afterwards.
        limit: Bytes after which the head ends, whatever it holds.

    Example:
        >>> head, chunks = read_head(iter([b" \\n", b"a", b"b\\nc", b"d"]), limit=100)
        >>> head, list(chunks)
        (b' \\nab\\nc', [b' \\nab\\nc', b'd'])
    """
    head = bytearray()
    is_blank = True
    for chunk in chunks:
        head += chunk
        line = chunk.lstrip() if is_blank else chunk
        is_blank = is_blank and not line
        if b"\n" in line or len(head) > limit:
            break
    return bytes(head), itertools.chain([bytes(head)], chunks)
