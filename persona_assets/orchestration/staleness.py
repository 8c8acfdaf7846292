"""What must be made again, decided from the tables' footers alone.

A table is stale if it is missing, if its asset's code version changed, or if a table it was made
from has another data version than the one that was read. Dagster's own status is not asked: from
100 upstream partitions up it no longer compares data versions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from persona_assets.ids import content_id
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage


@dataclass(frozen=True)
class Asset:
    """One asset of the graph: its partition set (None if it has none) and its inputs."""

    name: str
    partitions: str | None
    code_version: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """Assets with the same partition set that follow each other: one run for each partition."""

    partitions: str | None
    assets: tuple[Asset, ...]


@dataclass(frozen=True)
class Stale:
    """Tables of one phase and partition that one run has to make, each with the reason.

    `fingerprint` hashes what they would be made from: it changes when a new try may end otherwise.
    """

    partition: str | None
    reasons: Mapping[str, str]
    fingerprint: str


class Graph:
    """The assets in an order in which every input comes first, and their partitions' keys."""

    def __init__(self, specs: Iterable[dg.AssetSpec], keys: Mapping[str, Sequence[str]]) -> None:
        self.keys = keys
        self.assets = {asset.name: asset for asset in _sorted(map(_asset, specs))}

    def phases(self) -> list[Phase]:
        """The graph cut where the partition set changes, in the order in which phases can run."""
        level: dict[str, int] = {}
        for asset in self.assets.values():
            level[asset.name] = max(
                (
                    level[name] + (self.assets[name].partitions != asset.partitions)
                    for name in asset.inputs
                ),
                default=0,
            )
        groups: dict[tuple[int, str], list[Asset]] = {}
        for asset in self.assets.values():
            groups.setdefault((level[asset.name], asset.partitions or ""), []).append(asset)
        return [Phase(key[1] or None, tuple(assets)) for key, assets in sorted(groups.items())]

    def partitions_of(self, name: str | None) -> Sequence[str | None]:
        """The keys of a partition set; one None for an unpartitioned asset."""
        return (None,) if name is None else self.keys[name]


class Staleness:
    """Compares footers with the graph and the corpus as they are now."""

    def __init__(self, graph: Graph, storage: Storage, corpus: Corpus) -> None:
        self._graph = graph
        self._storage = storage
        self._corpus = corpus
        self._footers: dict[tuple[str, str | None], Footer | None] = {}

    def first(self) -> list[Stale]:
        """The stale tables of the first phase that has any; those after it wait for its result."""
        for phase in self._graph.phases():
            found = list(self.of(phase, self._graph.partitions_of(phase.partitions)))
            if found:
                return found
        return []

    def of(self, phase: Phase, partitions: Iterable[str | None]) -> Iterator[Stale]:
        """The partitions of a phase that have something stale; what follows it is stale with it."""
        self._footers.clear()
        for partition in partitions:
            reasons: dict[str, str] = {}
            made_from: list[str] = [partition or ""]
            for asset in phase.assets:
                reason = self._reason(asset, partition)
                remade = [name for name in asset.inputs if name in reasons]
                if reason or remade:
                    reasons[asset.name] = reason or f"{remade[0]} is made again"
                    inputs = self._inputs(asset, partition)
                    made_from += [asset.name, asset.code_version, *map(str, inputs.items())]
                    if asset.name == "raw_corpus" and partition is not None:
                        made_from.append(str(self._corpus.stamp(partition)))
            if reasons:
                yield Stale(partition, reasons, content_id(*made_from))

    def _reason(self, asset: Asset, partition: str | None) -> str:
        footer = self._footer(asset.name, partition)
        if footer is None:
            return "missing"
        if footer.code_version != asset.code_version:
            return "code, prompt or settings changed"
        if (
            asset.name == "raw_corpus"
            and partition is not None
            and self._changed(footer, partition)
        ):
            return "corpus file changed"
        read = {(up.asset, up.shard): up.data_version for up in footer.upstream}
        now = self._inputs(asset, partition)
        for table in [*read, *now]:
            if read.get(table) != now.get(table):
                return f"{table[0]} changed"
        return ""

    def _changed(self, footer: Footer, shard: str) -> bool:
        if footer.source is None or not self._corpus.has(shard):
            return (footer.source is None) == self._corpus.has(shard)
        return self._corpus.changed(shard, footer.source) is not None

    def _footer(self, asset: str, partition: str | None) -> Footer | None:
        table = (asset, partition)
        if table not in self._footers:
            self._footers[table] = self._storage.footer(asset, partition)
        return self._footers[table]

    def _inputs(self, asset: Asset, partition: str | None) -> dict[tuple[str, str | None], str]:
        versions: dict[tuple[str, str | None], str] = {}
        for name in asset.inputs:
            same = self._graph.assets[name].partitions == asset.partitions
            keys = (
                [partition]
                if same
                else self._graph.partitions_of(self._graph.assets[name].partitions)
            )
            for key in keys:
                footer = self._footer(name, key)
                versions[name, key] = footer.data_version if footer else ""
        return versions


def _asset(spec: dg.AssetSpec) -> Asset:
    return Asset(
        name=spec.key.to_user_string(),
        partitions=getattr(spec.partitions_def, "name", None),
        code_version=spec.code_version or "",
        inputs=tuple(dep.asset_key.to_user_string() for dep in spec.deps),
    )


def _sorted(assets: Iterable[Asset]) -> list[Asset]:
    waiting = sorted(assets, key=lambda asset: asset.name)
    done: list[Asset] = []
    names = set[str]()
    while waiting:
        ready = [asset for asset in waiting if names.issuperset(asset.inputs)]
        done += ready
        names.update(asset.name for asset in ready)
        waiting = [asset for asset in waiting if asset.name not in names]
    return done
