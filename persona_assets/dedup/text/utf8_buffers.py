"""Texts of any column type as the two buffers of UTF-8 that the kernels read."""

from collections.abc import Sequence, Sized
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from persona_assets.dedup.kernels.compile import Array, frozen

Strings: TypeAlias = Sequence[str | None] | pl.Series | pa.Array | pa.ChunkedArray
"""Texts, where None is a missing text. An Arrow array holds strings, binary in UTF-8, only nulls,
or a dictionary of these types."""

_PLAIN = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
_TYPES = (*_PLAIN, pa.string_view(), pa.binary_view(), pa.null())
_EXPECTED = "texts must be a sequence of str or None, or an Arrow array or polars column of strings"


def utf8_buffers(texts: Strings) -> tuple[Array, Array]:
    """Return texts as one buffer of UTF-8 and the offsets of the rows.

    A missing text becomes an empty text. The bytes of an Arrow array of strings are copied only if
    the array has nulls or several chunks, and they are not validated: they may be invalid UTF-8,
    but the offsets ascend and stay within the data. Half of a surrogate pair, which a `str` may
    hold, is encoded in three bytes like a character.

    Returns:
        `(data, offsets)`, uint8 and int64: text i is `data[offsets[i]:offsets[i + 1]]`.

    Raises:
        TypeError: `texts` is not a sequence or column of texts.
        ValueError: The Arrow array is damaged.

    Example:
        >>> data, offsets = utf8_buffers(["nurse", None, "pilot"])
        >>> bytes(data), offsets.tolist()
        (b'nursepilot', [0, 5, 5, 10])
    """
    if isinstance(texts, pl.Series):
        return _buffers(_large_binary(texts.to_arrow()))
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        return _buffers(_large_binary(texts))
    return _buffers(_binary_array(texts))


def text_at(data: Array, offsets: Array, row: int) -> str:
    """Return the text of one row of `utf8_buffers`.

    Raises:
        ValueError: The text is not valid UTF-8.

    Example:
        >>> text_at(*utf8_buffers(["nurse", None, "pilot"]), row=2)
        'pilot'
    """
    text = bytes(data[offsets[row] : offsets[row + 1]])
    try:
        return text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"texts must be UTF-8, and that of row {row} is not: {error}") from None


def _binary_array(texts: Sequence[str | None]) -> pa.Array:
    """Convert a sequence of texts to an Arrow array of bytes."""
    if isinstance(texts, str) or not isinstance(texts, Sized):
        raise TypeError(f"{_EXPECTED}, not a single {type(texts).__name__}")
    try:
        return _large_binary(pa.array(texts, pa.large_string()))
    except (UnicodeEncodeError, TypeError, pa.ArrowInvalid):
        invalid = (
            (i, type(t).__name__) for i, t in enumerate(texts) if not isinstance(t, str | None)
        )
        row, kind = next(invalid, (0, None))
        if kind is not None:
            raise TypeError(f"{_EXPECTED}, not {kind} as in row {row}") from None
        # Half of a surrogate pair is not a character, but must be readable: it is a separator.
        encoded = [(text or "").encode("utf-8", "surrogatepass") for text in texts]
        return pa.array(encoded, pa.large_binary())


def _large_binary(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Convert an array to bytes with 64-bit offsets and without nulls."""
    kind = array.type
    if isinstance(array, pa.ChunkedArray):
        # Cast each chunk before joining: the joined chunks may be too long for 32-bit offsets.
        chunks = [_large_binary(chunk) for chunk in array.chunks or [pa.nulls(0, kind)]]
        return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    try:
        array.validate(full=kind not in _PLAIN)
    except pa.ArrowInvalid as error:
        raise ValueError(f"the Arrow array of texts is damaged: {error}") from None
    if pa.types.is_dictionary(kind):
        large = _large_binary(array.dictionary).take(array.indices)
    elif kind in _TYPES:
        large = array.cast(pa.large_binary())
    else:
        raise TypeError(f"{_EXPECTED}, not of {kind}")
    return large.fill_null(b"") if large.null_count else large


def _buffers(array: pa.Array) -> tuple[Array, Array]:
    """Return the data and the offsets of an array of large binary."""
    count = len(array)
    if count == 0:
        return frozen(np.empty(0, np.uint8)), frozen(np.zeros(1, np.int64))
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, count + 1, offset=8 * array.offset)
    if (bounds[1:] < bounds[:-1]).any():
        raise ValueError("the Arrow array of texts is damaged: its offsets do not ascend")
    return frozen(np.frombuffer(data or b"", np.uint8)), frozen(bounds)
