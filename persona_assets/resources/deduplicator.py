"""The joins over all shards, and where what they remember lies: `dedup/<stage>` in the data folder.

It is a cache: taken away, it is made again from the tables by the next run.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from persona_assets.dedup.text.words import VERSION as WORDS_VERSION
from persona_assets.ids import content_id
from persona_assets.local_models.embedder import LocalEmbedder, int8_margin
from persona_assets.resources.spark_launcher import SparkLauncher
from persona_assets.settings import Settings
from persona_assets.steps.hub import zero_unread_vectors
from persona_assets.storage.storage import ShardTable, ShardTables, Storage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from persona_assets.dedup.index.shard_index import JoinedRows, ShardRows

FORMAT = "3"
"""Changes with what the columns hold."""

SAMPLE = 200
"""Word sets or vectors that are compared with all others to estimate the recall."""

EMPTY = ShardTables()


@dataclass(frozen=True)
class DuplicateJoin:
    """What a join found, and figures about it for the table's metadata."""

    found: "JoinedRows"
    figures: dict[str, str | int | float] = field(default_factory=dict)


class Deduplicator:
    """Joins the shards of one project; a shard that was joined before is not read again."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._spark = SparkLauncher(settings.spark_master, storage.data_dir / "dedup" / "spark")

    @contextmanager
    def lexical(
        self, candidates: ShardTables, context: dg.AssetExecutionContext
    ) -> Iterator[DuplicateJoin]:
        """The candidates that pass the quality filter, joined by their words."""
        from persona_assets.dedup.index.column_store import ColumnStore
        from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex
        from persona_assets.dedup.index.word_set_index import WordSetIndex
        from persona_assets.dedup.lexical.lexical_join import method_for

        threshold = self._settings.lexical_threshold
        if self._settings.dedup_engine == "spark":
            found, report = self._spark.join(candidates, threshold, context)
            yield DuplicateJoin(found, {"engine": "spark", **_figures(found), **_numbers(report)})
            return
        rows = sum(table.rows for table in candidates)
        chosen = self._settings.lexical_method
        method = method_for(rows, threshold) if chosen == "auto" else chosen
        shapes = {**SHAPES, **WordSetIndex.SHAPES}
        folder = self._storage.data_dir / "dedup" / "lexical"
        decided = content_id(FORMAT, WORDS_VERSION, str(threshold), method)
        with ColumnStore(folder, shapes, decided) as columns:
            sets = WordSetIndex(columns, threshold, method, self.threads)
            found = ShardIndex(columns, sets).update([_texts(table) for table in candidates])
            figures = {"method": method, **_figures(found)}
            if method == "minhash" and found.added:
                figures |= _recall(*sets.sampled_recall(SAMPLE))
            yield DuplicateJoin(found, figures)

    @contextmanager
    def semantic(
        self, embeddings: ShardTables, survivors: ShardTables = EMPTY
    ) -> Iterator[DuplicateJoin]:
        """The survivors of the lexical stage, joined by their vectors.

        Pairs of int8 vectors near the threshold are decided anew by fp32 vectors of their texts,
        which are read from `survivors`, the tables that the embeddings were made from.
        """
        from persona_assets.dedup.index.column_store import ColumnStore
        from persona_assets.dedup.index.recheck import Recheck
        from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex
        from persona_assets.dedup.index.vector_index import VectorIndex
        from persona_assets.dedup.semantic.sign_sketches import choose_parameters

        dimensions = _dimensions(embeddings)
        rows = sum(table.rows for table in embeddings)
        threshold, precision = self._settings.semantic_threshold, self._settings.embedding_precision
        margin = int8_margin(threshold) if precision == "int8" else 0.0
        chosen = choose_parameters(rows, threshold - margin, dimensions)
        decided = content_id(FORMAT, repr(chosen), precision)
        shapes = {**SHAPES, **VectorIndex.shapes(dimensions), **Recheck.shapes(dimensions)}
        folder = self._storage.data_dir / "dedup" / "semantic"
        with ColumnStore(folder, shapes, decided) as columns:
            vectors = VectorIndex(columns, chosen, self.threads)
            found = ShardIndex(columns, vectors).update(
                [_vectors(table, threshold) for table in embeddings]
            )
            sampled = chosen.tables and found.added
            recall = _recall(*vectors.sampled_recall(SAMPLE)) if sampled else {}
            checks: dict[str, str | int | float] = {}
            if precision == "int8":
                exact = LocalEmbedder(self._settings.embedder.model)
                texts = _texts_of(found, embeddings, survivors)
                anew = Recheck(columns, exact.embed).decide(found, threshold, margin, texts)
                found = anew.found
                checks = {
                    "pairs_checked_anew": anew.checked,
                    "pairs_fallen": anew.fell,
                    "texts_embedded_anew": anew.embedded,
                }
            yield DuplicateJoin(found, {**_figures(found), **checks, **recall})

    @property
    def threads(self) -> int:
        """Threads of a join: the setting, or as many as there are processors."""
        return self._settings.dedup_threads or os.cpu_count() or 1


def _texts(table: ShardTable) -> "ShardRows":
    from persona_assets.dedup.index.shard_index import ShardRows

    def read() -> pl.DataFrame:
        rows = table.scan().filter("kept").select(id="persona_id", value="persona")
        return rows.collect()

    return ShardRows(table.shard, table.data_version, read)


def _texts_of(
    found: "JoinedRows", embeddings: ShardTables, survivors: ShardTables
) -> "Callable[[npt.NDArray[np.int64]], Sequence[str]]":
    """Reads the texts of rows that were found, of their shards alone."""
    import numpy as np

    ends = np.cumsum([table.rows for table in embeddings])
    tables = {table.shard: table for table in survivors}

    def read(rows: "npt.NDArray[np.int64]") -> Sequence[str]:
        ids, at = found.ids(rows), np.searchsorted(ends, rows, side="right")
        texts: dict[str, str] = {}
        for place in np.unique(at).tolist():
            shard = embeddings[place].shard
            wanted = pl.col("persona_id").is_in(ids.filter(at == place).implode())
            personas = tables[shard].scan().filter(wanted).select("persona_id", "persona")
            texts.update(personas.collect().iter_rows())
        if lost := [row_id for row_id in ids if row_id not in texts]:
            raise ValueError(
                f"{len(lost)} personas have a vector and no text in lexical_survivors, {lost[0]} "
                "among them: materialize persona_embeddings of all shards again"
            )
        return [texts[row_id] for row_id in ids]

    return read


def _vectors(table: ShardTable, threshold: float) -> "ShardRows":
    from persona_assets.dedup.index.shard_index import ShardRows

    def read() -> pl.DataFrame:
        rows = zero_unread_vectors(table.scan(), threshold).select(id="persona_id", value="vector")
        return rows.collect()

    return ShardRows(table.shard, table.data_version, read)


def _dimensions(tables: ShardTables) -> int:
    """Of the vectors in the first table that has any; 1 where none has."""
    for table in tables:
        if table.rows:
            return int(table.scan().head(1).select(pl.col("vector").list.len()).collect().item())
    return 1


def _figures(found: "JoinedRows") -> dict[str, str | int | float]:
    return {"rows": len(found.sets), "rows_joined": found.added, "similar_pairs": len(found.edges)}


def _numbers(report: Mapping[str, Any]) -> dict[str, str | int | float]:
    return {name: value for name, value in report.items() if isinstance(value, int | float)}


def _recall(found: int, true: int) -> dict[str, str | int | float]:
    sampled: dict[str, str | int | float] = {"sampled_pairs": true}
    return sampled | ({"sampled_recall": found / true} if true else {})
