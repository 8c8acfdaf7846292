"""The pilot: the tables that stand, as a sample of what is still to be asked. Asks nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

import polars as pl

from persona_assets.assets.call_bounds import CallBounds
from persona_assets.assets.table_asset import TableAsset
from persona_assets.generation.journal.call_record import TRANSIENT
from persona_assets.orchestration.staleness import Graph
from persona_assets.planning.asker import RECORD, Asker, is_sharded
from persona_assets.project import Project

if TYPE_CHECKING:
    from persona_assets.planning.forecast import Array

CLUSTERS = 8
"""Shards from which on shards are the units of a sample, and not texts: fewer say little of how
shards differ, and the sample then leaves that out.
"""

MOST_TABLES = 64
"""Tables of an asker that are read as its pilot."""


class Pilot:
    """What stands of a project, by asker."""

    def __init__(self, project: Project, graph: Graph, assets: Mapping[str, TableAsset]) -> None:
        self._storage = project.storage
        self._tables = {name: asset.table for name, asset in assets.items()}
        self._graph = graph
        self._limits = CallBounds(project, assets, 1, once=True).all_calls()
        self.texts = cache(self._texts)
        self.records = cache(self._records)
        self.found = cache(self._found)
        self.enough = cache(self._enough)

    def stands(self, asker: Asker, partition: str | None) -> bool:
        """Whether a table was made by the code, prompts and settings of now."""
        footer = self._storage.footer(asker.name, partition)
        return footer is not None and footer.code_version == asker.asset.code_version

    def held(self, asker: Asker, partition: str | None) -> int:
        """Number of calls that are answered for good, with prompts and models as they are now."""
        settled = pl.col("error_code").fill_null("").is_in(list(TRANSIENT)).not_()
        return self.records(asker, partition).filter(settled)["key"].n_unique()

    def read(self, asker: Asker) -> int:
        """Number of texts that the pilot was asked about."""
        return sum(len(self.texts(str(shard))) for shard in self.found(asker))

    def size(self, asker: Asker, texts: int) -> float:
        """What so many texts of one shard count for: no more than `enough`."""
        return min(texts, self.enough(asker))

    def calls(self, asker: Asker) -> pl.DataFrame:
        """Every call of the pilot, as `asker.CALL`."""
        records = (self.records(asker, partition) for partition in self.found(asker))
        return asker.calls(pl.concat([pl.DataFrame(schema=RECORD), *records]))

    def calls_a_unit(self, asker: Asker) -> float | None:
        """Calls for each text that counts, or for each table; None without a pilot."""
        found = self.found(asker)
        sizes = sum(self._size(asker, partition) for partition in found)
        return sum(self._made(asker, partition) for partition in found) / sizes if sizes else None

    def samples(self, askers: Iterable[Asker]) -> "Iterator[tuple[Sequence[Asker], Array, Array]]":
        """Calls and sizes of the pilots' units, shape (units, askers), askers of like units
        together: shards of so many texts, single texts, or tables. A size is 0 where an asker was
        not asked about a unit.
        """
        found = [asker for asker in askers if self.found(asker)]
        many = [it for it in found if it.is_sharded and len(self.found(it)) >= CLUSTERS]
        few = [it for it in found if it.is_sharded and it not in many]
        if many:
            yield many, *_arrays(self._by_shard(many), len(many))
        if few:
            yield few, *_arrays(self._by_text(few), len(few))
        for asker in found:
            if not asker.is_sharded:
                rows = ([(self._made(asker, it), 1)] for it in self.found(asker))
                yield [asker], *_arrays(rows, 1)

    def pace(self, askers: Iterable[Asker]) -> dict[str, list[tuple[int, float]]]:
        """Calls and the seconds that they took, by asset, for each run that made some.

        Assets of a run follow each other: one lasts from the last answer of the one before to its
        own last answer; the first one is timed from its first answer. Batches are left out.
        """
        spans: dict[str, list[tuple[str, str, int, str]]] = {}
        for asker in askers:
            for partition in self.found(asker):
                online = self.records(asker, partition).filter(
                    ~pl.col("batch"), pl.col("time") > ""
                )
                runs = online.group_by("run_id").agg(
                    pl.col("time").max().alias("last"),
                    pl.col("time").min().alias("first"),
                    pl.len(),
                )
                for run, last, first, count in runs.iter_rows():
                    spans.setdefault(run, []).append((last, first, count, asker.name))
        paces: dict[str, list[tuple[int, float]]] = {}
        for _, run in sorted(spans.items()):
            before = ""
            for last, first, count, name in sorted(run):
                if before:
                    paces.setdefault(name, []).append((count, _between(before, last)))
                elif count > 1:
                    seconds = _between(first, last) * count / (count - 1)
                    paces.setdefault(name, []).append((count, seconds))
                before = last
        return paces

    def _texts(self, shard: str) -> list[str]:
        """Ids of the texts in a shard's `raw_corpus`; none if it has none."""
        if self._storage.footer("raw_corpus", shard) is None:
            return []
        return (
            self._storage.scan("raw_corpus", shard).select("text_id").collect()["text_id"].to_list()
        )

    def _records(self, asker: Asker, partition: str | None) -> pl.DataFrame:
        return asker.records(self._storage, partition)

    def _found(self, asker: Asker) -> list[str | None]:
        """Partitions whose table stands and says something, spread over those there are."""
        keys = list(self._graph.partitions_of(asker.asset.partitions))
        step = max(1, len(keys) // MOST_TABLES)
        spread = (key for start in range(step) for key in keys[start::step])
        stand = (it for it in spread if self.stands(asker, it) and self._says(asker, it))
        return sorted(islice(stand, MOST_TABLES), key=keys.index)

    def _says(self, asker: Asker, partition: str | None) -> bool:
        return not asker.is_sharded or bool(self.texts(str(partition)))

    def _enough(self, asker: Asker) -> float:
        """Texts that bring a shard to the limit which the settings set it; more of them bring no
        more calls. That is the fewest that did in the pilot or, where none did, as many as would.
        """
        limit = self._limits[asker.name]
        if limit is None or not asker.is_sharded:
            return inf
        found = [(len(self.texts(str(it))), self._made(asker, it)) for it in self.found(asker)]
        full = [texts for texts, made in found if made >= limit]
        texts, made = (sum(it) for it in zip(*found, strict=True)) if found else (0, 0)
        return min(full) if full else limit * texts / made if made else inf

    def _made(self, asker: Asker, partition: str | None) -> int:
        return len(self.records(asker, partition))

    def _size(self, asker: Asker, partition: str | None) -> float:
        return self.size(asker, len(self.texts(str(partition)))) if asker.is_sharded else 1

    def _by_shard(self, askers: Sequence[Asker]) -> Iterator[list[tuple[float, float]]]:
        for shard in self._any_of(askers):
            asked = [it for it in askers if shard in self.found(it)]
            yield [
                (self._made(it, shard), self._size(it, shard)) if it in asked else (0, 0)
                for it in askers
            ]

    def _by_text(self, askers: Sequence[Asker]) -> Iterator[list[tuple[float, float]]]:
        for shard in self._any_of(askers):
            asked = {it.name: it for it in askers if shard in self.found(it)}
            texts = len(self.texts(shard))
            sizes = {name: self._size(it, shard) / texts for name, it in asked.items()}
            for text in self._calls_by_text(asked, shard).iter_rows(named=True):
                yield [(text.get(it.name, 0.0), sizes.get(it.name, 0.0)) for it in askers]

    def _any_of(self, askers: Sequence[Asker]) -> list[str]:
        """The shards of several pilots together."""
        return list(dict.fromkeys(str(it) for asker in askers for it in self.found(asker)))

    def _calls_by_text(self, askers: dict[str, Asker], shard: str) -> pl.DataFrame:
        """The calls that each text of a shard led to: a row for each text, a column for each asker.

        A row belongs to the text that it descends from, and so does one dropped under the id of a
        row that does. Rows say how calls spread over texts, unless a limit decides their number.
        How many there were, with those asked again and those that no row tells of, say the records.
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
            named = [pl.col(column).alias(to) for to, column in columns.items()]
            rows = self._storage.scan(name, shard).select(named).collect()
            rows = rows.join(roots, left_on="origin", right_on="id")
            if name in askers:
                dropped = self._storage.quarantine(name, shard).join(roots, on="id")
                traced = pl.concat([rows.unique(["text", "by"])["text"], dropped["text"]])
                counts = traced.value_counts(name=name)
                texts = texts.join(counts, on="text", how="left", maintain_order="left")
                made, limit = self._made(askers[name], shard), self._limits[name]
                spread = _spread(texts[name].fill_null(0), made)
                if limit is not None and made >= limit:
                    spread = _evenly(len(texts), made, limit)
                texts = texts.with_columns(spread.alias(name))
            if table.makes:
                roots = pl.concat([roots, rows.select("id", "text").unique("id")])
        return texts


def _arrays(rows: Iterable[Sequence[tuple[float, float]]], askers: int) -> "tuple[Array, Array]":
    import numpy as np

    found = list(rows)
    both = np.array(found, np.float64).reshape(len(found), askers, 2)
    return both[:, :, 0], both[:, :, 1]


def _spread(counts: pl.Series, calls: int) -> pl.Series:
    """So many calls in the proportions of `counts`; evenly where these are all 0."""
    total = counts.sum()
    return (
        counts.cast(pl.Float64()) * calls / total if total else _evenly(len(counts), calls, calls)
    )


def _evenly(texts: int, calls: int, limit: int) -> pl.Series:
    """The calls up to a limit evenly, and what was asked again on top of it as it falls."""
    again = calls - limit
    each = [limit / texts + again // texts + (number < again % texts) for number in range(texts)]
    return pl.Series(each, dtype=pl.Float64())


def _between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
