"""The lexical join on Spark: Parquet files in, Parquet files of pairs and repeats out."""

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
"""Sets in a bucket above which fetching their texts and dealing them out anew costs less than
comparing their bitmaps."""

SHARE = 32 << 20
"""Bytes of Parquet for each partition of texts."""


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
    found = parquet_files(spark, files)
    homes = partition_count(sum(file.size for file in found), SHARE, spark)
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
    steps = StepTimes(spark)
    with ExitStack() as stack:
        with steps.step("sets"):
            rows = word_set_frame(read_rows(session, found, text, kept), threshold, homes).persist()
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
            proposed = candidate_frame(sets, threshold, keys, homes, hot, stack, log).persist()
            stack.callback(proposed.unpersist)
            count = proposed.count()
        log(f"{count:,} pairs may be similar")
        with steps.step("pairs"):
            edge_frame(sets, proposed, threshold).write.mode("overwrite").parquet(f"{folder}/edges")
            pairs = session.read.parquet(f"{folder}/edges").count()
        log(f"{pairs:,} pairs are near-duplicates")
    return JoinReport(
        counted[0], counted[1], keys, count, pairs, steps.shuffle_bytes, steps.seconds
    )


def check_threshold(threshold: Fraction) -> None:
    """Raises TypeError or ValueError for a threshold that the join on Spark does not take."""
    check_join_options(threshold, "exact")
    if threshold < MIN_PARTENUM_THRESHOLD:
        raise ValueError(
            f"on Spark the threshold must be at least {MIN_PARTENUM_THRESHOLD}, not {threshold}: "
            "below it keys tell nothing, and the local engine compares all sets instead"
        )
