"""The lexical join of a project's shards on Spark, launched and followed by Dagster Pipes."""

import sys
import warnings
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from persona_assets.storage.storage import ShardTables

if TYPE_CHECKING:
    from persona_assets.dedup.index.shard_index import JoinedRows

PROGRAM = "persona_assets.dedup.spark.spark_job"


class SparkLauncher:
    """Runs the join on a cluster; `folder`, where it writes, must be storage that all share."""

    def __init__(self, master: str, folder: Path) -> None:
        self._master = master
        self._folder = folder

    def join(
        self, candidates: ShardTables, threshold: Fraction, context: dg.AssetExecutionContext
    ) -> tuple["JoinedRows", Mapping[str, Any]]:
        """The candidates that pass the quality filter, joined, and the program's report."""
        report: Mapping[str, Any] = {}
        if candidates:
            self._folder.mkdir(parents=True, exist_ok=True)
            files = self._folder / "files.txt"
            files.write_text("".join(f"{table.path.resolve()}\n" for table in candidates))
            command = [sys.executable, "-m", PROGRAM, "--master", self._master, "--kept", "kept"]
            command += ["--threshold", str(threshold), "--output", str(self._folder.resolve())]
            with warnings.catch_warnings():
                # Of what Pipes itself uses.
                warnings.simplefilter("ignore", dg.PreviewWarning)
                done = dg.PipesSubprocessClient().run(
                    context=context.op_execution_context, command=[*command, f"@{files.resolve()}"]
                )
            [report] = done.get_custom_messages()
        return self._found(candidates), report

    def _found(self, candidates: ShardTables) -> "JoinedRows":
        import numpy as np

        from persona_assets.dedup.edges import Edges
        from persona_assets.dedup.index.shard_index import JoinedRows
        from persona_assets.dedup.spark.parquet_rows import positions

        taken = [
            table.scan().with_row_index("row").filter("kept").select("row", "persona_id").collect()
            for table in candidates
        ]
        members = [rows["row"].to_numpy().astype(np.int64) for rows in taken]
        ids = pl.concat([pl.Series("persona_id", [], pl.String), *(r["persona_id"] for r in taken)])
        sets = np.arange(len(ids))
        repeats = self._written("repeats", {"row": pl.Int64(), "first": pl.Int64()})
        first = positions(repeats["first"].to_numpy(), members)
        sets[positions(repeats["row"].to_numpy(), members)] = first
        ends = {"left": pl.Int64(), "right": pl.Int64(), "similarity": pl.Float64()}
        pairs = self._written("edges", ends)
        left, right = (positions(pairs[side].to_numpy(), members) for side in ("left", "right"))
        edges = Edges.from_pairs(left, right, pairs["similarity"].to_numpy())
        return JoinedRows(sets, edges, len(ids), np.arange(len(ids)), ids.to_arrow())

    def _written(self, name: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        parts = sorted((self._folder / name).glob("*.parquet"))
        empty = pl.DataFrame(schema=schema)
        return pl.concat([empty, *(pl.read_parquet(part).select(empty.columns) for part in parts)])
