"""The pilot: finished tables as a sample of the calls still to come. Makes no call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.assets.call_bounds import CallBounds, QuestionCounts
from persona_assets.assets.personas import HOPS
from persona_assets.assets.table_asset import TableAsset
from persona_assets.generation.journal.call_record import FINAL
from persona_assets.generation.parsing.finish_reasons import FAILED
from persona_assets.orchestration.staleness import Graph
from persona_assets.partitions import shards
from persona_assets.planning.model_asset import ModelAsset, is_sharded
from persona_assets.project import Project
from persona_assets.resources.call_records import RECORD_SCHEMA
from persona_assets.storage.footer import Footer
from persona_assets.storage.shard_keys import is_ready

if TYPE_CHECKING:
    from persona_assets.planning.estimate import Array

CANDIDATES = "persona_candidates"
MADE_FROM_TEXTS = ("text_personas", *HOPS)
"""Assets that ask nothing about ready personas."""

MIN_SHARD_UNITS = 8
"""Fewest shards that serve as the units of a sample. Fewer shards hold little information about the
differences between shards: their texts are the units then, and these differences are left out.
"""

MAX_TABLES = 64
"""Most tables per asset that are read as its pilot."""


class Pilot:
    """Finished tables of a project, by model asset.

    Args:
        project: Storage and settings.
        graph: Assets and their partitions.
        assets: Declarations of all assets, by name.

    Attributes:
        texts: Function from a shard to the ids in its `raw_corpus`.
        records: Function from a model asset and a partition to the calls that form its pilot.
        partitions: Function from a model asset to the partitions that form its pilot.
        texts_at_limit: Function from a model asset to the number of texts at which a shard reaches
            the limit on its calls.
        personas_per_text: Function that returns the number of personas made of a text, up to the
            last hop; 1 if no shard has them yet.
    """

    def __init__(self, project: Project, graph: Graph, assets: Mapping[str, TableAsset]) -> None:
        self._storage = project.storage
        self._tables = {name: asset.table for name, asset in assets.items()}
        self._graph = graph
        self._limits = CallBounds(project, assets, 1, once=True).all_calls()
        self._questions = cache(QuestionCounts(project, assets).of)
        self.texts = cache(self._texts)
        self.records = cache(self._records)
        self.partitions = cache(self._partitions)
        self.texts_at_limit = cache(self._texts_at_limit)
        self.personas_per_text = cache(self._personas_per_text)

    def is_current(self, asset: ModelAsset, partition: str | None) -> bool:
        """Return True if a table was made by the current code, prompts and settings."""
        footer = self._storage.footer(asset.name, partition)
        return footer is not None and footer.code_version == asset.asset.code_version

    def is_settled(self, asset: ModelAsset, partition: str | None) -> bool:
        """Return True if a table was made by the current calls, by this or an earlier step."""
        footer = self._storage.footer(asset.name, partition)
        versions = {asset.asset.code_version, *asset.asset.earlier}
        return footer is not None and footer.code_version in versions

    def count_settled_calls(self, asset: ModelAsset, partition: str | None) -> int:
        """Count the calls that need no further attempt, for the current prompts and models."""
        code = pl.col("error_code")
        word = pl.col("finish_reason").fill_null("").str.to_lowercase()
        settled = (code.is_null() & ~word.is_in(list(FAILED))) | code.is_in(list(FINAL))
        records = asset.records(self._storage, partition, asset.prompt_versions)
        ours = pl.col("model").is_in(asset.models)
        return records.filter(settled, ours)["key"].n_unique()

    def count_texts(self, asset: ModelAsset) -> int:
        """Count the texts of the pilot's shards."""
        return sum(len(self.texts(str(shard))) for shard in self.partitions(asset))

    def may_ask(self, asset: ModelAsset, partition: str | None) -> bool:
        """Return False for a table of ready personas that is made without a call."""
        return asset.name not in MADE_FROM_TEXTS or not is_ready(partition or "")

    def units(self, asset: ModelAsset, shard: str, texts: int) -> float:
        """Return the number of a shard's texts that lead to calls: at most `texts_at_limit`.

        A ready persona counts as the part of a text that gives a single persona.

        Args:
            asset: Asset that calls models.
            shard: Shard key.
            texts: Number of the shard's texts, or of its ready personas.
        """
        per_text = self.personas_per_text() if is_ready(shard) else 1.0
        return min(texts / per_text, self.texts_at_limit(asset))

    def calls(self, asset: ModelAsset) -> pl.DataFrame:
        """Return every call of the pilot, with CALL_SCHEMA."""
        records = (self.records(asset, partition) for partition in self.partitions(asset))
        return asset.price_calls(pl.concat([pl.DataFrame(schema=RECORD_SCHEMA), *records]))

    def calls_per_unit(self, asset: ModelAsset) -> float | None:
        """Return the calls per counted text, or per table; None without a pilot."""
        partitions = self.partitions(asset)
        units = sum(self._units(asset, partition) for partition in partitions)
        calls = sum(self._count_calls(asset, partition) for partition in partitions)
        return calls / units if units else None

    def samples(
        self, assets: Iterable[ModelAsset]
    ) -> "Iterator[tuple[Sequence[ModelAsset], Array, Array]]":
        """Sample the pilots, grouping assets by the kind of their units.

        Units are shards, single texts, or tables without shards.

        Yields:
            Assets; calls per unit, shape (units, assets); and sizes of the units, same shape: the
            number of counted texts, or 1 per table. A size is 0 if the asset has no calls recorded
            for the unit.
        """
        with_pilot = [asset for asset in assets if self.partitions(asset)]
        sharded = [asset for asset in with_pilot if asset.is_sharded]
        by_shard = [asset for asset in sharded if len(self.partitions(asset)) >= MIN_SHARD_UNITS]
        by_text = [asset for asset in sharded if asset not in by_shard]
        if by_shard:
            yield by_shard, *_arrays(self._sample_shards(by_shard), len(by_shard))
        if by_text:
            yield by_text, *_arrays(self._sample_texts(by_text), len(by_text))
        for asset in with_pilot:
            if not asset.is_sharded:
                rows = (
                    [(self._count_calls(asset, partition), 1)]
                    for partition in self.partitions(asset)
                )
                yield [asset], *_arrays(rows, 1)

    def pace(self, assets: Iterable[ModelAsset]) -> dict[str, list[tuple[int, float]]]:
        """Measure the calls and seconds of each asset in each run that made some of its calls.

        Assets of a run follow each other: an asset lasts from the last response of the asset before
        it to its own last response. The first asset is timed from its first response. Batches and
        reused records are left out.

        Returns:
            Pairs of calls and seconds, a pair per run, by asset.
        """
        spans: dict[str, list[tuple[str, str, int, str]]] = {}
        for asset in assets:
            for partition in self.partitions(asset):
                online = self.records(asset, partition).filter(
                    ~pl.col("batch"), ~pl.col("reused"), pl.col("time") > ""
                )
                runs = online.group_by("run_id").agg(
                    pl.col("time").max().alias("last"),
                    pl.col("time").min().alias("first"),
                    pl.len(),
                )
                for run, last, first, count in runs.iter_rows():
                    spans.setdefault(run, []).append((last, first, count, asset.name))
        paces: dict[str, list[tuple[int, float]]] = {}
        for _, run_spans in sorted(spans.items()):
            previous = ""
            for last, first, count, name in sorted(run_spans):
                if previous:
                    paces.setdefault(name, []).append((count, _seconds_between(previous, last)))
                elif count > 1:
                    seconds = _seconds_between(first, last) * count / (count - 1)
                    paces.setdefault(name, []).append((count, seconds))
                previous = last
        return paces

    def _texts(self, shard: str) -> list[str]:
        """Read the text ids of a shard's `raw_corpus`; empty without a table."""
        if self._storage.footer("raw_corpus", shard) is None:
            return []
        return (
            self._storage.scan("raw_corpus", shard).select("text_id").collect()["text_id"].to_list()
        )

    def is_outdated(self, asset: ModelAsset) -> bool:
        """Return True if the pilot was made by earlier prompts or settings, with today's models."""
        return any(not self.is_current(asset, partition) for partition in self.partitions(asset))

    def _records(self, asset: ModelAsset, partition: str | None) -> pl.DataFrame:
        versions: Iterable[str] = asset.prompt_versions
        if not self.is_current(asset, partition):
            footer = self._storage.footer(asset.name, partition)
            # Embedding calls have no prompt.
            versions = {"", *(footer.prompt_versions.values() if footer else ())}
        records = asset.records(self._storage, partition, versions)
        return records.filter(pl.col("model").is_in(asset.models))

    def _partitions(self, asset: ModelAsset) -> list[str | None]:
        """Choose tables that have texts, spread evenly over the partitions.

        The tables are current ones, or, where there are none, those of earlier prompts: an edit
        changes an answer's length little, and a shard as a new pilot costs money.
        """
        keys = self._keys(asset)
        step = max(1, len(keys) // MAX_TABLES)
        spread = [key for start in range(step) for key in keys[start::step]]
        current = (key for key in spread if self.is_current(asset, key))
        earlier = (key for key in spread if self._has_earlier_calls(asset, key))
        for candidates in (current, earlier):
            usable = (key for key in candidates if self._has_texts(asset, key))
            if chosen := list(islice(usable, MAX_TABLES)):
                return sorted(chosen, key=keys.index)
        return []

    def _keys(self, asset: ModelAsset) -> list[str | None]:
        """Return the partitions of an asset, without ready personas unless there is nothing else.

        A text gives hundreds of personas, and a ready persona itself: they are no sample of texts.
        """
        keys = list(self._graph.partitions_of(asset.asset.partitions))
        return [key for key in keys if not is_ready(key or "")] or keys

    def _personas_per_text(self) -> float:
        keys = self._graph.keys[str(shards.name)]
        footers = (
            (self._storage.footer("raw_corpus", key), self._storage.footer(CANDIDATES, key))
            for key in keys
            if not is_ready(key)
        )
        finished = [(texts.rows, made.rows) for texts, made in footers if texts and made]
        texts = sum(rows for rows, _ in finished)
        personas = sum(rows for _, rows in finished)
        return personas / texts if texts and personas else 1.0

    def _has_earlier_calls(self, asset: ModelAsset, partition: str | None) -> bool:
        """Return True if a finished table was made by earlier prompts and today's models."""
        footer = self._storage.footer(asset.name, partition)
        if footer is None:
            return False
        versions = {"", *footer.prompt_versions.values()}
        models = asset.records(self._storage, partition, versions)["model"]
        return len(models) > 0 and set(models) <= set(asset.models)

    def _has_texts(self, asset: ModelAsset, partition: str | None) -> bool:
        return not asset.is_sharded or bool(self.texts(str(partition)))

    def _texts_at_limit(self, asset: ModelAsset) -> float:
        """Estimate the number of texts at which a shard reaches the limit on its calls.

        The settings limit the calls of a shard; further texts lead to no further calls. The
        estimate is the fewest texts of a pilot's shard at the limit. Without such a shard it is
        extrapolated from the pilot's calls per text.
        """
        limit = self._limits[asset.name]
        if limit is None or not asset.is_sharded:
            return inf
        counts = [
            (len(self.texts(str(shard))), self._count_calls(asset, shard))
            for shard in self.partitions(asset)
        ]
        at_limit = [texts for texts, calls in counts if calls >= limit]
        if at_limit:
            return min(at_limit)
        all_texts = sum(texts for texts, _ in counts)
        all_calls = sum(calls for _, calls in counts)
        return limit * all_texts / all_calls if all_calls else inf

    def _count_calls(self, asset: ModelAsset, partition: str | None) -> int:
        """Count the calls of a table, multiplied as the settings were since it was made."""
        records = self.records(asset, partition)
        footer = self._storage.footer(asset.name, partition)
        if footer is None or not footer.questions or self.is_current(asset, partition):
            return len(records)
        growth = self._growth(asset, footer)
        stored = records.filter("stored")["prompt_version"]
        return round(sum(growth.get(version, 1.0) for version in stored))

    def _growth(self, asset: ModelAsset, footer: Footer) -> dict[str, float]:
        """Return the questions of today's settings, as a multiple of a table's, by prompt version.

        Two roles that are asked by one prompt share a version, and are counted together.
        """
        today = self._questions(asset.name)
        names: dict[str, list[str]] = {}
        for name, version in footer.prompt_versions.items():
            if footer.questions.get(name):
                names.setdefault(version, []).append(name)
        return {
            version: sum(today.get(name, 0) for name in alike)
            / sum(footer.questions[name] for name in alike)
            for version, alike in names.items()
        }

    def _units(self, asset: ModelAsset, partition: str | None) -> float:
        if not asset.is_sharded:
            return 1
        return self.units(asset, str(partition), len(self.texts(str(partition))))

    def _sample_shards(self, assets: Sequence[ModelAsset]) -> Iterator[list[tuple[float, float]]]:
        for shard in self._shards_of_any(assets):
            yield [
                (self._count_calls(asset, shard), self._units(asset, shard))
                if shard in self.partitions(asset)
                else (0, 0)
                for asset in assets
            ]

    def _sample_texts(self, assets: Sequence[ModelAsset]) -> Iterator[list[tuple[float, float]]]:
        for shard in self._shards_of_any(assets):
            sampled = {asset.name: asset for asset in assets if shard in self.partitions(asset)}
            texts = len(self.texts(shard))
            sizes = {name: self._units(asset, shard) / texts for name, asset in sampled.items()}
            for calls in self._calls_by_text(sampled, shard).iter_rows(named=True):
                yield [(calls.get(asset.name, 0.0), sizes.get(asset.name, 0.0)) for asset in assets]

    def _shards_of_any(self, assets: Sequence[ModelAsset]) -> list[str]:
        """Return the shards in the pilot of any of the assets."""
        shards = (str(shard) for asset in assets for shard in self.partitions(asset))
        return list(dict.fromkeys(shards))

    def _calls_by_text(self, assets: dict[str, ModelAsset], shard: str) -> pl.DataFrame:
        """Attribute the calls of a shard to its texts.

        A row of a table belongs to the text from which it descends. A dropped row belongs to the
        text of the row whose id it has. The rows give the distribution of calls over texts, unless
        a limit decides the number of rows. The records give the number of calls, including repeated
        calls and calls without a row.

        Returns:
            A row per text, a column per asset.
        """
        texts = pl.DataFrame({"text": self.texts(shard)}, schema={"text": pl.String()})
        roots = texts.select(pl.col("text").alias("id"), "text")
        for asset in self._graph.assets.values():
            name = asset.name
            if not is_sharded(asset) or name == "raw_corpus":
                continue
            if self._storage.footer(name, shard) is None:
                continue
            table = self._tables[name]
            origin = table.parent if table.makes and table.parent else table.row_id
            by = "completion_id" if "completion_id" in table.schema else table.row_id
            columns = {"id": table.row_id, "origin": origin, "by": by}
            named = [pl.col(column).alias(alias) for alias, column in columns.items()]
            rows = self._storage.scan(name, shard).select(named).collect()
            rows = rows.join(roots, left_on="origin", right_on="id")
            if name in assets:
                dropped = self._storage.quarantine(name, shard).join(roots, on="id")
                traced = pl.concat([rows.unique(["text", "by"])["text"], dropped["text"]])
                counts = traced.value_counts(name=name)
                texts = texts.join(counts, on="text", how="left", maintain_order="left")
                calls, limit = self._count_calls(assets[name], shard), self._limits[name]
                spread = _spread_like(texts[name].fill_null(0), calls)
                if limit is not None and calls >= limit:
                    spread = _spread_evenly(len(texts), calls, limit)
                texts = texts.with_columns(spread.alias(name))
            if table.makes:
                roots = pl.concat([roots, rows.select("id", "text").unique("id")])
        return texts


def _arrays(rows: Iterable[Sequence[tuple[float, float]]], assets: int) -> "tuple[Array, Array]":
    import numpy as np

    units = list(rows)
    pairs = np.array(units, np.float64).reshape(len(units), assets, 2)
    return pairs[:, :, 0], pairs[:, :, 1]


def _spread_like(counts: pl.Series, calls: int) -> pl.Series:
    """Divide calls in the proportions of `counts`, or evenly if all counts are 0."""
    total = counts.sum()
    if not total:
        return _spread_evenly(len(counts), calls, calls)
    return counts.cast(pl.Float64()) * calls / total


def _spread_evenly(texts: int, calls: int, limit: int) -> pl.Series:
    """Divide the calls up to a limit evenly, and whole repeated calls over the first texts."""
    repeated = calls - limit
    each = [
        limit / texts + repeated // texts + (number < repeated % texts) for number in range(texts)
    ]
    return pl.Series(each, dtype=pl.Float64())


def _seconds_between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
