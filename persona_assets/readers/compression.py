"""Bytes of a plain or packed file, in chunks of bounded size.

Packed: gzip, Zstandard, bzip2 or xz, each also of several members one after the other.
"""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from persona_assets.readers.base import DamagedFileError

PACKINGS = (".gz", ".zst", ".bz2", ".xz")
"""Ends of the names of packed files."""

CHUNK_BYTES = 1 << 16
"""Bytes of a file that are read at a time, and of a bzip2 or xz member that are unpacked at a time.
"""

ZSTD_CHUNK_BYTES = 1 << 8
"""Compressed bytes of a Zstandard file that are read at a time.

A block of 4 bytes can expand to 128 KiB: this bounds a chunk of a hostile file to 8 MiB.
"""

MAX_WINDOW_BYTES = 1 << 31
"""Largest window of a Zstandard frame (`--long=31`); 8 MiB is usual. It is used as it fills."""

MAX_XZ_BYTES = MAX_WINDOW_BYTES + (1 << 26)
"""Most memory of an xz member: its dictionary, of up to the same size, and its tables."""

AGAIN = "fetch the file again"

# A text may begin with the letters of a magic number, but not with the bytes that follow them.
_MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08)|(?P<zstd>\x28\xb5\x2f\xfd)|(?P<bzip2>BZh[1-9]1AY&SY)"
    rb"|(?P<xz>\xfd7zXZ\x00)|(?P<zip>PK\x03\x04)|(?P<parquet>PAR1\x15)|(?P<pdf>%PDF-\d)"
)
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2", "xz": ".xz"}
_NAMES = {suffix: name for name, suffix in _SUFFIXES.items()}


class _CorruptMemberError(Exception):
    """Damaged bzip2 or xz data: bz2 raises an OSError, which an error of the disk is too."""


def with_packings(*endings: str) -> tuple[str, ...]:
    """Return the endings of a format, plain and packed.

    Example:
        >>> with_packings(".txt")
        ('.txt', '.txt.gz', '.txt.zst', '.txt.bz2', '.txt.xz')
    """
    return (*endings, *(ending + packing for packing in PACKINGS for ending in endings))


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked as the end of its name (see `PACKINGS`) requires.

    Raises:
        DamagedFileError: After the last readable bytes, with the reason `truncated_gzip`,
            `corrupt_gzip`, and so on for zstd, bzip2 and xz; `wrong_ending` for a plain name
            of a packed or binary file.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        if suffix not in _NAMES:
            yield from _plain_chunks(file)
            return
        name = _NAMES[suffix]
        found = _MAGIC.match(file.read(16))
        file.seek(0)
        try:
            yield from _UNPACK[name](file)
        except EOFError as error:
            raise DamagedFileError(f"truncated_{name}: {AGAIN}") from error
        except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError, _CorruptMemberError) as error:
            if found is None or found.lastgroup != name:
                found_name = f"{found.lastgroup} data" if found else "the data is something else"
                cure = f"{found_name}: correct the end of the file's name, or {AGAIN}"
            else:
                cure = AGAIN
            raise DamagedFileError(f"corrupt_{name}: {cure}") from error


def _plain_chunks(file: BinaryIO) -> Iterator[bytes]:
    chunk = file.read(CHUNK_BYTES)
    if (found := _MAGIC.match(chunk)) and found.lastgroup:
        name = found.lastgroup
        cure = f"add {_SUFFIXES[name]} to" if name in _SUFFIXES else "correct the end of"
        raise DamagedFileError(f"wrong_ending: {name} data: {cure} the file's name")
    while chunk:
        yield chunk
        chunk = file.read(CHUNK_BYTES)


def _gzip_chunks(file: BinaryIO) -> Iterator[bytes]:
    with gzip.open(file) as unpacked:
        while chunk := unpacked.read1(CHUNK_BYTES):
            yield chunk


def _zstd_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Decompress frame after frame; raise EOFError if the file ends inside a frame.

    `ZstdDecompressor.stream_reader` would mistake a truncated frame for the end of the file.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    frame = None
    while compressed := file.read(ZSTD_CHUNK_BYTES):
        while compressed:
            frame = frame or decompressor.decompressobj()
            yield frame.decompress(compressed)
            compressed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError


def _bzip2_chunks(file: BinaryIO) -> Iterator[bytes]:
    return _members(file, bz2.BZ2Decompressor)


def _xz_chunks(file: BinaryIO) -> Iterator[bytes]:
    def open_member() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_BYTES)

    return _members(file, open_member, padding=b"\0")


def _members(
    file: BinaryIO,
    open_member: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    padding: bytes = b"",
) -> Iterator[bytes]:
    """Unpack member after member; raise EOFError if the file ends inside a member.

    `bz2.open` and `lzma.open` would take damage after the first member for the end of the file.
    """
    member = None
    while packed := file.read(CHUNK_BYTES):
        while packed := packed if member or not padding else packed.lstrip(padding):
            member = member or open_member()
            yield _unpack(member, packed)
            while not (member.eof or member.needs_input):
                yield _unpack(member, b"")
            packed = member.unused_data if member.eof else b""
            member = None if member.eof else member
    if member is not None:
        raise EOFError


def _unpack(member: bz2.BZ2Decompressor | lzma.LZMADecompressor, packed: bytes) -> bytes:
    try:
        return member.decompress(packed, CHUNK_BYTES)
    except (OSError, lzma.LZMAError) as error:
        raise _CorruptMemberError from error


_UNPACK: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _gzip_chunks,
    "zstd": _zstd_chunks,
    "bzip2": _bzip2_chunks,
    "xz": _xz_chunks,
}
