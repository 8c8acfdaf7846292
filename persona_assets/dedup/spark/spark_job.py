"""The lexical join on Spark as a program: from a shell, under Dagster Pipes or by spark-submit.

    python -m persona_assets.dedup.spark.spark_job --master 'local[2]' --output joined *.parquet

The program prints its report as a line of JSON. Under Dagster Pipes it logs to Dagster and sends
the report as a custom message. On a cluster the package must be installed on every machine, and
NUMBA_CACHE_DIR, or ~/.cache, must be writable there.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from persona_assets.dedup.lexical.lexical_join import JACCARD_THRESHOLD, MIN_PARTENUM_THRESHOLD
from persona_assets.dedup.spark.join_report import Log
from persona_assets.dedup.spark.spark_join import check_threshold, spark_join
from persona_assets.dedup.spark.spark_session import spark_session


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the join that the command line describes.

    Args:
        arguments: Command-line arguments; by default those of the process.

    Raises:
        SystemExit: An argument is invalid; the exit code is 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if DAGSTER_PIPES_CONTEXT_ENV_VAR in os.environ:
        with open_dagster_pipes() as pipes:
            pipes.report_custom_message(_run(options, pipes.log.info))
        return
    try:
        report = _run(options, lambda line: print(line, file=sys.stderr))
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    print(json.dumps(report))


def _run(options: argparse.Namespace, log: Log) -> dict[str, object]:
    """Run the join in a Spark session of its own, and return the report."""
    check_threshold(options.threshold)
    spark = spark_session(options.master, dict(options.conf))
    try:
        report = spark_join(
            spark,
            options.files,
            options.output,
            options.threshold,
            options.text,
            options.kept,
            log=log,
        )
    finally:
        spark.stop()
    return asdict(report) | {"shuffle_bytes_per_row": round(report.shuffle_bytes_per_row, 1)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m persona_assets.dedup.spark.spark_job",
        description="Finds near-duplicate texts in Parquet files on Spark.",
        epilog="@FILE stands for the arguments in FILE, one a line.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="Parquet, in order of arrival")
    parser.add_argument("--output", required=True, help="folder for edges and repeats")
    parser.add_argument(
        "--threshold",
        type=_fraction,
        default=JACCARD_THRESHOLD,
        help=f"least Jaccard similarity of two word sets, "
        f"from {MIN_PARTENUM_THRESHOLD} to 1 ({JACCARD_THRESHOLD})",
    )
    parser.add_argument("--text", default="persona", help="column of texts (persona)")
    parser.add_argument("--kept", help="column that is true in rows that take part")
    parser.add_argument("--master", help="such as local[2]; without it, as spark-submit says")
    parser.add_argument(
        "--conf",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting of Spark, such as spark.driver.memory=8g",
    )
    return parser


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError(text) from None


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(text)
    return name, value


if __name__ == "__main__":
    main()
