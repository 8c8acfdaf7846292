"""Texts in whatever form they come, as the two buffers of UTF-8 that kernels read."""

from collections.abc import Sequence, Sized
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from persona_assets.dedup.kernels.compile import Array, frozen

Strings: TypeAlias = Sequence[str | None] | pl.Series | pa.Array | pa.ChunkedArray
"""Texts, of which some may be missing. An Arrow array is of one of the types of strings, of bytes
in UTF-8, of nulls alone, or a dictionary of such."""

_PLAIN = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
_KINDS = (*_PLAIN, pa.string_view(), pa.binary_view(), pa.null())
_WANTED = "texts must be a sequence of str or None, or an Arrow array or polars column of strings"


def utf8_buffers(texts: Strings) -> tuple[Array, Array]:
    """(data, offsets), uint8 and int64: text i is `data[offsets[i]:offsets[i + 1]]` in UTF-8.

    A missing text is empty. The bytes of an Arrow array of strings are neither copied, but for
    nulls or several chunks, nor looked at: they need not be valid, but offsets ascend in `data`.
    Halves of surrogate pairs, which a `str` may hold, are three bytes as if they were characters.

    Raises TypeError for what is no text, and ValueError for an Arrow array that is damaged.
    """
    if isinstance(texts, pl.Series):
        return _buffers(_large(texts.to_arrow()))
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return _buffers(_large(texts))
    return _buffers(_array(texts))


def text_at(data: Array, offsets: Array, row: int) -> str:
    """The text of a row of what `utf8` returns. Raises ValueError if it is not valid UTF-8."""
    text = bytes(data[offsets[row] : offsets[row + 1]])
    try:
        return text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"texts must be UTF-8, and that of row {row} is not: {error}") from None


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
    """The array as one of bytes, with offsets of 64 bits and without nulls."""
    kind = array.type
    if isinstance(array, pa.ChunkedArray):
        # Each chunk is cast first: together they may be too long for offsets of 32 bits.
        chunks = [_large(chunk) for chunk in array.chunks or [pa.nulls(0, kind)]]
        return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    try:
        array.validate(full=kind not in _PLAIN)
    except pa.ArrowInvalid as error:
        raise ValueError(f"the Arrow array of texts is damaged: {error}") from None
    if pa.types.is_dictionary(kind):
        large = _large(array.dictionary).take(array.indices)
    elif kind in _KINDS:
        large = array.cast(pa.large_binary())
    else:
        raise TypeError(f"{_WANTED}, not of {kind}")
    return large.fill_null(b"") if large.null_count else large


def _buffers(array: pa.Array) -> tuple[Array, Array]:
    count = len(array)
    if count == 0:
        return frozen(np.empty(0, np.uint8)), frozen(np.zeros(1, np.int64))
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, count + 1, offset=8 * array.offset)
    if (bounds[1:] < bounds[:-1]).any():
        raise ValueError("the Arrow array of texts is damaged: its offsets do not ascend")
    return frozen(np.frombuffer(data or b"", np.uint8)), frozen(bounds)
