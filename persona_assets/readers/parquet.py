"""Reader of Parquet files."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from persona_assets.readers.base import BadRecord, ShardFile, TextRecord
from persona_assets.readers.fields import to_record

BUFFER_BYTES = 1 << 16
"""Bytes of a column that are read at a time, instead of the whole column of a row group."""

BATCH_ROWS = 16
"""Rows that are decoded at a time."""


class ParquetReader:
    """A record per row; only the columns that `ShardFile.fields` can use are read."""

    endings: tuple[str, ...] = (".parquet",)

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield a record per row; damage (`unreadable_parquet`) ends its row group alone."""
        # By name, because pyarrow has no types to import.
        pa: Any = import_module("pyarrow")
        pq: Any = import_module("pyarrow.parquet")
        if not file.path.stat().st_size:
            return
        try:
            table = pq.ParquetFile(file.path, buffer_size=BUFFER_BYTES)
        except (pa.ArrowException, OSError, ValueError) as error:
            yield BadRecord(1, f"unreadable_parquet: {_headline(error)}")
            return
        end = 0
        with table:
            for group in range(table.num_row_groups):
                row, end = end, end + table.metadata.row_group(group).num_rows
                try:
                    for record in _read_row_group(file, table, group, row):
                        row = record.row
                        yield record
                except (pa.ArrowException, OSError, ValueError) as error:
                    lost = f"rows {row + 1} to {end}"
                    yield BadRecord(row + 1, f"unreadable_parquet: {lost}: {_headline(error)}")


def _read_row_group(
    file: ShardFile, table: Any, group: int, row: int
) -> Iterator[TextRecord | BadRecord]:
    """Yield the records of a row group whose first row is number `row` + 1 of the file."""
    columns = _needed_leaves([leaf.path for leaf in table.schema], file.fields)
    for batch in table.iter_batches(BATCH_ROWS, [group], columns, use_threads=False):
        for record in (batch.slice(index, 1) for index in range(batch.num_rows)):
            row += 1
            if record.nbytes > file.max_record_bytes:
                yield file.too_large(row)
                continue
            try:
                values = [column[0].as_py() for column in record.columns]
            except UnicodeDecodeError as error:
                yield BadRecord(row, f"invalid_utf8: {error.reason}")
            else:
                data = dict(zip(record.schema.names, values, strict=True))
                yield to_record(data, row, file.key, file.fields)


def _needed_leaves(leaves: list[str], paths: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the Parquet leaves at or below a path, and plain columns that a path enters."""
    sought = {path for candidates in paths.values() for path in candidates}
    roots = {path.partition(".")[0] for path in sought}
    below = tuple(f"{path}." for path in sought)
    return [leaf for leaf in leaves if leaf in sought | roots or leaf.startswith(below)]


def _headline(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]
