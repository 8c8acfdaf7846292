"""Segments of the lineage index: immutable, sorted Parquet files.

An entry is a fact on a row id: a table made it, from a parent; a table holds it; a step dropped it.
A segment holds the entries of some tables, in a file for each of PARTS equal ranges of the hash of
the id. Small segments are merged into larger ones, so the cost of an entry grows with the logarithm
of the project.

Hashes, stamps and kinds are stored plainly, a page per row group: DuckDB reads the file and row
group that can hold an id, and `lookup` searches the mapped files, without decoding.
"""

import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import polars as pl

ENTRIES = pl.Schema(
    {"key": pl.UInt64(), "stamp": pl.UInt64(), "kind": pl.UInt8(), "value": pl.String()}
)
"""Columns of an entry: hash of the row id, stamp of the table, kind, and what the kind has.

MADE: value is the parent's id, null for a row without parents. CHILD: the key is the parent's,
value is the child's id. HELD: value is the reason of a verdict that is negative. DROPPED: value is
the reason. DUPLICATE: value is a JSON object with `survivor_id`, `stage` and `similarity`. MEMBER:
the table aggregates the row.
"""

MADE, CHILD, HELD, DROPPED, DUPLICATE, MEMBER = range(6)
"""Kinds of entries."""

PARTS = 16
"""Files of a segment. DuckDB reads the footer of each file that it opens, so a look-up in a large
segment costs a part of it."""

PART_SHIFT = 60
"""Bits by which a hash is shifted to the number of its part."""

SCRATCH = ".tmp"
"""Suffix of a file that is being written."""

ROW_GROUP = 16_384
"""Entries of a row group: a look-up in SQL decodes the keys of one row group per segment."""


def write(folder: Path, entries: pl.DataFrame) -> str:
    """Write entries as a segment, and return its name."""
    part = pl.col("key") // (1 << PART_SHIFT)
    return _write(folder, lambda number: entries.filter(part == number))


def merge(folder: Path, names: list[str], stamps: pl.Series) -> tuple[str, int]:
    """Write a segment with the entries of others, but those of the given stamps alone.

    Returns:
        Name of the segment, and the number of its entries.
    """
    counts: list[int] = []

    def part(number: int) -> pl.DataFrame:
        entries = pl.concat(
            pl.scan_parquet(files(folder, name)[number], glob=False).filter(
                pl.col("stamp").is_in(stamps.implode())
            )
            for name in names
        ).collect()
        counts.append(len(entries))
        return entries

    return _write(folder, part), sum(counts)


def files(folder: Path, name: str) -> list[Path]:
    """Return the files of a segment, in the order in which they are written."""
    return [folder / f"part={number}" / name for number in range(PARTS)]


def unlisted(folder: Path, names: Collection[str]) -> list[Path]:
    """Return the files of all segments but the named, in order of removal.

    Those of killed writers are among them. A segment has its first file longest.
    """
    found = {path.name.removesuffix(SCRATCH) for path in (folder / "part=0").glob("*.parquet*")}
    other = [
        file for name in sorted(found.difference(names)) for file in reversed(files(folder, name))
    ]
    # Files of the previous version lie in the folder itself.
    return [*folder.glob("*.parquet"), *map(_scratch, other), *other]


def mergeable(sizes: Mapping[str, int]) -> list[str]:
    """Return the segments that are to become one.

    Each segment has over twice as many entries as all smaller ones: so there are few, and an entry
    is written again only as often as its segment doubles.

    Args:
        sizes: Number of entries by name.

    Example:
        >>> mergeable({"a": 4, "b": 1})
        []
        >>> mergeable({"a": 4, "b": 1, "c": 1})
        ['b', 'c', 'a']
        >>> mergeable({"a": 9, "b": 1, "c": 1})
        ['b', 'c']
    """
    names = sorted(sizes, key=lambda name: sizes[name])
    found: list[str] = []
    total = 0
    for number, name in enumerate(names):
        if number and 2 * total >= sizes[name]:
            found = names[: number + 1]
        total += sizes[name]
    return found


def _write(folder: Path, part: Callable[[int], pl.DataFrame]) -> str:
    import pyarrow.parquet as pq

    name = f"{secrets.token_hex(8)}.parquet"
    plain = ("key", "stamp", "kind")
    for number, path in enumerate(files(folder, name)):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = part(number).match_to_schema(ENTRIES).sort("key", "kind", "stamp")
        try:
            pq.write_table(
                rows.to_arrow(),
                _scratch(path),
                row_group_size=ROW_GROUP,
                compression={column: "none" if column in plain else "zstd" for column in ENTRIES},
                use_dictionary=[column for column in ENTRIES if column not in plain],
                write_statistics=["key"],
                # A page per row group, see `lookup`.
                data_page_size=1 << 30,
                max_rows_per_page=ROW_GROUP,
            )
            _scratch(path).replace(path)
        finally:
            _scratch(path).unlink(missing_ok=True)
    return name


def _scratch(path: Path) -> Path:
    return path.with_name(path.name + SCRATCH)
