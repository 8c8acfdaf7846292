"""Rows of Parquet files by number: row i of file f is f << 32 | i."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class ParquetFile(NamedTuple):
    """A file as Spark reads it, as it names it afterwards, and its bytes."""

    pattern: str
    uri: str
    size: int


def parquet_files(spark: "SparkSession", files: Sequence[str]) -> list[ParquetFile]:
    """Raises FileNotFoundError for one that is not there, ValueError for one that is given twice
    and for none at all.
    """
    jvm: Any = spark._jvm
    configuration: Any = spark.sparkContext._jsc.hadoopConfiguration()
    found: list[ParquetFile] = []
    for file in files:
        path = jvm.org.apache.hadoop.fs.Path(file)
        system = path.getFileSystem(configuration)
        if not system.exists(path):
            raise FileNotFoundError(f"there is no file {file}")
        status = system.getFileStatus(path)
        # Spark takes some signs in a path for patterns.
        signs = (f"\\{c}" if c in "*?[]{},\\" else c for c in status.getPath().toString())
        uri = status.getPath().toUri().toString()
        found.append(ParquetFile("".join(signs), uri, status.getLen()))
    if len({file.uri for file in found}) < max(len(found), 1):
        raise ValueError("there must be at least one file, and none twice")
    return found


def read_rows(
    session: "SparkSession", files: Sequence[ParquetFile], text: str, kept: str | None
) -> "DataFrame":
    """(row, text) of the rows that take part.

    Raises ValueError for a column that is missing or of the wrong type.
    """
    from pyspark.sql import functions as f

    table = session.read.parquet(*(file.pattern for file in files))
    types = dict(table.dtypes)
    for name, wanted in ((text, "string"), (kept, "boolean")):
        if name is not None and types.get(name) != wanted:
            columns = ", ".join(f"{column} ({found})" for column, found in types.items())
            raise ValueError(f"there must be a column {name!r} of type {wanted} among {columns}")
    if kept is not None:
        table = table.where(f.col(f"`{kept}`"))
    # Local files go by two names.
    names = [
        (shard, name)
        for shard, file in enumerate(files)
        for name in {file.uri, file.uri.replace("file:///", "file:/")}
    ]
    shards = session.createDataFrame(names, "shard long, file string")
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
    """Where rows, given by number, stand among all rows that take part.

    `members[f]` are the rows of file f that take part, by place in the file, ascending. Raises
    ValueError for a number that is not among them.
    """
    order = np.argsort(rows, kind="stable")
    cuts = np.searchsorted(rows[order], np.arange(len(members) + 1) << 32)
    found = np.full(len(rows), -1, np.int64)
    before = 0
    for shard, member in enumerate(members):
        chosen = order[cuts[shard] : cuts[shard + 1]]
        places = np.searchsorted(member, rows[chosen] & 0xFFFFFFFF)
        if np.array_equal(member[places[places < len(member)]], rows[chosen] & 0xFFFFFFFF):
            found[chosen] = before + places
        before += len(member)
    if (found < 0).any():
        raise ValueError("a row number is not that of a row that takes part")
    return found
