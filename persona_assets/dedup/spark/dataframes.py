"""The steps of the join, from DataFrame to DataFrame: word sets, candidates, edges.

What belongs here is run by the driver; what is done to the rows is in `tasks`.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from fractions import Fraction
from functools import partial, reduce
from typing import TYPE_CHECKING

from persona_assets.dedup.lexical.partenum import CLASS_MASK, scheme_of
from persona_assets.dedup.spark.arrow_batches import Batches
from persona_assets.dedup.spark.arrow_tasks import (
    describe_sets,
    emit_candidates,
    emit_keys,
    redistribute_entries,
    verify_candidates,
)
from persona_assets.dedup.spark.join_report import Log
from persona_assets.dedup.spark.spark_session import any_pandas

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ROUNDS = 5
"""Most times that keys are dealt out: each time a large bucket is halved, or compared as it is."""

ENTRIES = 1 << 22
"""Keys for each partition of them, which a task holds in memory: 100 bytes each."""

MOST_PARTITIONS = 1 << 16


def word_set_frame(rows: "DataFrame", threshold: Fraction, partitions: int) -> "DataFrame":
    """(tag, row, first, keys, text) of `rows` (row, text), in partitions by tag.

    `first` is the first row with the same word set, `keys` how many keys that has, and `text` its
    words in one order, null in rows that are not the first.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    schema = "tag long, row long, keys int, text binary"
    described = _in_arrow(rows, partial(describe_sets, threshold=threshold), schema)
    first = f.min("row").over(Window.partitionBy("tag", "text"))
    text = f.when(f.col("row") == f.col("first"), f.col("text")).alias("text")
    return (
        described.repartition(partitions, "tag")
        .withColumn("first", first)
        .select("tag", "row", "first", "keys", text)
    )


def candidate_frame(
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
    shares = partition_count(keys, ENTRIES, sets.sparkSession, MOST_PARTITIONS)
    blocks = _in_arrow(
        sets.select("tag", "text", "keys"),
        partial(emit_keys, threshold=threshold, partitions=shares),
        "partition int, entries binary",
    )
    found: list[DataFrame] = []
    for salt in range(1, ROUNDS + 1):
        task = partial(
            emit_candidates,
            threshold=threshold,
            hot=hot if salt < ROUNDS else None,
            width=2 if salt == 1 else 3,
        )
        placed = blocks.repartitionById(shares, "partition").select("entries")
        met = _in_arrow(placed, task, "key long, one long, two long").persist()
        stack.callback(met.unpersist)
        found.append(met.where("key is null").select("one", "two"))
        again = met.where("key is not null")
        kinds = again.groupBy(f.col("key").bitwiseAND(CLASS_MASK)).count().collect()
        if not kinds:
            break
        log(f"{sum(count for _, count in kinds):,} keys of large buckets are dealt out anew")
        keys = sum(int(parts[kind]) * count for kind, count in kinds)
        shares = partition_count(keys, ENTRIES, sets.sparkSession, MOST_PARTITIONS)
        bucket = again.select("key", f.col("one").alias("tag"), f.col("two").alias("size"))
        blocks = _in_arrow(
            bucket.join(sets.select("tag", "text"), "tag"),
            partial(redistribute_entries, threshold=threshold, salt=salt, partitions=shares),
            "partition int, entries binary",
        )
    together = reduce(lambda one, other: one.union(other), found)
    return together.repartition(partitions, "one").dropDuplicates(["one", "two"])


def edge_frame(sets: "DataFrame", candidates: "DataFrame", threshold: Fraction) -> "DataFrame":
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
    return _in_arrow(texts, partial(verify_candidates, threshold=threshold), schema)


def partition_count(total: int, most: int, spark: "SparkSession", limit: int | None = None) -> int:
    """Partitions for `total` at `most` each: at least one for every processor."""
    wanted = max(-(-total // most), spark.sparkContext.defaultParallelism)
    return wanted if limit is None else min(wanted, limit)


def _in_arrow(frame: "DataFrame", task: Callable[[Batches], Batches], schema: str) -> "DataFrame":
    with any_pandas():
        return frame.mapInArrow(task, schema)
