import json
import sys
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
    PipesSubprocessClient,
    asset,
    materialize,
)

from persona_assets.dedup.lexical import lexical_join

pytest.importorskip("pyspark", reason="the extra spark is not installed")

from persona_assets.dedup.spark_job import main

WORDS = [f"word{i}" for i in range(30)]
TEXTS = [" ".join(WORDS[i % 7 : i % 7 + 12 + i % 5]) for i in range(60)] + [""] * 5
PROGRAM = [sys.executable, "-m", "persona_assets.dedup.spark_job"]


def arguments(folder: Path) -> list[str]:
    kept = np.arange(len(TEXTS)) % 3 != 1
    files: list[str] = []
    for i, rows in enumerate((slice(0, 20), slice(20, len(TEXTS)))):
        files.append(str(folder / f"shard{i}.parquet"))
        pq.write_table(pa.table({"text": TEXTS[rows], "good": kept[rows]}), files[-1])
    output = ["--output", str(folder / "joined"), "--master", "local[1]"]
    return [*files, *output, "--text", "text", "--kept", "good", "--threshold", "0.8"]


def assert_joined(folder: Path, report: dict[str, Any]) -> None:
    rows = [i for i in range(len(TEXTS)) if i % 3 != 1]
    expected = lexical_join([TEXTS[i] for i in rows], Fraction(8, 10))
    number = [i if i < 20 else 1 << 32 | (i - 20) for i in rows]
    pairs = zip(expected.edges.left, expected.edges.right, strict=True)
    edges = pq.read_table(folder / "joined" / "edges")
    found = set(zip(edges["left"].to_pylist(), edges["right"].to_pylist(), strict=True))
    assert found == {(number[i], number[j]) for i, j in pairs}
    assert found
    repeats = pq.read_table(folder / "joined" / "repeats")
    assert set(zip(repeats["row"].to_pylist(), repeats["first"].to_pylist(), strict=True)) == {
        (number[i], number[first]) for i, first in enumerate(expected.sets) if first != i
    }
    assert report["rows"] == len(rows)
    assert report["pairs"] == len(found)
    assert report["shuffle_bytes_per_row"] > 0


def test_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "arguments").write_text("\n".join(arguments(tmp_path)))
    main([f"@{tmp_path / 'arguments'}", "--conf", "spark.sql.session.timeZone=UTC"])
    printed = capsys.readouterr()
    assert "different word sets" in printed.err
    assert_joined(tmp_path, json.loads(printed.out))


# Dagster's own client calls what Dagster says is in preview.
@pytest.mark.filterwarnings("ignore:Function `PipesMessageReader.expected_writer_count`")
def test_under_dagster_pipes(tmp_path: Path) -> None:
    reports: list[Any] = []

    @asset
    def joined(context: AssetExecutionContext) -> MaterializeResult[None]:
        client = PipesSubprocessClient()
        # The context of the asset itself makes Dagster warn of what its own client does.
        invocation = client.run(
            context=context.op_execution_context, command=[*PROGRAM, *arguments(tmp_path)]
        )
        reports.extend(invocation.get_custom_messages())
        return MaterializeResult(metadata={"rows": reports[0]["rows"]})

    assert materialize([joined]).success
    assert_joined(tmp_path, *reports)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--threshold", "1/2"], "at least 3/4, not 1/2"),
        (["--threshold", "1/0"], "invalid _fraction value: '1/0'"),
        (["--threshold", "high"], "'high'"),
        (["--conf", "spark.driver.memory"], "'spark.driver.memory'"),
    ],
)
def test_wrong_arguments(
    wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["x.parquet", "--output", "joined", *wrong])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
