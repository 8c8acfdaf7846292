"""Look-ups in the lineage index: binary search in mapped segments and in recent entries."""

import mmap
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from persona_assets.catalog.segments import PART_SHIFT, files

if TYPE_CHECKING:
    import numpy as np

Found = tuple[int, int, int]
"""Key, stamp and kind of an entry."""


class Lookup(Protocol):
    """Entries that can be searched."""

    def find(self, keys: Iterable[int]) -> Iterator[Found]:
        """Yield the entries of the given keys."""
        ...


class Recent:
    """Entries in memory.

    Args:
        keys: Keys in ascending order.
        stamps: Their stamps.
        kinds: Their kinds.
    """

    def __init__(self, keys: "np.ndarray", stamps: "np.ndarray", kinds: "np.ndarray") -> None:
        self._columns = (keys, stamps, kinds)

    def find(self, keys: Iterable[int]) -> Iterator[Found]:
        for key in keys:
            yield from _matching(key, *self._columns)[0]


class Segment:
    """Mapped files of a segment.

    Raises:
        FileNotFoundError: A file is lost, or was merged with others.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._parts = [_Part(path) for path in files(folder, name)]

    def find(self, keys: Iterable[int]) -> Iterator[Found]:
        for key in keys:
            yield from self._parts[key >> PART_SHIFT].find(key)


class _Part:
    """Mapped columns of a file of a segment."""

    def __init__(self, path: Path) -> None:
        import numpy as np
        import pyarrow.parquet as pq

        with path.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        metadata = pq.read_metadata(path)
        groups = [
            group
            for number in range(metadata.num_row_groups)
            if (group := metadata.row_group(number)).num_rows
        ]
        self._rows = [group.num_rows for group in groups]
        # A chunk ends with the values of its only page, little-endian.
        self._ends = [
            [
                (chunk := group.column(column)).data_page_offset + chunk.total_compressed_size
                for column in range(3)
            ]
            for group in groups
        ]
        highest = [self._column(number, 0)[-1] for number in range(len(groups))]
        self._highest = np.array(highest, np.uint64)

    def find(self, key: int) -> Iterator[Found]:
        import numpy as np

        for group in range(int(np.searchsorted(self._highest, np.uint64(key))), len(self._rows)):
            found, is_last = _matching(key, *(self._column(group, number) for number in range(3)))
            yield from found
            if is_last:
                break

    def _column(self, group: int, column: int) -> "np.ndarray":
        import numpy as np

        # Parquet stores 8-bit integers as 32-bit integers.
        kind = np.dtype("<u8" if column < 2 else "<u4")
        end, rows = self._ends[group][column], self._rows[group]
        return np.frombuffer(self._file, kind, rows, end - rows * kind.itemsize)


def _matching(
    key: int, keys: "np.ndarray", stamps: "np.ndarray", kinds: "np.ndarray"
) -> tuple[list[Found], bool]:
    """Return the entries of a key, and True if greater keys follow them."""
    import numpy as np

    wanted = np.uint64(key)
    low, high = (int(np.searchsorted(keys, wanted, side)) for side in ("left", "right"))
    return [(key, int(stamps[row]), int(kinds[row])) for row in range(low, high)], high < len(keys)


@lru_cache(maxsize=64)
def open_segment(folder: Path, name: str) -> Segment:
    """Map a segment, once per process: the name of a segment never stands for other entries."""
    return Segment(folder, name)
