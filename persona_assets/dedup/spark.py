"""The lexical join on Spark, for hubs that no one machine holds: the sets and pairs of `lexical`.

A word set travels as text, each word once and in one order: equal sets are equal texts. Its tag has
64 bits, 40 of parity bitmap and 24 of hash, and says where the set lives: texts are shuffled once,
by tag, and stay there; only keys, and pairs that may be similar, move from then on. Keys travel as
(key, tag) in blocks, 16 bytes each, and where they meet the tags' bitmaps leave few pairs. Sets
that share a tag cost time and change no result: the words decide, in integers.

What belongs here handles DataFrames and a session; what is done to their rows is in `spark_tasks`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.lexical import JACCARD_THRESHOLD, LOWEST, check
from persona_assets.dedup.partenum import CLASS_MASK, scheme_of
from persona_assets.dedup.spark_tasks import deal_again, describe, emit_keys, in_arrow, meet, verify

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

HOT = 1 << 12
"""Sets in a bucket above which fetching their texts and dealing them out anew costs less than
comparing their bitmaps."""

ROUNDS = 5
"""Most times that keys are dealt out: each time a large bucket is halved, or compared as it is."""

SHARE = 32 << 20
"""Bytes of Parquet for each partition of texts."""

ENTRIES = 1 << 22
"""Keys for each partition of them, which a task holds in memory: 100 bytes each."""

MOST_PARTITIONS = 1 << 16

Log: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What a join did. `shuffle_bytes` are those written, compressed; both mappings are by step."""

    rows: int
    sets: int
    keys: int
    candidates: int
    pairs: int
    shuffle_bytes: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def shuffle_bytes_per_row(self) -> float:
        return sum(self.shuffle_bytes.values()) / max(self.rows, 1)


class ParquetFile(NamedTuple):
    """A file as Spark reads it, as it names it afterwards, and its bytes."""

    pattern: str
    uri: str
    size: int


def spark_join(
    spark: "SparkSession",
    files: Sequence[str],
    output: str,
    threshold: Fraction = JACCARD_THRESHOLD,
    text: str = "persona",
    kept: str | None = None,
    hot: int = HOT,
    log: Log = lambda line: None,
) -> Report:
    """Writes the near-duplicates among the texts of Parquet files, given in order of arrival.

    Row i of file f has the number f << 32 | i. With `kept`, only rows that are true in that column
    take part; the others count for i all the same. `output` gets two folders of Parquet: `edges`
    (left, right, similarity), the pairs of first rows of different word sets, left < right and each
    pair once; and `repeats` (row, first), the rows whose word set has come before. What was there
    is overwritten.

    Raises TypeError or ValueError for a threshold that is no Fraction, not in (0, 1], or below
    `lexical.LOWEST`; ValueError for a file that is given twice, and for a column that is missing or
    of the wrong type; FileNotFoundError for a file that is not there.
    """
    from pyspark.sql import functions as f

    check_threshold(threshold)
    found = _parquet_files(spark, files)
    homes = _share(sum(file.size for file in found), SHARE, spark)
    session = spark.newSession()
    for name, value in {
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.shuffle.partitions": str(homes),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        # Cached texts stay where their tags say: no join moves them.
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(1 << 16),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(1 << 26),
    }.items():
        session.conf.set(name, value)
    folder = output.rstrip("/")
    steps = _Steps(spark)
    with ExitStack() as stack:
        with steps.step("sets"):
            rows = word_sets(read_rows(session, found, text, kept), threshold, homes).persist()
            stack.callback(rows.unpersist)
            is_first = f.col("row") == f.col("first")
            counted = rows.agg(
                f.count("row"), f.count("text"), f.sum(f.when(is_first, f.col("keys")))
            ).collect()[0]
            repeats = rows.where(~is_first).select("row", "first")
            repeats.write.mode("overwrite").parquet(f"{folder}/repeats")
        keys = counted[2] or 0
        log(f"{counted[0]:,} rows have {counted[1]:,} different word sets and {keys:,} keys")
        sets = rows.where(is_first).select("tag", "row", "text", "keys")
        with steps.step("keys"):
            proposed = candidates(sets, threshold, keys, homes, hot, stack, log).persist()
            stack.callback(proposed.unpersist)
            count = proposed.count()
        log(f"{count:,} pairs may be similar")
        with steps.step("pairs"):
            edges(sets, proposed, threshold).write.mode("overwrite").parquet(f"{folder}/edges")
            pairs = session.read.parquet(f"{folder}/edges").count()
        log(f"{pairs:,} pairs are near-duplicates")
    return Report(counted[0], counted[1], keys, count, pairs, steps.shuffle_bytes, steps.seconds)


def check_threshold(threshold: Fraction) -> None:
    """Raises TypeError or ValueError for a threshold that the join on Spark does not take."""
    check(threshold, "exact")
    if threshold < LOWEST:
        raise ValueError(
            f"on Spark the threshold must be at least {LOWEST}, not {threshold}: below it keys "
            "tell nothing, and the local engine compares all sets instead"
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


def word_sets(rows: "DataFrame", threshold: Fraction, partitions: int) -> "DataFrame":
    """(tag, row, first, keys, text) of `rows` (row, text), in partitions by tag.

    `first` is the first row with the same word set, `keys` how many keys that has, and `text` its
    words in one order, null in rows that are not the first.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    schema = "tag long, row long, keys int, text binary"
    described = in_arrow(rows, partial(describe, threshold=threshold), schema)
    first = f.min("row").over(Window.partitionBy("tag", "text"))
    text = f.when(f.col("row") == f.col("first"), f.col("text")).alias("text")
    return (
        described.repartition(partitions, "tag")
        .withColumn("first", first)
        .select("tag", "row", "first", "keys", text)
    )


def candidates(
    sets: "DataFrame",
    threshold: Fraction,
    keys: int,
    partitions: int,
    hot: int,
    stack: ExitStack,
    log: Log,
) -> "DataFrame":
    """(one, two): tags of sets that may be similar, one <= two as uint64, each pair once.

    `sets` (tag, text, keys) have that many keys together. Buckets of more than `hot` sets are dealt
    out anew. The result is in partitions by `one`; `stack` frees what it is made from.
    """
    from pyspark.sql import functions as f

    parts = scheme_of(threshold).parts
    shares = _share(keys, ENTRIES, sets.sparkSession, MOST_PARTITIONS)
    blocks = in_arrow(
        sets.select("tag", "text", "keys"),
        partial(emit_keys, threshold=threshold, partitions=shares),
        "partition int, entries binary",
    )
    found: list[DataFrame] = []
    for salt in range(1, ROUNDS + 1):
        task = partial(
            meet,
            threshold=threshold,
            hot=hot if salt < ROUNDS else None,
            width=2 if salt == 1 else 3,
        )
        placed = blocks.repartitionById(shares, "partition").select("entries")
        met = in_arrow(placed, task, "key long, one long, two long").persist()
        stack.callback(met.unpersist)
        found.append(met.where("key is null").select("one", "two"))
        again = met.where("key is not null")
        kinds = again.groupBy(f.col("key").bitwiseAND(CLASS_MASK)).count().collect()
        if not kinds:
            break
        log(f"{sum(count for _, count in kinds):,} keys of large buckets are dealt out anew")
        keys = sum(int(parts[kind]) * count for kind, count in kinds)
        shares = _share(keys, ENTRIES, sets.sparkSession, MOST_PARTITIONS)
        bucket = again.select("key", f.col("one").alias("tag"), f.col("two").alias("size"))
        blocks = in_arrow(
            bucket.join(sets.select("tag", "text"), "tag"),
            partial(deal_again, threshold=threshold, salt=salt, partitions=shares),
            "partition int, entries binary",
        )
    together = reduce(lambda one, other: one.union(other), found)
    return together.repartition(partitions, "one").dropDuplicates(["one", "two"])


def edges(sets: "DataFrame", candidates: "DataFrame", threshold: Fraction) -> "DataFrame":
    """(left, right, similarity) of the `candidates` (one, two) among `sets` (tag, row, text)."""
    from pyspark.sql import functions as f

    def side(tag: str, row: str, text: str) -> "DataFrame":
        names: Iterable[tuple[str, str]] = (("tag", tag), ("row", row), ("text", text))
        columns: list[Column] = [f.col(name).alias(alias) for name, alias in names]
        return sets.select(*columns)

    texts = (
        candidates.join(side("one", "left", "left_text"), "one")
        .join(side("two", "right", "right_text"), "two")
        .where("one != two or left < right")
        .select("left", "right", "left_text", "right_text")
    )
    schema = "left long, right long, similarity double"
    return in_arrow(texts, partial(verify, threshold=threshold), schema)


def _parquet_files(spark: "SparkSession", files: Sequence[str]) -> list[ParquetFile]:
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


def _share(total: int, most: int, spark: "SparkSession", limit: int | None = None) -> int:
    """Partitions for `total` at `most` each: at least one for every processor."""
    wanted = max(-(-total // most), spark.sparkContext.defaultParallelism)
    return wanted if limit is None else min(wanted, limit)


@dataclass
class _Steps:
    """Seconds and shuffle bytes of each step."""

    spark: "SparkSession"
    seconds: dict[str, float] = field(default_factory=dict)
    shuffle_bytes: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start, before = time.monotonic(), self._written()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
        self.shuffle_bytes[name] = self._written() - before

    def _written(self) -> int:
        """Bytes that all stages so far wrote to shuffles: Spark counts them without a UI, too."""
        context: Any = self.spark.sparkContext
        scala, java = context._jsc.sc(), context._gateway
        scala.listenerBus().waitUntilEmpty()
        nothing = java.jvm.java.util.ArrayList()
        stages = scala.statusStore().stageList(
            nothing, False, False, java.new_array(java.jvm.double, 0), nothing
        )
        return sum(int(stages.apply(i).shuffleWriteBytes()) for i in range(stages.size()))
