"""Segments of the lineage index: immutable, sorted Parquet files.

An entry is a fact on a row id: a table made it, from a parent; a table holds it; a step dropped it.
A segment holds the entries of some tables, sorted by the hash of the id. Small segments are merged
into larger ones, so the cost of an entry grows with the logarithm of the project.

Hashes, stamps and kinds are stored plainly, a page per row group: DuckDB reads the few row groups
that can hold an id, and `Segment` searches the mapped file, without decoding.
"""

import mmap
import secrets
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import numpy as np

ENTRIES = pl.Schema(
    {
        "key": pl.UInt64(),
        "stamp": pl.UInt64(),
        "kind": pl.UInt8(),
        "value": pl.String(),
        "stage": pl.String(),
        "similarity": pl.Float64(),
    }
)
"""Columns of an entry: hash of the row id, stamp of the table, kind, and what the kind has.

MADE: value is the parent's id, null for a row without parents. CHILD: the key is the parent's,
value is the child's id. HELD: value is the reason of a verdict that is negative. DROPPED: value is
the reason. DUPLICATE: value is the survivor's id, with stage and similarity. MEMBER: the table
aggregates the row.
"""

MADE, CHILD, HELD, DROPPED, DUPLICATE, MEMBER = range(6)
"""Kinds of entries."""

ROW_GROUP = 16_384
"""Entries of a row group: a look-up in SQL decodes the keys of one row group per segment."""

FANOUT = 4
"""Segments of about the same size that are merged into one."""

LARGEST = 4_000_000
"""Entries of a segment that is not merged any more, which bounds the memory of a merge to 1 GB."""

BATCH = 1_000_000
"""Entries that are collected in memory before they are written."""


def write(folder: Path, entries: pl.DataFrame) -> Path:
    """Write a segment under a new name, which begins with the number of its entries."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    name = f"{len(entries):012d}-{secrets.token_hex(8)}.parquet"
    scratch = folder / f".{name}.tmp"
    plain = ("key", "stamp", "kind")
    table = entries.match_to_schema(ENTRIES).sort("key", "kind", "stamp").to_arrow()
    try:
        pq.write_table(
            table,
            scratch,
            row_group_size=ROW_GROUP,
            compression={column: "none" if column in plain else "zstd" for column in ENTRIES},
            use_dictionary=[column for column in ENTRIES if column not in plain],
            write_statistics=["key"],
            # A page per row group, see `Segment`.
            data_page_size=1 << 30,
            max_rows_per_page=ROW_GROUP,
        )
        return scratch.replace(folder / name)
    finally:
        scratch.unlink(missing_ok=True)


def segments(folder: Path) -> list[Path]:
    """Return the segments of a folder, the smallest first."""
    return sorted(folder.glob("*.parquet"))


def size(path: Path) -> int:
    """Return the number of entries of a segment, from its name."""
    return int(path.name.partition("-")[0])


def read(paths: Sequence[Path], stamps: pl.Series) -> pl.DataFrame:
    """Read the entries of segments, without those of other stamps."""
    return pl.concat(
        pl.scan_parquet(path, glob=False).filter(pl.col("stamp").is_in(stamps.implode()))
        for path in paths
    ).collect()


def mergeable(paths: Sequence[Path]) -> list[Path]:
    """Return the segments that are to become one: FANOUT of a size, with all that are smaller.

    Args:
        paths: Segments, the smallest first.

    Example:
        >>> [path.name for path in mergeable([Path(f"{n}-x.parquet") for n in (1, 3, 4)])]
        []
        >>> [path.name for path in mergeable([Path(f"{n}-x.parquet") for n in (1, 3, 4, 90_000)])]
        []
        >>> [path.name for path in mergeable([Path(f"{n}-x.parquet") for n in (1, 4, 5, 6)])]
        ['1-x.parquet', '4-x.parquet', '5-x.parquet', '6-x.parquet']
    """
    found: list[Path] = []
    classes: dict[int, int] = {}
    total = 0
    for number, path in enumerate(paths):
        total += size(path)
        if total > LARGEST:
            break
        level = max(size(path), ROW_GROUP).bit_length() // 2
        classes[level] = classes.get(level, 0) + 1
        if classes[level] >= FANOUT:
            found = list(paths[: number + 1])
    return found


class Segment:
    """Mapped columns of a segment, for binary search."""

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

    def find(self, keys: "np.ndarray") -> Iterator[tuple[int, int, int]]:
        """Yield key, stamp and kind of each entry of the given keys, an array of uint64."""
        import numpy as np

        firsts = np.searchsorted(self._highest, keys)
        for key, first in zip(keys, firsts, strict=True):
            for group in range(first, len(self._rows)):
                column = self._column(group, 0)
                low, high = np.searchsorted(column, key), np.searchsorted(column, key, "right")
                stamps, kinds = self._column(group, 1), self._column(group, 2)
                for row in range(low, high):
                    yield int(key), int(stamps[row]), int(kinds[row])
                if high < len(column):
                    break

    def _column(self, group: int, column: int) -> "np.ndarray":
        import numpy as np

        # Parquet stores 8-bit integers as 32-bit integers.
        kind = np.dtype("<u8" if column < 2 else "<u4")
        end, rows = self._ends[group][column], self._rows[group]
        return np.frombuffer(self._file, kind, rows, end - rows * kind.itemsize)


@lru_cache(maxsize=256)
def open_segment(path: Path) -> Segment:
    """Map a segment, once per process: the name of a segment never stands for other entries."""
    return Segment(path)
