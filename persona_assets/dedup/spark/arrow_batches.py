"""Record batches of Arrow as arrays for kernels, and back."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from persona_assets.dedup.kernels.compile import Array
from persona_assets.dedup.text.folding import PADDING, CanonicalTexts

BLOCK = 1 << 20
"""Rows that a task collects before it hands them on."""

Batches: TypeAlias = Iterator[pa.RecordBatch]


def content(column: pa.Array) -> tuple[Array, Array]:
    """(bytes, ends) of an Arrow array of bytes: those of element i end at `ends[i + 1]`."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]], ends - ends[0]


def texts_in(column: pa.Array) -> CanonicalTexts:
    """Such an array of canonical texts."""
    data, ends = content(column)
    padded = np.concatenate([data, np.full(PADDING, 0x20, np.uint8)])
    return CanonicalTexts(padded, ends.astype(np.int64))


def binary(data: Array, ends: Array) -> pa.Array:
    """An Arrow array of `data[ends[i]:ends[i + 1]]`, in bytes, not copied.

    Raises OverflowError from 2 GiB on.
    """
    if ends[-1] >= 1 << 31:
        raise OverflowError(f"texts of {ends[-1]:,} bytes are too long for one batch of rows")
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)


def signed(values: Array) -> pa.Array:
    """Spark has no unsigned numbers."""
    return pa.array(values.view(np.int64))


def unsigned(batch: pa.RecordBatch, name: str) -> Array:
    values: Array = batch.column(name).to_numpy().view(np.uint64)
    return values


def blocks(pieces: Iterator[Array], partitions: int) -> Batches:
    """(partition, entries): rows of `pieces` by the first column, those of a partition in a row."""
    held: list[Array] = []
    for piece in pieces:
        held.append(piece)
        if sum(map(len, held)) >= BLOCK:
            yield _dealt_out(np.concatenate(held), partitions)
            held.clear()
    if held:
        yield _dealt_out(np.concatenate(held), partitions)


def _dealt_out(entries: Array, partitions: int) -> pa.RecordBatch:
    high = entries[:, 0] >> np.uint64(32)
    places = ((high * np.uint64(partitions)) >> np.uint64(32)).astype(np.uint16)
    counts = np.bincount(places, minlength=partitions)
    ends = np.concatenate([[0], np.cumsum(counts)]) * entries.strides[0]
    numbers = pa.array(np.arange(partitions, dtype=np.int32))
    packed = binary(entries[np.argsort(places, kind="stable")], ends)
    batch = pa.record_batch([numbers, packed], ["partition", "entries"])
    return batch.filter(pa.array(counts > 0))
