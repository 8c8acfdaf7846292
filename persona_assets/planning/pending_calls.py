"""Calls that a selection still needs.

- The calls of a stale table are counted by the keys of its requests (rehearsal.py): exactly, if its
  inputs are known. A table whose inputs are not known keeps the share of its calls that is paid for
  with the inputs on disk.
- A table that is stale because of its inputs keeps the calls for inputs that stay. The texts that
  stay in a changed file are known; their descendants are assumed to stay.
- A shard keeps what other shards have paid for the same texts (paid_texts.py). A limit per shard
  may draw other rows there: their calls are not counted.
- Descendants of rows that need new calls need new calls too. Where a changed prompt or setting
  changes rows that are not known before the run, the calls of their descendants have a bound alone.
"""

from collections.abc import Mapping
from contextlib import closing
from functools import cache, cached_property

import polars as pl

from persona_assets.assets.corpus import MAX_CHARS, most_rows
from persona_assets.assets.table_asset import TableAsset
from persona_assets.orchestration.runner import Runner
from persona_assets.orchestration.staleness import Asset
from persona_assets.planning.model_asset import ModelAsset, is_sharded
from persona_assets.planning.paid_texts import PaidTexts
from persona_assets.planning.pilot import Pilot
from persona_assets.planning.rehearsal import Rehearsal
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.steps import corpus as steps


class PendingCalls:
    """Stale tables of a runner's selection, and the part of each that still needs calls.

    Attributes:
        stale: Partitions that have to be made, by asset.
        remaining: Part of each table that still needs calls, by model asset and partition: a number
            of counted texts (see `Pilot.units`), or the share of a table without shards.
        exact: Calls of the tables whose calls are known exactly, by model asset and partition.
        open: Model assets of which a table may need calls that are in no estimate: other rows come
            from a changed prompt or setting upstream.
        texts: Function from a shard to the ids of its current texts.
    """

    def __init__(
        self,
        project: Project,
        runner: Runner,
        pilot: Pilot,
        model_assets: Mapping[str, ModelAsset],
        assets: Mapping[str, TableAsset],
    ) -> None:
        settings = project.settings
        self._runner = runner
        self._pilot = pilot
        self._model_assets = model_assets
        self._corpus = Corpus.of(settings)
        self._settings = settings
        self.texts = cache(self._texts)
        self._paid_texts = PaidTexts(project, self._current_rows)
        self._storage = project.storage
        self.stale: dict[str, set[str | None]] = {}
        for phase in runner.phases():
            for work in runner.stale(phase):
                for name in work.reasons:
                    self.stale.setdefault(name, set()).add(work.partition)
        self.exact: dict[str, dict[str | None, int]] = {}
        self.open: set[str] = set()
        with closing(Rehearsal(project, runner, assets, self.stale)) as self._rehearsal:
            self.remaining = self._remaining()

    @cached_property
    def known_rows(self) -> dict[str, int]:
        """Rows of the tables without partitions that exist and are not made again, by asset."""
        changing: set[str] = set()
        known: dict[str, int] = {}
        for name, asset in self._runner.graph.assets.items():
            if name in self.stale or not changing.isdisjoint(asset.inputs):
                changing.add(name)
            elif asset.partitions is None and (footer := self._storage.footer(name, None)):
                known[name] = footer.rows
        return known

    def _is_open(self, asset: Asset, partition: str | None) -> bool:
        """Return True if a table may need calls that nobody can count before the run."""
        is_stale = partition in self.stale.get(asset.name, ())
        if is_stale and self._rehearsal.is_full(asset.name):
            return True
        return self._rehearsal.has_open_input(asset, partition)

    def units(self, name: str, *, exact: bool) -> float:
        """Return the part of a model asset's tables whose calls are known exactly, or the rest."""
        known = self.exact.get(name, {})
        parts = self.remaining[name].items()
        return sum(part for partition, part in parts if (partition in known) == exact)

    def _remaining(self) -> dict[str, dict[str | None, float]]:
        kept: dict[str, dict[str | None, float]] = {}
        paid: dict[str, dict[str | None, float]] = {}
        remaining: dict[str, dict[str | None, float]] = {}
        for phase in self._runner.phases():
            for asset in phase.assets:
                partitions = self._runner.keys(phase.partitions)
                kept[asset.name] = {key: self._kept_share(asset, key, kept) for key in partitions}
                paid[asset.name] = {key: self._paid_share(asset, key, paid) for key in partitions}
                model_asset = self._model_assets.get(asset.name)
                if model_asset is None:
                    continue
                units: dict[str | None, float] = {}
                for partition in partitions:
                    if not self._pilot.may_ask(model_asset, partition):
                        continue
                    share = kept[asset.name][partition]
                    outcome = self._rehearsal.outcome(asset.name, partition)
                    if outcome is not None and outcome.is_exact:
                        if outcome.unpaid:
                            self.exact.setdefault(asset.name, {})[partition] = outcome.unpaid
                    else:
                        share = max(share, paid[asset.name][partition])
                        if share == 1 and self._is_open(asset, partition):
                            self.open.add(asset.name)
                            units[partition] = 0.0
                    if share < 1:
                        units[partition] = self._units(model_asset, partition) * (1 - share)
                if units:
                    remaining[asset.name] = units
        return remaining

    def _kept_share(
        self, asset: Asset, partition: str | None, kept: Mapping[str, Mapping[str | None, float]]
    ) -> float:
        """Return the share of a table's calls that the table itself need not make again."""
        is_stale = partition in self.stale.get(asset.name, ())
        if asset.name == "raw_corpus":
            return self._kept_text_share(str(partition)) if is_stale else 1.0
        inherited = self._inherited_share(asset, partition, kept)
        model_asset = self._model_assets.get(asset.name)
        outcome = None if model_asset is None else self._rehearsal.outcome(asset.name, partition)
        if outcome is not None:
            return outcome.paid_share * (1.0 if outcome.is_exact else inherited)
        if not is_stale:
            return inherited
        if model_asset is not None:
            settled = self._settled_share(model_asset, partition)
            return inherited * max(
                0.0, settled - self._retried_share(asset, model_asset, partition)
            )
        return inherited if is_sharded(asset) else 0.0

    def _paid_share(
        self, asset: Asset, partition: str | None, paid: Mapping[str, Mapping[str | None, float]]
    ) -> float:
        """Return the share of a table's calls that tables of other shards have paid for."""
        inherited = self._inherited_share(asset, partition, paid)
        if partition not in self.stale.get(asset.name, ()):
            return inherited
        if not is_sharded(asset):
            return 0.0
        model_asset = self._model_assets.get(asset.name)
        if model_asset is None or not inherited:
            return inherited
        return min(inherited, self._paid_texts.share(model_asset, str(partition)))

    def _inherited_share(
        self, asset: Asset, partition: str | None, kept: Mapping[str, Mapping[str | None, float]]
    ) -> float:
        """Return the smallest share of a table's inputs."""
        inherited = 1.0
        for name in asset.inputs:
            shares = kept.get(name, {})
            if self._runner.graph.assets[name].partitions == asset.partitions:
                inherited = min(inherited, shares.get(partition, 1.0))
            elif not is_sharded(asset) and min(shares.values(), default=1.0) < 1:
                # A shard loses nothing to other shards: of two duplicates the older one stays.
                inherited = 0.0
        return inherited

    def _settled_share(self, model_asset: ModelAsset, partition: str | None) -> float:
        """Return the share of a table's calls that are settled, if its inputs are unchanged."""
        if self._pilot.is_settled(model_asset, partition):
            return 1.0
        share = self._rehearsal.paid_share(model_asset.name)
        if share is not None:
            return share
        if self._storage.footer(model_asset.name, partition) is not None:
            # Its requests may all be others.
            return 0.0
        settled = self._pilot.count_settled_calls(model_asset, partition)
        ratio = self._pilot.calls_per_unit(model_asset)
        if not settled or ratio is None:
            return 0.0
        expected = ratio * self._units(model_asset, partition)
        return min(1.0, settled / expected) if expected else 1.0

    def _retried_share(self, asset: Asset, model_asset: ModelAsset, partition: str | None) -> float:
        """Return the share of a table's calls that the run asks again on purpose."""
        rows, ratio = self._runner.retried(asset, partition), None
        if rows:
            ratio = self._pilot.calls_per_unit(model_asset)
        expected = (ratio or 0.0) * self._units(model_asset, partition)
        return rows / max(expected, rows) if rows else 0.0

    def _units(self, model_asset: ModelAsset, partition: str | None) -> float:
        if not model_asset.is_sharded:
            return 1.0
        return self._pilot.units(model_asset, str(partition), len(self.texts(str(partition))))

    def _kept_text_share(self, shard: str) -> float:
        finished, current = set(self._pilot.texts(shard)), self.texts(shard)
        if not finished or not current:
            return 1.0
        return sum(text in finished for text in current) / len(current)

    def _texts(self, shard: str) -> list[str]:
        """Return the ids of a shard's current texts, even if its table is stale or missing."""
        if shard not in self.stale.get("raw_corpus", ()) and (ids := self._pilot.texts(shard)):
            return ids
        return self._read_corpus(shard)["text_id"].to_list()

    def _current_rows(self, shard: str) -> pl.DataFrame:
        """Return the rows of a shard's current texts."""
        if shard not in self.stale.get("raw_corpus", ()) and self._pilot.texts(shard):
            return self._storage.scan("raw_corpus", shard).collect()
        return self._read_corpus(shard)

    def _read_corpus(self, shard: str) -> pl.DataFrame:
        records = self._corpus.read(shard) if self._corpus.has(shard) else []
        limit = most_rows(self._settings, shard)
        result = steps.build_raw_corpus(
            shard,
            records,
            limit=limit,
            max_chars=MAX_CHARS,
            withdrawn=self._storage.withdrawals().active,
        )
        return result.rows
