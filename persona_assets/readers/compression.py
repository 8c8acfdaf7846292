"""Bytes of a plain, gzip or Zstandard file, in chunks of bounded size."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from persona_assets.readers.base import DamagedFileError

CHUNK_BYTES = 1 << 16
"""Bytes of a plain or gzip file that are read at a time."""

ZSTD_CHUNK_BYTES = 1 << 8
"""Compressed bytes of a Zstandard file that are read at a time.

A block of 4 bytes can expand to 128 KiB: this bounds a chunk of a hostile file to 8 MiB.
"""


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed as the end of its name (`.gz`, `.zst`) requires.

    Raises:
        DamagedFileError: After the last readable bytes, with the reason `truncated_gzip`,
            `corrupt_gzip`, `truncated_zstd` or `corrupt_zstd`.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        try:
            if suffix == ".gz":
                with gzip.open(file) as decompressed:
                    while chunk := decompressed.read1(CHUNK_BYTES):
                        yield chunk
            elif suffix == ".zst":
                yield from _zstd_chunks(file)
            else:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except EOFError as error:
            reason = "truncated_gzip" if suffix == ".gz" else "truncated_zstd"
            raise DamagedFileError(reason) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DamagedFileError("corrupt_gzip") from error
        except zstandard.ZstdError as error:
            raise DamagedFileError("corrupt_zstd") from error


def _zstd_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Decompress frame after frame; raise EOFError if the file ends inside a frame.

    `ZstdDecompressor.stream_reader` would mistake a truncated frame for the end of the file.
    """
    decompressor = zstandard.ZstdDecompressor()
    frame = None
    while compressed := file.read(ZSTD_CHUNK_BYTES):
        while compressed:
            frame = frame or decompressor.decompressobj()
            yield frame.decompress(compressed)
            compressed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError
