"""The lexical join on Spark, from Parquet files of texts to Parquet files of pairs and repeats."""

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING

from persona_assets.dedup.lexical.lexical_join import (
    JACCARD_THRESHOLD,
    MIN_PARTENUM_THRESHOLD,
    check_join_options,
)
from persona_assets.dedup.spark.dataframes import (
    candidate_frame,
    edge_frame,
    partition_count,
    word_set_frame,
)
from persona_assets.dedup.spark.join_report import JoinReport, Log, StepTimes
from persona_assets.dedup.spark.parquet_rows import parquet_files, read_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HOT = 1 << 12
"""Number of sets in a bucket above which fetching their texts and splitting the bucket costs less
than comparing their bitmaps."""

SHARE = 32 << 20
"""Bytes of Parquet per partition of texts."""


def spark_join(
    spark: "SparkSession",
    files: Sequence[str],
    output: str,
    threshold: Fraction = JACCARD_THRESHOLD,
    text: str = "persona",
    kept: str | None = None,
    hot: int = HOT,
    log: Log = lambda line: None,
) -> JoinReport:
    """Find the near-duplicates among the texts of Parquet files, and write them as Parquet.

    Row i of file f has the number f << 32 | i. Two folders are written below `output`, replacing
    older ones:

    - `edges` (left, right, similarity): pairs of first rows of different word sets, left < right,
      each pair once.
    - `repeats` (row, first): rows whose word set occurred in an earlier row.

    Args:
        spark: Spark session.
        files: Parquet files in order of arrival.
        output: Folder for the result.
        threshold: Jaccard threshold, at least `MIN_PARTENUM_THRESHOLD`.
        text: Column of texts.
        kept: Boolean column that is true in rows that take part; other rows still count for i. By
            default all rows take part.
        hot: Number of sets above which a bucket is split.
        log: Receiver of progress lines.

    Raises:
        TypeError: `threshold` is not a Fraction.
        ValueError: `threshold` is out of range, no file is given, one is given twice, or a column
            is missing or of the wrong type.
        FileNotFoundError: A file does not exist.
    """
    from pyspark.sql import functions as f

    check_threshold(threshold)
    sources = parquet_files(spark, files)
    partitions = partition_count(sum(file.size for file in sources), SHARE, spark)
    session = spark.newSession()
    for name, value in {
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.shuffle.partitions": str(partitions),
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        # Cached texts stay partitioned by tag, so that no join shuffles them.
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(1 << 16),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(1 << 26),
    }.items():
        session.conf.set(name, value)
    folder = output.rstrip("/")
    steps = StepTimes(spark)
    with ExitStack() as stack:
        with steps.step("sets"):
            texts = read_rows(session, sources, text, kept)
            rows = word_set_frame(texts, threshold, partitions).persist()
            stack.callback(rows.unpersist)
            is_first = f.col("row") == f.col("first")
            row_count, set_count, key_sum = rows.agg(
                f.count("row"), f.count("text"), f.sum(f.when(is_first, f.col("keys")))
            ).collect()[0]
            repeats = rows.where(~is_first).select("row", "first")
            repeats.write.mode("overwrite").parquet(f"{folder}/repeats")
        keys = key_sum or 0
        log(f"{row_count:,} rows have {set_count:,} different word sets and {keys:,} keys")
        sets = rows.where(is_first).select("tag", "row", "text", "keys")
        with steps.step("keys"):
            candidates = candidate_frame(
                sets, threshold, keys, partitions, hot, stack, log
            ).persist()
            stack.callback(candidates.unpersist)
            candidate_count = candidates.count()
        log(f"{candidate_count:,} pairs may be similar")
        with steps.step("pairs"):
            edges = edge_frame(sets, candidates, threshold)
            edges.write.mode("overwrite").parquet(f"{folder}/edges")
            pairs = session.read.parquet(f"{folder}/edges").count()
        log(f"{pairs:,} pairs are near-duplicates")
    return JoinReport(
        row_count, set_count, keys, candidate_count, pairs, steps.shuffle_bytes, steps.seconds
    )


def check_threshold(threshold: Fraction) -> None:
    """Reject a threshold that the join on Spark does not support.

    Raises:
        TypeError: `threshold` is not a Fraction.
        ValueError: `threshold` is not between `MIN_PARTENUM_THRESHOLD` and 1.
    """
    check_join_options(threshold, "exact")
    if threshold < MIN_PARTENUM_THRESHOLD:
        raise ValueError(
            f"on Spark the threshold must be at least {MIN_PARTENUM_THRESHOLD}, not {threshold}: "
            "below it keys tell nothing, and the local engine compares all sets instead"
        )
