"""Specification of the Spark program: result and report, from a shell and under Dagster Pipes."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import (
    AssetExecutionContext,
    MaterializeResult,
    PipesTempFileContextInjector,
    PipesTempFileMessageReader,
    asset,
    materialize,
    open_pipes_session,
)

from persona_assets.dedup.lexical.lexical_join import lexical_join

pytest.importorskip("pyspark", reason="the extra spark is not installed")

from persona_assets.dedup.spark.spark_job import main
from persona_assets_tests.dedup.spark.joined import assert_equal_joins, read_joined

WORDS = [f"word{i}" for i in range(30)]
TEXTS = [" ".join(WORDS[i % 7 : i % 7 + 12 + i % 5]) for i in range(60)] + [""] * 5
KEPT = np.arange(len(TEXTS)) % 3 != 1
FIRST = 20
"""Number of texts in the first of two shards."""


def write_shards(folder: Path) -> list[str]:
    """Write the shards, and return the command line that joins them."""
    files: list[str] = []
    for i, rows in enumerate((slice(0, FIRST), slice(FIRST, len(TEXTS)))):
        files.append(str(folder / f"shard{i}.parquet"))
        pq.write_table(pa.table({"text": TEXTS[rows], "good": KEPT[rows]}), files[-1])
    output = ["--output", str(folder / "joined"), "--master", "local[1]"]
    return [*files, *output, "--text", "text", "--kept", "good", "--threshold", "0.8"]


def assert_joined(folder: Path, report: dict[str, Any]) -> None:
    rows = np.flatnonzero(KEPT)
    expected = lexical_join([TEXTS[row] for row in rows], Fraction(8, 10))
    members = [rows[rows < FIRST], rows[rows >= FIRST] - FIRST]
    assert_equal_joins(read_joined(folder / "joined", members), expected)
    assert report["rows"] == len(rows)
    assert report["pairs"] == len(expected.edges) > 0
    assert report["shuffle_bytes_per_row"] > 0


def test_job_started_from_a_shell_prints_its_report_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "arguments").write_text("\n".join(write_shards(tmp_path)))
    main([f"@{tmp_path / 'arguments'}", "--conf", "spark.sql.session.timeZone=UTC"])
    printed = capsys.readouterr()
    assert "different word sets" in printed.err
    assert_joined(tmp_path, json.loads(printed.out))


# Dagster's own reader calls a preview feature of Dagster.
@pytest.mark.filterwarnings("ignore:Function `PipesMessageReader.expected_writer_count`")
def test_job_under_dagster_pipes_sends_its_report_as_a_message(tmp_path: Path) -> None:
    """Runs in this process, which has a Java already; `test_deduplicator` starts a subprocess."""
    reports: list[Any] = []

    @asset
    def pairs(context: AssetExecutionContext) -> MaterializeResult[None]:
        with (
            # With the context of the asset itself Dagster warns about its own Pipes session.
            open_pipes_session(
                context.op_execution_context,
                PipesTempFileContextInjector(),
                PipesTempFileMessageReader(),
            ) as session,
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in session.get_bootstrap_env_vars().items():
                patch.setenv(name, value)
            main(write_shards(tmp_path))
        reports.extend(session.get_custom_messages())
        return MaterializeResult(metadata={"rows": reports[0]["rows"]})

    assert materialize([pairs]).success
    assert_joined(tmp_path, *reports)


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        (["--threshold", "1/2"], "at least 3/4, not 1/2"),
        (["--threshold", "1/0"], "invalid _fraction value: '1/0'"),
        (["--threshold", "high"], "'high'"),
        (["--conf", "spark.driver.memory"], "'spark.driver.memory'"),
    ],
)
def test_job_exits_with_2_and_a_message_for_invalid_arguments(
    invalid: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["x.parquet", "--output", "joined", *invalid])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err
