"""Steps of the join on Spark, from DataFrame to DataFrame: word sets, candidates, edges.

Belongs here: code that the driver runs. Does not belong here: work on rows, which `arrow_tasks.py`
does on the executors. Docstrings name columns as (column, ...).
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
from persona_assets.dedup.spark.spark_session import ignore_pandas_warning

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ROUNDS = 5
"""Maximum number of rounds; each round halves a large bucket or compares all its sets."""

ENTRIES = 1 << 22
"""Keys per partition, which a task holds in memory at 100 bytes each."""

MAX_PARTITIONS = 1 << 16
"""Maximum number of partitions of keys, whose numbers are uint16."""


def word_set_frame(rows: "DataFrame", threshold: Fraction, partitions: int) -> "DataFrame":
    """Compute the word set of each row, and find the first row of each set.

    Args:
        rows: (row, text).
        threshold: Jaccard threshold.
        partitions: Number of partitions of the result.

    Returns:
        (tag, row, first, keys, text), partitioned by tag. `first` is the first row with the same
        word set, and `keys` the number of keys of the set. `text` holds its words in a fixed order;
        it is null in rows other than the first.
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
    """Find the pairs of sets that may be similar.

    Args:
        sets: (tag, text, keys).
        threshold: Jaccard threshold.
        keys: Total number of keys of the sets.
        partitions: Number of partitions of the result.
        hot: Number of sets above which a bucket is split.
        stack: Closing the stack frees the cached DataFrames from which the result is computed.
        log: Receiver of a line per round.

    Returns:
        (tag, other), partitioned by tag: the tags of each pair once, tag <= other as uint64.
    """
    from pyspark.sql import functions as f

    parts = scheme_of(threshold).parts
    key_partitions = partition_count(keys, ENTRIES, sets.sparkSession, MAX_PARTITIONS)
    blocks = _in_arrow(
        sets.select("tag", "text", "keys"),
        partial(emit_keys, threshold=threshold, partitions=key_partitions),
        "partition int, entries binary",
    )
    rounds: list[DataFrame] = []
    for salt in range(1, ROUNDS + 1):
        task = partial(
            emit_candidates,
            threshold=threshold,
            hot=hot if salt < ROUNDS else None,
            width=2 if salt == 1 else 3,
        )
        entries = blocks.repartitionById(key_partitions, "partition").select("entries")
        emitted = _in_arrow(entries, task, "key long, tag long, other long").persist()
        stack.callback(emitted.unpersist)
        rounds.append(emitted.where("key is null").select("tag", "other"))
        to_split = emitted.where("key is not null")
        class_counts = to_split.groupBy(f.col("key").bitwiseAND(CLASS_MASK)).count().collect()
        if not class_counts:
            break
        log(f"{sum(count for _, count in class_counts):,} keys of large buckets are dealt out anew")
        keys = sum(int(parts[size_class]) * count for size_class, count in class_counts)
        key_partitions = partition_count(keys, ENTRIES, sets.sparkSession, MAX_PARTITIONS)
        buckets = to_split.select("key", "tag", f.col("other").alias("size"))
        task = partial(
            redistribute_entries, threshold=threshold, salt=salt, partitions=key_partitions
        )
        texts = buckets.join(sets.select("tag", "text"), "tag")
        blocks = _in_arrow(texts, task, "partition int, entries binary")
    candidates = reduce(lambda left, right: left.union(right), rounds)
    return candidates.repartition(partitions, "tag").dropDuplicates(["tag", "other"])


def edge_frame(sets: "DataFrame", candidates: "DataFrame", threshold: Fraction) -> "DataFrame":
    """Verify the candidates by their words.

    Args:
        sets: (tag, row, text).
        candidates: (tag, other), partitioned by tag.
        threshold: Jaccard threshold.

    Returns:
        (left, right, similarity) of the pairs of rows that reach the threshold.
    """
    from pyspark.sql import functions as f

    def side(tag: str, row: str, text: str) -> "DataFrame":
        names: Iterable[tuple[str, str]] = (("tag", tag), ("row", row), ("text", text))
        columns: list[Column] = [f.col(name).alias(alias) for name, alias in names]
        return sets.select(*columns)

    texts = (
        candidates.join(side("tag", "left", "left_text"), "tag")
        .join(side("other", "right", "right_text"), "other")
        .where("tag != other or left < right")
        .select("left", "right", "left_text", "right_text")
    )
    schema = "left long, right long, similarity double"
    return _in_arrow(texts, partial(verify_candidates, threshold=threshold), schema)


def partition_count(total: int, size: int, spark: "SparkSession", limit: int | None = None) -> int:
    """Return the number of partitions of at most `size` each, at least one per processor."""
    wanted = max(-(-total // size), spark.sparkContext.defaultParallelism)
    return wanted if limit is None else min(wanted, limit)


def _in_arrow(frame: "DataFrame", task: Callable[[Batches], Batches], schema: str) -> "DataFrame":
    with ignore_pandas_warning():
        return frame.mapInArrow(task, schema)
