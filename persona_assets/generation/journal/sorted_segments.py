"""Sorted 64-bit integers in files that are never changed: a few segments of geometric sizes.

A new set of integers becomes a segment of its own, and is merged with the segment before it while
the two are of similar size. So n integers lie in O(log n) segments, and each integer is written
O(log n) times. Segments are mapped, not read: a look-up touches a few pages.
"""

import mmap
import os
import uuid
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.uint64]

SUFFIX = ".u64"
WIDTH = 8
"""Bytes of an integer, in the order of the machine."""

GROWTH = 8
"""Least ratio between the sizes of two successive segments."""

CHUNK = 1 << 20
"""Integers of a segment that a merge holds in memory."""

SAMPLE = 4096
"""Bytes at either end of a file that its checksum covers: a damaged file shows without reading it
as a whole."""


class SegmentDamaged(ValueError):
    """The file of a segment differs from the file that was written."""


class Segment(BaseModel):
    """Name, size and checksum of a segment's file."""

    model_config = ConfigDict(frozen=True)

    name: str
    count: int
    checksum: int


class MappedSegment:
    """Segment whose file is mapped into memory.

    Raises:
        FileNotFoundError: The file does not exist: other segments have replaced it.
        SegmentDamaged: The file has another size or checksum than the segment.
    """

    def __init__(self, folder: Path, segment: Segment) -> None:
        self.segment = segment
        with (folder / segment.name).open("rb") as file:
            if not segment.count or os.fstat(file.fileno()).st_size != segment.count * WIDTH:
                raise SegmentDamaged(f"{file.name} has another size than its index says")
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if _checksum(mapping[:SAMPLE], mapping[-SAMPLE:]) != segment.checksum:
            raise SegmentDamaged(f"{segment.name} has another checksum than its index says")
        self._values = memoryview(mapping).cast("Q")

    def between(self, first: int, last: int) -> list[int]:
        """Return the integers from `first` to `last`, both included."""
        values, found = self._values, list[int]()
        at = bisect_left(values, first)
        while at < len(values) and (value := values[at]) <= last:
            found.append(value)
            at += 1
        return found

    def array(self) -> "Integers":
        """Return the integers as an array over the mapping."""
        import numpy as np

        return np.frombuffer(self._values, np.uint64)


def add(folder: Path, segments: Iterable[MappedSegment], values: "Integers") -> list[MappedSegment]:
    """Add integers to segments, the largest first; return the segments that replace them.

    Files of merged segments stay: whoever publishes the result removes them.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as name:
        ...     segments = add(Path(name), [], np.array([5, 2, 2], np.uint64))
        ...     segments = add(Path(name), segments, np.array([3, 5], np.uint64))
        ...     [segment.between(2, 4) for segment in segments]
        [[2, 3]]
    """
    import numpy as np

    stack = list(segments)
    if not len(values):
        return stack
    stack.append(_write(folder, [np.unique(values)]))
    while len(stack) > 1 and stack[-1].segment.count * GROWTH >= stack[-2].segment.count:
        small, large = sorted((stack.pop(), stack.pop()), key=lambda one: one.segment.count)
        stack.append(_write(folder, _merge(large.array(), small.array())))
    return stack


def _merge(large: "Integers", small: "Integers") -> "Iterator[Integers]":
    import numpy as np

    begin = 0
    for start in range(0, len(large), CHUNK):
        part = large[start : start + CHUNK]
        is_last = start + CHUNK >= len(large)
        end = len(small) if is_last else int(small.searchsorted(part[-1], side="right"))
        added = small[begin:end]
        begin = end
        at = part.searchsorted(added)
        is_new = part[np.minimum(at, len(part) - 1)] != added
        yield np.insert(part, at[is_new], added[is_new])


def _write(folder: Path, parts: "Iterable[Integers]") -> MappedSegment:
    """Write sorted integers as a new file that survives a crash of the machine."""
    name = f"{uuid.uuid4().hex}{SUFFIX}"
    count, head, tail = 0, b"", b""
    with (folder / name).open("xb") as file:
        for part in parts:
            file.write(part.data)
            count += len(part)
            head = (head + part[: SAMPLE // WIDTH].tobytes())[:SAMPLE]
            tail = (tail + part[-SAMPLE // WIDTH :].tobytes())[-SAMPLE:]
        file.flush()
        os.fsync(file.fileno())
    return MappedSegment(folder, Segment(name=name, count=count, checksum=_checksum(head, tail)))


def _checksum(head: bytes, tail: bytes) -> int:
    return zlib.crc32(tail, zlib.crc32(head))
