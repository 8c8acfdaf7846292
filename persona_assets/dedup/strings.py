"""Texts in whatever form they come, as the two buffers of UTF-8 that kernels read."""

from collections.abc import Sequence, Sized
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from persona_assets.dedup.kernels import Array, frozen

Strings: TypeAlias = Sequence[str | None] | pl.Series | pa.Array | pa.ChunkedArray
"""Texts, of which some may be missing. An Arrow array is of one of the types of strings, of bytes
in UTF-8, of nulls alone, or a dictionary of such."""

_KINDS = (
    pa.types.is_large_string,
    pa.types.is_string,
    pa.types.is_string_view,
    pa.types.is_large_binary,
    pa.types.is_binary,
    pa.types.is_binary_view,
    pa.types.is_null,
)
_WANTED = "texts must be a sequence of str or None, or an Arrow array or polars column of strings"


def utf8(texts: Strings) -> tuple[Array, Array]:
    """(data, offsets), uint8 and int64: text i is `data[offsets[i]:offsets[i + 1]]` in UTF-8.

    A missing text is empty. Halves of surrogate pairs, which a `str` may hold, are three bytes as
    if they were characters; else the UTF-8 is valid, and offsets ascend, for kernels rely on it.
    The bytes of an Arrow array of strings are not copied, but for nulls or several chunks.

    Raises TypeError for what is no text, and ValueError for an Arrow array that is damaged.
    """
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as error:
            raise ValueError(f"the Arrow array of texts is damaged: {error}") from None
    elif isinstance(texts, pl.Series):
        # Needs no such check: polars holds no string that is not valid.
        texts = texts.to_arrow()
    else:
        return _buffers(_array(texts))
    return _buffers(_large(texts))


def text_at(data: Array, offsets: Array, row: int) -> str:
    """The text of a row of what `utf8` returns."""
    return bytes(data[offsets[row] : offsets[row + 1]]).decode("utf-8", "surrogatepass")


def _array(texts: Sequence[str | None]) -> pa.Array:
    if isinstance(texts, str) or not isinstance(texts, Sized):
        raise TypeError(f"{_WANTED}, not a single {type(texts).__name__}")
    try:
        return _large(pa.array(texts, pa.large_string()))
    except (UnicodeEncodeError, TypeError, pa.ArrowInvalid):
        odd = ((i, type(t).__name__) for i, t in enumerate(texts) if not isinstance(t, str | None))
        row, kind = next(odd, (0, None))
        if kind is not None:
            raise TypeError(f"{_WANTED}, not {kind} as in row {row}") from None
        # Half of a surrogate pair is no character, and yet has to be read: as a separator.
        encoded = [(text or "").encode("utf-8", "surrogatepass") for text in texts]
        return pa.array(encoded, pa.large_binary())


def _large(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The array as one of large strings, whose offsets have 64 bits, without nulls."""
    kind = array.type
    if isinstance(array, pa.ChunkedArray):
        # Each chunk is cast first: together they may be too long for offsets of 32 bits.
        chunks = [_large(chunk) for chunk in array.chunks or [pa.nulls(0, kind)]]
        return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    if pa.types.is_dictionary(kind):
        large = _large(array.dictionary).take(array.indices)
    elif any(is_kind(kind) for is_kind in _KINDS):
        try:
            large = array.cast(pa.large_string())
        except pa.ArrowInvalid:
            raise TypeError(f"{_WANTED}, not of {kind} that is no UTF-8: decode it") from None
    else:
        raise TypeError(f"{_WANTED}, not of {kind}")
    return large.fill_null("") if large.null_count else large


def _buffers(array: pa.Array) -> tuple[Array, Array]:
    count = len(array)
    if count == 0:
        return frozen(np.empty(0, np.uint8)), frozen(np.zeros(1, np.int64))
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, count + 1, offset=8 * array.offset)
    return frozen(np.frombuffer(data or b"", np.uint8)), frozen(bounds)
