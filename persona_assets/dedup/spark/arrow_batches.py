"""Conversion of Arrow record batches to numpy arrays for kernels, and back."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from persona_assets.dedup.kernels.compile import Array
from persona_assets.dedup.text.folding import PADDING, CanonicalTexts

BLOCK = 1 << 20
"""Rows that a task collects before it emits them."""

Batches: TypeAlias = Iterator[pa.RecordBatch]


def bytes_and_offsets(column: pa.Array) -> tuple[Array, Array]:
    """Return the buffers of an Arrow binary array.

    Returns:
        Bytes, uint8, and offsets, int32: element i is `bytes[offsets[i] : offsets[i + 1]]`.

    Example:
        >>> data, offsets = bytes_and_offsets(pa.array([b"ab", b"", b"c"]))
        >>> bytes(data), offsets.tolist()
        (b'abc', [0, 2, 2, 3])
    """
    _, offset_buffer, data = column.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data or b"", np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0]


def padded_texts(column: pa.Array) -> CanonicalTexts:
    """Convert an Arrow binary array of canonical texts, padded for 8-byte loads."""
    data, offsets = bytes_and_offsets(column)
    padded = np.concatenate([data, np.full(PADDING, 0x20, np.uint8)])
    return CanonicalTexts(padded, offsets.astype(np.int64))


def binary_array(data: Array, offsets: Array) -> pa.Array:
    """Build an Arrow binary array without copying the bytes.

    Args:
        data: Buffer of bytes.
        offsets: Element i is `data[offsets[i] : offsets[i + 1]]`, offsets in bytes.

    Raises:
        OverflowError: The elements have 2 GiB or more.
    """
    if offsets[-1] >= 1 << 31:
        raise OverflowError(f"texts of {offsets[-1]:,} bytes are too long for one batch of rows")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def signed_array(values: Array) -> pa.Array:
    """Reinterpret uint64 as int64, because Spark has no unsigned integers."""
    return pa.array(values.view(np.int64))


def unsigned_column(batch: pa.RecordBatch, name: str) -> Array:
    """Reinterpret an int64 column as uint64."""
    values: Array = batch.column(name).to_numpy().view(np.uint64)
    return values


def partition_blocks(pieces: Iterator[Array], partitions: int) -> Batches:
    """Group entries by partition, so that the shuffle moves blocks instead of single rows.

    Args:
        pieces: Entries, uint64, shape (n, k); the leading bits of the first column select the
            partition.
        partitions: Number of partitions.

    Yields:
        Batches with columns (partition, entries): number of the partition, and bytes of its
        entries.
    """
    collected: list[Array] = []
    for piece in pieces:
        collected.append(piece)
        if sum(map(len, collected)) >= BLOCK:
            yield _group_by_partition(np.concatenate(collected), partitions)
            collected.clear()
    if collected:
        yield _group_by_partition(np.concatenate(collected), partitions)


def _group_by_partition(entries: Array, partitions: int) -> pa.RecordBatch:
    """Return the entries of each partition as bytes, without empty partitions."""
    high = entries[:, 0] >> np.uint64(32)
    targets = ((high * np.uint64(partitions)) >> np.uint64(32)).astype(np.uint16)
    counts = np.bincount(targets, minlength=partitions)
    offsets = np.concatenate([[0], np.cumsum(counts)]) * entries.strides[0]
    numbers = pa.array(np.arange(partitions, dtype=np.int32))
    packed = binary_array(entries[np.argsort(targets, kind="stable")], offsets)
    batch = pa.record_batch([numbers, packed], ["partition", "entries"])
    return batch.filter(pa.array(counts > 0))
