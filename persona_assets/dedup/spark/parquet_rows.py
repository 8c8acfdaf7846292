"""Row numbers over several Parquet files: row i of file f has the number f << 32 | i."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class ParquetFile(NamedTuple):
    """A Parquet file.

    Args:
        pattern: Path with escaped wildcards, for Spark to read.
        uri: URI by which Spark reports the file of a row.
        size: Size in bytes.
    """

    pattern: str
    uri: str
    size: int


def parquet_files(spark: "SparkSession", files: Sequence[str]) -> list[ParquetFile]:
    """Look up the files in their file systems.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: No file is given, or a file is given twice.
    """
    jvm: Any = spark._jvm
    configuration: Any = spark.sparkContext._jsc.hadoopConfiguration()
    result: list[ParquetFile] = []
    for file in files:
        path = jvm.org.apache.hadoop.fs.Path(file)
        system = path.getFileSystem(configuration)
        if not system.exists(path):
            raise FileNotFoundError(f"there is no file {file}")
        status = system.getFileStatus(path)
        # Spark interprets some characters of a path as wildcards.
        escaped = (f"\\{c}" if c in "*?[]{},\\" else c for c in status.getPath().toString())
        uri = status.getPath().toUri().toString()
        result.append(ParquetFile("".join(escaped), uri, status.getLen()))
    if len({file.uri for file in result}) < max(len(result), 1):
        raise ValueError("there must be at least one file, and none twice")
    return result


def read_rows(
    session: "SparkSession", files: Sequence[ParquetFile], text: str, kept: str | None
) -> "DataFrame":
    """Read the rows that take part, as a DataFrame (row, text).

    Args:
        session: Spark session.
        files: Files in the order of their numbers.
        text: Column of texts.
        kept: Boolean column that is true in rows that take part; None if all rows take part.

    Raises:
        ValueError: A column is missing or of the wrong type.
    """
    from pyspark.sql import functions as f

    table = session.read.parquet(*(file.pattern for file in files))
    types = dict(table.dtypes)
    for name, wanted in ((text, "string"), (kept, "boolean")):
        if name is not None and types.get(name) != wanted:
            columns = ", ".join(f"{column} ({dtype})" for column, dtype in types.items())
            raise ValueError(f"there must be a column {name!r} of type {wanted} among {columns}")
    if kept is not None:
        table = table.where(f.col(f"`{kept}`"))
    # Spark reports a local file by either of two URIs.
    uris = [
        (shard, uri)
        for shard, file in enumerate(files)
        for uri in {file.uri, file.uri.replace("file:///", "file:/")}
    ]
    shards = session.createDataFrame(uris, "shard long, file string")
    unknown = f.raise_error(f.concat(f.lit("no such file was given: "), "file"))
    shard = f.coalesce("shard", unknown.cast("long"))
    return (
        table.select(
            f.col("_metadata.file_path").alias("file"),
            f.col("_metadata.row_index").alias("index"),
            f.col(f"`{text}`").alias("text"),
        )
        .join(f.broadcast(shards), "file", "left")
        .select(f.shiftleft(shard, 32).bitwiseOR(f.col("index")).alias("row"), "text")
    )


def positions(
    rows: npt.NDArray[np.int64], members: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int64]:
    """Convert row numbers to positions among all rows that take part.

    Args:
        rows: Row numbers, int64, shape (n,).
        members: For each file, the positions in the file of the rows that take part, ascending.

    Returns:
        Position of each row among the concatenated members, int64, shape (n,).

    Raises:
        ValueError: A row number belongs to no row that takes part.

    Example:
        >>> members = [np.array([0, 4]), np.array([2])]
        >>> positions(np.array([1 << 32 | 2, 4]), members).tolist()
        [2, 1]
    """
    order = np.argsort(rows, kind="stable")
    cuts = np.searchsorted(rows[order], np.arange(len(members) + 1) << 32)
    result = np.full(len(rows), -1, np.int64)
    base = 0
    for shard, member in enumerate(members):
        chosen = order[cuts[shard] : cuts[shard + 1]]
        places = np.searchsorted(member, rows[chosen] & 0xFFFFFFFF)
        if np.array_equal(member[places[places < len(member)]], rows[chosen] & 0xFFFFFFFF):
            result[chosen] = base + places
        base += len(member)
    if (result < 0).any():
        raise ValueError("a row number is not that of a row that takes part")
    return result
