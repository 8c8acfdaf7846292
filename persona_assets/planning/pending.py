"""What a run still has to ask, found from the tables that stand and without rendering a question.

- A table that is stale because of its inputs keeps the answers to those inputs that stay. Which
  texts of a changed file stay is known; that what descends from them stays is assumed.
- A table that was cut short, or whose prompts changed, keeps the answers that its journal and its
  completions hold for the prompts and models of now. So an edit that changes a prompt's version and
  no question counts as if it changed them all.
- What descends from rows that are to be asked anew has to be asked anew.
"""

from collections.abc import Mapping
from functools import cache

from persona_assets.assets.corpus import MAX_CHARS
from persona_assets.orchestration.runner import Runner
from persona_assets.orchestration.staleness import Asset
from persona_assets.planning.asker import Asker, is_sharded
from persona_assets.planning.pilot import Pilot
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.steps import corpus as steps


class Pending:
    """What is to be asked in one runner's selection.

    stale: the partitions that have to be made, by asset. left: by asker and partition how much of
    a table is still to be asked, in texts that count (see Pilot.size), or as a share of a table
    without shards.
    """

    def __init__(
        self, project: Project, runner: Runner, pilot: Pilot, askers: Mapping[str, Asker]
    ) -> None:
        settings = project.settings
        self._runner = runner
        self._pilot = pilot
        self._askers = askers
        self._corpus = Corpus(settings.corpus, settings.corpus_fields)
        self._limit = settings.texts_per_shard
        self.texts = cache(self._texts)
        self.stale: dict[str, set[str | None]] = {}
        for phase in runner.phases():
            for work in runner.stale(phase):
                for name in work.reasons:
                    self.stale.setdefault(name, set()).add(work.partition)
        self.left = self._left()

    def _left(self) -> dict[str, dict[str | None, float]]:
        kept: dict[str, dict[str | None, float]] = {}
        left: dict[str, dict[str | None, float]] = {}
        for phase in self._runner.phases():
            for asset in phase.assets:
                partitions = self._runner.keys(phase.partitions)
                shares = {it: self._kept(asset, it, kept) for it in partitions}
                kept[asset.name] = shares
                asker = self._askers.get(asset.name)
                rest = {it: 1 - share for it, share in shares.items() if share < 1}
                if asker is not None and rest:
                    left[asset.name] = {it: self._size(asker, it) * rest[it] for it in rest}
        return left

    def _kept(
        self, asset: Asset, partition: str | None, kept: Mapping[str, Mapping[str | None, float]]
    ) -> float:
        """The share of a table's calls that need not be made."""
        is_stale = partition in self.stale.get(asset.name, ())
        if asset.name == "raw_corpus":
            return self._texts_kept(str(partition)) if is_stale else 1.0
        inherited = 1.0
        for name in asset.inputs:
            shares = kept.get(name, {})
            if self._runner.graph.assets[name].partitions == asset.partitions:
                inherited = min(inherited, shares.get(partition, 1.0))
            elif not is_sharded(asset) and min(shares.values(), default=1.0) < 1:
                # A shard loses nothing to other shards: of two duplicates the older one stays.
                inherited = 0.0
        if not is_stale:
            return inherited
        if asset.name in self._askers:
            return inherited * self._answered(self._askers[asset.name], partition)
        return inherited if is_sharded(asset) else 0.0

    def _answered(self, asker: Asker, partition: str | None) -> float:
        """The share of a table's calls that are answered, if its inputs are what they were."""
        if self._pilot.stands(asker, partition):
            return 1.0
        held = self._pilot.held(asker, partition)
        ratio = self._pilot.calls_a_unit(asker)
        if not held or ratio is None:
            return 0.0
        expected = ratio * self._size(asker, partition)
        return min(1.0, held / expected) if expected else 1.0

    def _size(self, asker: Asker, partition: str | None) -> float:
        texts = len(self.texts(str(partition))) if asker.is_sharded else 1
        return self._pilot.size(asker, texts) if asker.is_sharded else 1.0

    def _texts_kept(self, shard: str) -> float:
        known, now = set(self._pilot.texts(shard)), self.texts(shard)
        return sum(text in known for text in now) / len(now) if known and now else 1.0

    def _texts(self, shard: str) -> list[str]:
        """Ids of the texts that a shard has now, whether or not its table has them yet."""
        if shard not in self.stale.get("raw_corpus", ()) and (made := self._pilot.texts(shard)):
            return made
        records = self._corpus.read(shard) if self._corpus.has(shard) else []
        found = steps.build_raw_corpus(shard, records, limit=self._limit, max_chars=MAX_CHARS)
        return found.rows["text_id"].to_list()
