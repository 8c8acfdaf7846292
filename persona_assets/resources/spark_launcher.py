"""Launcher of the lexical join on Spark, as a subprocess under Dagster Pipes."""

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
"""Module that runs the join."""


class SparkLauncher:
    """Launcher of the lexical join on a Spark cluster.

    Args:
        master: URL of the cluster, or "local[n]".
        folder: Folder for the result, on storage that all machines share.
    """

    def __init__(self, master: str, folder: Path) -> None:
        self._master = master
        self._folder = folder

    def join(
        self, candidates: ShardTables, threshold: Fraction, context: dg.AssetExecutionContext
    ) -> tuple["JoinedRows", Mapping[str, Any]]:
        """Join the candidates that pass the quality filter.

        Args:
            candidates: Tables of persona candidates, in order of arrival.
            threshold: Jaccard threshold.
            context: Context of the asset, in which the program logs.

        Returns:
            Joined rows, and the report of the program; an empty report without candidates.
        """
        report: Mapping[str, Any] = {}
        if candidates:
            self._folder.mkdir(parents=True, exist_ok=True)
            files = self._folder / "files.txt"
            files.write_text("".join(f"{table.path.resolve()}\n" for table in candidates))
            command = [sys.executable, "-m", PROGRAM, "--master", self._master, "--kept", "kept"]
            command += ["--threshold", str(threshold), "--output", str(self._folder.resolve())]
            with warnings.catch_warnings():
                # Pipes itself uses preview features of Dagster.
                warnings.simplefilter("ignore", dg.PreviewWarning)
                invocation = dg.PipesSubprocessClient().run(
                    context=context.op_execution_context, command=[*command, f"@{files.resolve()}"]
                )
            [report] = invocation.get_custom_messages()
        return self._read_result(candidates), report

    def _read_result(self, candidates: ShardTables) -> "JoinedRows":
        """Read the edges and repeats that the program wrote."""
        import numpy as np

        from persona_assets.dedup.edges import Edges
        from persona_assets.dedup.index.shard_index import JoinedRows
        from persona_assets.dedup.spark.parquet_rows import positions

        tables = [
            table.scan().with_row_index("row").filter("kept").select("row", "persona_id").collect()
            for table in candidates
        ]
        members = [rows["row"].to_numpy().astype(np.int64) for rows in tables]
        ids = pl.concat(
            [pl.Series("persona_id", [], pl.String), *(t["persona_id"] for t in tables)]
        )
        sets = np.arange(len(ids))
        repeats = self._read_folder("repeats", {"row": pl.Int64(), "first": pl.Int64()})
        first = positions(repeats["first"].to_numpy(), members)
        sets[positions(repeats["row"].to_numpy(), members)] = first
        schema = {"left": pl.Int64(), "right": pl.Int64(), "similarity": pl.Float64()}
        pairs = self._read_folder("edges", schema)
        left, right = (positions(pairs[side].to_numpy(), members) for side in ("left", "right"))
        edges = Edges.from_pairs(left, right, pairs["similarity"].to_numpy())
        return JoinedRows(sets, edges, len(ids), np.arange(len(ids)), ids.to_arrow())

    def _read_folder(self, name: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Read the Parquet parts of a folder of the result; an empty table if it has none."""
        parts = sorted((self._folder / name).glob("*.parquet"))
        empty = pl.DataFrame(schema=schema)
        return pl.concat([empty, *(pl.read_parquet(part).select(empty.columns) for part in parts)])
