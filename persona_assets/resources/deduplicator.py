"""Near-duplicate joins over all shards of a project, with indexes in `dedup/<stage>`.

The folder `dedup` in the data folder is a cache: if it is deleted, the next run builds it again
from the tables.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg
import polars as pl

from persona_assets.dedup.text.words import VERSION as WORDS_VERSION
from persona_assets.ids import content_id
from persona_assets.local_models.embedder import LocalEmbedder, int8_margin
from persona_assets.resources.spark_launcher import SparkLauncher
from persona_assets.settings import Settings
from persona_assets.steps.hub import zero_unread_vectors
from persona_assets.steps.samples import embedded_text, sample_text
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import ShardTable, ShardTables, Storage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from persona_assets.dedup.index.shard_index import JoinedRows, ShardRows

FORMAT = "3"
"""Version of the column content; part of the fingerprint of each index."""

SAMPLE = 200
"""Word sets or vectors that are compared with all others to measure recall."""

EMPTY = ShardTables()


class TaskSamples(NamedTuple):
    """Samples of a task: its name, its tables in order of arrival, and the fields compared."""

    task: str
    tables: ShardTables
    fields: Sequence[str]


class TaskVectors(NamedTuple):
    """Vectors of a task's samples: its name, two tables per shard in order of arrival, the fields.

    Attributes:
        task: Name of the task.
        embeddings: Tables of the vectors.
        samples: Tables of the samples.
        fields: Fields that are embedded.
    """

    task: str
    embeddings: ShardTables
    samples: ShardTables
    fields: Sequence[str]


class _ShardVectors(NamedTuple):
    """Vectors of a shard.

    Attributes:
        key: Key in the index.
        table: Table of the vectors.
        row_id: Column of its ids.
        texts: Function that returns the `id` and `text` of the rows.
    """

    key: str
    table: ShardTable
    row_id: str
    texts: Callable[[], pl.LazyFrame]

    @property
    def asset(self) -> str:
        """Name of the asset of the vectors."""
        return Footer.read(self.table.path).asset


@dataclass(frozen=True)
class DuplicateJoin:
    """Result of a join.

    Args:
        rows: Joined rows of all shards.
        figures: Figures of the join, for the metadata of the table.
    """

    rows: "JoinedRows"
    figures: dict[str, str | int | float] = field(default_factory=dict)


class Deduplicator:
    """Near-duplicate joins of a project; a shard that was joined before is not read again.

    Args:
        settings: Settings of the project.
        storage: Tables of the project.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._spark = SparkLauncher(settings.spark_master, storage.data_dir / "dedup" / "spark")

    @contextmanager
    def lexical(
        self, candidates: ShardTables, context: dg.AssetExecutionContext
    ) -> Iterator[DuplicateJoin]:
        """Join the candidates that pass the quality filter by their words.

        A context manager: the joined rows are mapped from files, and valid until it exits.

        Args:
            candidates: Tables of persona candidates, in order of arrival.
            context: Context of the asset, in which a join on Spark logs.
        """
        threshold = self._settings.lexical_threshold
        if self._settings.dedup_engine == "spark":
            joined, report = self._spark.join(candidates, threshold, context)
            yield DuplicateJoin(joined, {"engine": "spark", **_figures(joined), **_numbers(report)})
            return
        count = sum(table.rows for table in candidates)
        rows = [_text_rows(table) for table in candidates]
        with self._word_join("lexical", rows, count, threshold) as found:
            yield found

    @contextmanager
    def samples(
        self, group: str, tasks: Sequence[TaskSamples], threshold: Fraction
    ) -> Iterator[DuplicateJoin]:
        """Join the samples of tasks by their words; always with the engine of this machine.

        A context manager: the joined rows are mapped from files, and valid until it exits.

        Args:
            group: Name of the index.
            tasks: Samples by task. Rows are in order of arrival; within a shard, a task earlier in
                this sequence comes first.
            threshold: Jaccard similarity from which two samples are duplicates.
        """
        tables = [task.tables for task in tasks]
        count = sum(table.rows for shards in tables for table in shards)
        rows = [
            _sample_rows(task, table)
            for shard in zip(*tables, strict=True)
            for task, table in zip(tasks, shard, strict=True)
        ]
        fields = (f"{task.task}:{name}" for task in tasks for name in task.fields)
        with self._word_join(f"samples/{group}", rows, count, threshold, *fields) as joined:
            yield joined

    @contextmanager
    def _word_join(
        self, folder: str, rows: "Sequence[ShardRows]", count: int, threshold: Fraction, *more: str
    ) -> Iterator[DuplicateJoin]:
        """Join texts by their words.

        Args:
            folder: Folder of the index below `dedup`.
            rows: Rows of all shards.
            count: Their number.
            threshold: Jaccard threshold.
            more: Further parts of the fingerprint.
        """
        from persona_assets.dedup.index.column_store import ColumnStore
        from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex
        from persona_assets.dedup.index.word_set_index import WordSetIndex
        from persona_assets.dedup.lexical.lexical_join import method_for

        setting = self._settings.lexical_method
        method = method_for(count, threshold) if setting == "auto" else setting
        shapes = {**SHAPES, **WordSetIndex.SHAPES}
        path = self._storage.data_dir / "dedup" / folder
        fingerprint = content_id(FORMAT, WORDS_VERSION, str(threshold), method, *more)
        with ColumnStore(path, shapes, fingerprint) as columns:
            sets = WordSetIndex(columns, threshold, method, self.threads)
            joined = ShardIndex(columns, sets).update(rows)
            figures = {"method": method, **_figures(joined)}
            if method == "minhash" and joined.added:
                figures |= _recall(*sets.sampled_recall(SAMPLE))
            yield DuplicateJoin(joined, figures)

    @contextmanager
    def semantic(
        self, embeddings: ShardTables, survivors: ShardTables = EMPTY
    ) -> Iterator[DuplicateJoin]:
        """Join the survivors of the lexical stage by their vectors.

        A context manager: the joined rows are mapped from files, and valid until it exits.

        Args:
            embeddings: Tables of embeddings, in order of arrival.
            survivors: Tables of lexical survivors, from which the texts of rechecked pairs are
                read; required for int8 embeddings.
        """
        personas = {table.shard: table for table in survivors}
        shards = [
            _ShardVectors(
                table.shard,
                table,
                "persona_id",
                partial(_texts, personas.get(table.shard), "persona_id", pl.col("persona")),
            )
            for table in embeddings
        ]
        with self._vector_join("semantic", shards, self._settings.semantic_threshold) as found:
            yield found

    @contextmanager
    def similar_samples(
        self, group: str, tasks: Sequence[TaskVectors], threshold: float
    ) -> Iterator[DuplicateJoin]:
        """Join the samples of tasks by their vectors.

        A context manager: the joined rows are mapped from files, and valid until it exits.

        Args:
            group: Name of the index.
            tasks: Vectors by task, in the order of `samples`.
            threshold: Cosine above which two samples are duplicates.
        """
        most_bytes = self._settings.embedding_bytes
        by_task = [
            [
                _ShardVectors(
                    f"{task.task}/{table.shard}",
                    table,
                    "sample_id",
                    partial(_texts, samples, "sample_id", embedded_text(task.fields, most_bytes)),
                )
                for table, samples in zip(task.embeddings, task.samples, strict=True)
            ]
            for task in tasks
        ]
        shards = [each for shard in zip(*by_task, strict=True) for each in shard]
        # What is embedded decides the fp32 vectors in the index.
        fields = (f"{task.task}:{name}" for task in tasks for name in task.fields)
        embedded = (*fields, str(most_bytes))
        with self._vector_join(f"similar/{group}", shards, threshold, *embedded) as found:
            yield found

    @contextmanager
    def _vector_join(
        self, folder: str, shards: Sequence[_ShardVectors], threshold: float, *more: str
    ) -> Iterator[DuplicateJoin]:
        """Join rows by their vectors.

        With int8 embeddings, pairs near the threshold are rechecked with fp32 vectors of their
        texts.

        Args:
            folder: Folder of the index below `dedup`.
            shards: Vectors of all shards.
            threshold: Cosine threshold.
            more: Further parts of the fingerprint.
        """
        from persona_assets.dedup.index.column_store import ColumnStore
        from persona_assets.dedup.index.recheck import Recheck
        from persona_assets.dedup.index.shard_index import SHAPES, ShardIndex
        from persona_assets.dedup.index.vector_index import VectorIndex
        from persona_assets.dedup.semantic.sign_sketches import choose_parameters

        dimensions = _dimensions([each.table for each in shards])
        rows = sum(each.table.rows for each in shards)
        precision = self._settings.embedding_precision
        margin = int8_margin(threshold) if precision == "int8" else 0.0
        parameters = choose_parameters(rows, threshold - margin, dimensions)
        fingerprint = content_id(FORMAT, repr(parameters), precision, *more)
        shapes = {**SHAPES, **VectorIndex.shapes(dimensions), **Recheck.shapes(dimensions)}
        path = self._storage.data_dir / "dedup" / folder
        with ColumnStore(path, shapes, fingerprint) as columns:
            vectors = VectorIndex(columns, parameters, self.threads)
            joined = ShardIndex(columns, vectors).update(
                [_vector_rows(each, threshold) for each in shards]
            )
            sampled = parameters.tables and joined.added
            recall = _recall(*vectors.sampled_recall(SAMPLE)) if sampled else {}
            checks: dict[str, str | int | float] = {}
            if precision == "int8":
                fp32_embedder = LocalEmbedder(self._settings.embedder.model)
                texts = _text_reader(joined, shards)
                recheck = Recheck(columns, fp32_embedder.embed)
                rechecked = recheck.decide(joined, threshold, margin, texts)
                joined = rechecked.joined
                checks = {
                    "pairs_checked_anew": rechecked.checked,
                    "pairs_fallen": rechecked.rejected,
                    "texts_embedded_anew": rechecked.embedded,
                }
            yield DuplicateJoin(joined, {**_figures(joined), **checks, **recall})

    def forget(self) -> None:
        """Remove all indexes, with what they hold of rows that left their tables."""
        shutil.rmtree(self._storage.data_dir / "dedup", ignore_errors=True)

    @property
    def threads(self) -> int:
        """Number of threads of a join: the setting, or by default the number of processors."""
        return self._settings.dedup_threads or os.cpu_count() or 1


def _text_rows(table: ShardTable) -> "ShardRows":
    """Return the texts of a shard that pass the quality filter."""
    from persona_assets.dedup.index.shard_index import ShardRows

    def read() -> pl.DataFrame:
        rows = table.scan().filter("kept").select(id="persona_id", value="persona")
        return rows.collect()

    return ShardRows(table.shard, table.data_version, read)


def _sample_rows(task: TaskSamples, table: ShardTable) -> "ShardRows":
    """Return the samples of a shard; no two shards of all tasks have the same key."""
    from persona_assets.dedup.index.shard_index import ShardRows

    def read() -> pl.DataFrame:
        rows = table.scan().select(id="sample_id", value=sample_text(task.fields))
        return rows.collect()

    return ShardRows(f"{task.task}/{table.shard}", table.data_version, read)


def _texts(table: ShardTable | None, row_id: str, text: pl.Expr) -> pl.LazyFrame:
    """Return id and text of the rows of a table; none without a table."""
    if table is None:
        return pl.LazyFrame(schema={"id": pl.String, "text": pl.String})
    return table.scan().select(id=row_id, text=text)


def _text_reader(
    joined: "JoinedRows", shards: Sequence[_ShardVectors]
) -> "Callable[[npt.NDArray[np.int64]], Sequence[str]]":
    """Return a function that reads the texts of given rows from the shards of these rows only."""
    import numpy as np

    ends = np.cumsum([each.table.rows for each in shards])

    def read(rows: "npt.NDArray[np.int64]") -> Sequence[str]:
        ids, shard_numbers = joined.ids(rows), np.searchsorted(ends, rows, side="right")
        texts: dict[str, str] = {}
        for number in np.unique(shard_numbers).tolist():
            requested = pl.col("id").is_in(ids.filter(shard_numbers == number).implode())
            texts.update(shards[number].texts().filter(requested).collect().iter_rows())
        if missing := [row_id for row_id in ids if row_id not in texts]:
            raise ValueError(
                f"{len(missing)} rows have a vector and no text, {missing[0]} among them: "
                f"materialize {shards[0].asset} of all shards again"
            )
        return [texts[row_id] for row_id in ids]

    return read


def _vector_rows(vectors: _ShardVectors, threshold: float) -> "ShardRows":
    """Return the vectors of a shard, with zeros for texts that the model cannot read."""
    from persona_assets.dedup.index.shard_index import ShardRows

    def read() -> pl.DataFrame:
        rows = zero_unread_vectors(vectors.table.scan(), threshold)
        return rows.select(id=vectors.row_id, value="vector").collect()

    return ShardRows(vectors.key, vectors.table.data_version, read)


def _dimensions(tables: Sequence[ShardTable]) -> int:
    """Return the dimensions of the vectors of the first table with rows; 1 without rows."""
    for table in tables:
        if table.rows:
            return int(table.scan().head(1).select(pl.col("vector").list.len()).collect().item())
    return 1


def _figures(joined: "JoinedRows") -> dict[str, str | int | float]:
    return {
        "rows": len(joined.sets),
        "rows_joined": joined.added,
        "similar_pairs": len(joined.edges),
    }


def _numbers(report: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Return the entries of a report that are plain numbers."""
    return {name: value for name, value in report.items() if isinstance(value, int | float)}


def _recall(found: int, true: int) -> dict[str, str | int | float]:
    figures: dict[str, str | int | float] = {"sampled_pairs": true}
    return figures | ({"sampled_recall": found / true} if true else {})
