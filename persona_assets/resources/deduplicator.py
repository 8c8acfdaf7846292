"""The joins over all shards, and where what they remember lies: `dedup/<stage>` in the data folder.

It is a cache: taken away, it is made again from the tables by the next run.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from persona_assets.dedup.words import VERSION as WORDS_VERSION
from persona_assets.ids import content_id
from persona_assets.resources.spark_join import SparkJoin
from persona_assets.resources.storage import ShardTable, ShardTables, Storage
from persona_assets.settings import Settings

if TYPE_CHECKING:
    from persona_assets.dedup.index import Found, Shard

FORMAT = "1"
"""Changes with what the columns hold."""

SAMPLE = 200
"""Word sets or vectors that are compared with all others to estimate the recall."""


@dataclass(frozen=True)
class Joined:
    """What a join found, and figures about it for the table's metadata."""

    found: "Found"
    figures: dict[str, str | int | float] = field(default_factory=dict)


class Deduplicator:
    """Joins the shards of one project; a shard that was joined before is not read again."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._spark = SparkJoin(settings.spark_master, storage.data_dir / "dedup" / "spark")

    @contextmanager
    def lexical(
        self, candidates: ShardTables, context: dg.AssetExecutionContext
    ) -> Iterator[Joined]:
        """The candidates that pass the quality filter, joined by their words."""
        from persona_assets.dedup.columns import Columns
        from persona_assets.dedup.index import SHAPES, Index
        from persona_assets.dedup.lexical import method_for
        from persona_assets.dedup.word_sets import WordSets

        threshold = self._settings.lexical_threshold
        if self._settings.dedup_engine == "spark":
            found, report = self._spark.join(candidates, threshold, context)
            yield Joined(found, {"engine": "spark", **_figures(found), **_numbers(report)})
            return
        rows = sum(table.rows for table in candidates)
        chosen = self._settings.lexical_method
        method = method_for(rows, threshold) if chosen == "auto" else chosen
        shapes = {**SHAPES, **WordSets.SHAPES}
        folder = self._storage.data_dir / "dedup" / "lexical"
        decided = content_id(FORMAT, WORDS_VERSION, str(threshold), method)
        with Columns(folder, shapes, decided) as columns:
            sets = WordSets(columns, threshold, method, self.threads)
            found = Index(columns, sets).update([_texts(table) for table in candidates])
            figures = {"method": method, **_figures(found)}
            if method == "minhash" and found.added:
                figures |= _recall(*sets.sampled_recall(SAMPLE))
            yield Joined(found, figures)

    @contextmanager
    def semantic(self, embeddings: ShardTables) -> Iterator[Joined]:
        """The survivors of the lexical stage, joined by their vectors."""
        from persona_assets.dedup.columns import Columns
        from persona_assets.dedup.cosine import Vectors
        from persona_assets.dedup.index import SHAPES, Index
        from persona_assets.dedup.signs import parameters

        dimensions = _dimensions(embeddings)
        rows = sum(table.rows for table in embeddings)
        chosen = parameters(rows, self._settings.semantic_threshold, dimensions)
        decided = content_id(FORMAT, repr(chosen))
        shapes = {**SHAPES, **Vectors.shapes(dimensions)}
        folder = self._storage.data_dir / "dedup" / "semantic"
        with Columns(folder, shapes, decided) as columns:
            vectors = Vectors(columns, chosen, self.threads)
            found = Index(columns, vectors).update(
                [_vectors(table, dimensions) for table in embeddings]
            )
            figures = _figures(found)
            if chosen.tables and found.added:
                figures |= _recall(*vectors.sampled_recall(SAMPLE))
            yield Joined(found, figures)

    @property
    def threads(self) -> int:
        """Threads of a join: the setting, or as many as there are processors."""
        return self._settings.dedup_threads or os.cpu_count() or 1


def _texts(table: ShardTable) -> "Shard":
    from persona_assets.dedup.index import Shard

    def read() -> pl.DataFrame:
        rows = table.scan().filter("kept").select(id="persona_id", value="persona")
        return rows.collect()

    return Shard(table.shard, table.data_version, read)


def _vectors(table: ShardTable, dimensions: int) -> "Shard":
    from persona_assets.dedup.index import Shard

    def read() -> pl.DataFrame:
        rows = table.scan().select(id="persona_id", value="vector").collect()
        other = rows["value"].list.len().filter(rows["value"].list.len() != dimensions)
        if len(other):
            raise ValueError(
                f"vectors have {dimensions} and {other[0]} dimensions: materialize "
                "persona_embeddings of all shards with one model"
            )
        return rows

    return Shard(table.shard, table.data_version, read)


def _dimensions(tables: ShardTables) -> int:
    """Of the vectors in the first table that has any; 1 where none has."""
    for table in tables:
        if table.rows:
            return int(table.scan().head(1).select(pl.col("vector").list.len()).collect().item())
    return 1


def _figures(found: "Found") -> dict[str, str | int | float]:
    return {"rows": len(found.sets), "rows_joined": found.added, "similar_pairs": len(found.edges)}


def _numbers(report: Mapping[str, Any]) -> dict[str, str | int | float]:
    return {name: value for name, value in report.items() if isinstance(value, int | float)}


def _recall(found: int, true: int) -> dict[str, str | int | float]:
    sampled: dict[str, str | int | float] = {"sampled_pairs": true}
    return sampled | ({"sampled_recall": found / true} if true else {})
