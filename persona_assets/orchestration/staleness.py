"""Staleness of tables, decided from their footers alone.

A table is stale if it is missing, if the code version of its asset changed, or if the data version
of an input differs from the version in the footer; the dropped rows of an input count where the
table was made from them, too. The texts of a shard are stale if one of them was withdrawn since, or
a withdrawal was undone. Dagster's own status is not used: from 100 upstream partitions up, Dagster
no longer compares data versions.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from persona_assets.asset_names import asset_name
from persona_assets.ids import content_id
from persona_assets.number_format import plural
from persona_assets.prompting.run_prompt import outcome_of
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.io_manager import PROMPT_VERSIONS
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage
from persona_assets.storage.withdrawals import Withdrawals

EARLIER = "persona_assets/earlier_versions"
"""Metadata key of the code versions that earlier versions of an asset's step have."""


@dataclass(frozen=True)
class Asset:
    """Asset of the graph.

    Attributes:
        name: Name.
        partitions: Name of its partition set; None if unpartitioned.
        code_version: Current code version.
        inputs: Names of its upstream assets.
        earlier: Code versions that differ in the step alone, whose calls were the same.
        prompts: Current version of each prompt, by name.
    """

    name: str
    partitions: str | None
    code_version: str
    inputs: tuple[str, ...]
    earlier: frozenset[str] = frozenset()
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Phase:
    """Consecutive assets of the same partition set, made by a single run per partition."""

    partitions: str | None
    assets: tuple[Asset, ...]


@dataclass(frozen=True)
class Stale:
    """Stale tables of a phase and partition, made by a single run.

    Args:
        partition: Partition key; None for unpartitioned assets.
        reasons: Reason by asset.
        fingerprint: Hash of all inputs; a new fingerprint means that a retry may end differently.
    """

    partition: str | None
    reasons: Mapping[str, str]
    fingerprint: str


class Graph:
    """Assets in topological order, and the keys of their partition sets.

    Args:
        specs: Specs of all assets, in any order.
        keys: Partition keys by name of the partition set.
    """

    def __init__(self, specs: Iterable[dg.AssetSpec], keys: Mapping[str, Sequence[str]]) -> None:
        self.keys = keys
        self.assets = {asset.name: asset for asset in _sorted(map(_asset, specs))}

    def phases(self) -> list[Phase]:
        """Cut the graph where the partition set changes; return the phases in executable order."""
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

    def upstream(self, names: Iterable[str]) -> list[str]:
        """Return all assets from which some assets are made, in the order of the graph."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            inputs = set(self.assets[waiting.pop()].inputs) - found
            found |= inputs
            waiting += inputs
        return [name for name in self.assets if name in found]

    def partitions_of(self, name: str | None) -> Sequence[str | None]:
        """Return the keys of a partition set; a single None for an unpartitioned asset."""
        return (None,) if name is None else self.keys[name]


class Staleness:
    """Comparison of footers with the current graph and corpus.

    Args:
        graph: All assets.
        storage: Tables of the project.
        corpus: Corpus of the project.
        retry: Outcomes of calls to ask again: a table that dropped rows by one of them is stale.
    """

    def __init__(
        self, graph: Graph, storage: Storage, corpus: Corpus, retry: Collection[str] = ()
    ) -> None:
        self._graph = graph
        self._storage = storage
        self._corpus = corpus
        self._retry = retry
        self._footers: dict[tuple[str, str | None], Footer | None] = {}
        self._withdrawals = Withdrawals()

    def first_stale(self) -> list[Stale]:
        """Return the stale tables of the first phase that has any; later phases depend on them."""
        for phase in self._graph.phases():
            stale = list(self.stale(phase, self._graph.partitions_of(phase.partitions)))
            if stale:
                return stale
        return []

    def stale(self, phase: Phase, partitions: Iterable[str | None]) -> Iterator[Stale]:
        """Yield the partitions of a phase that have stale tables.

        Tables of the phase that depend on a stale table are stale, too.
        """
        self._footers.clear()
        self._withdrawals = self._storage.withdrawals()
        for partition in partitions:
            reasons: dict[str, str] = {}
            fingerprint: list[str] = [partition or ""]
            for asset in phase.assets:
                reason = self._reason(asset, partition)
                stale_inputs = [name for name in asset.inputs if name in reasons]
                if reason or stale_inputs:
                    reasons[asset.name] = reason or f"{stale_inputs[0]} is made again"
                    inputs = self._inputs(asset, partition)
                    fingerprint += [asset.name, asset.code_version, *map(str, inputs.items())]
                    fingerprint += map(str, self._drops(self._footer(asset.name, partition)))
                    if asset.name == "raw_corpus" and partition is not None:
                        fingerprint.append(str(self._corpus.stamp(partition)))
            if self._withdrawals.lines:
                # A text that is withdrawn and returns leaves all other parts as they were.
                fingerprint.append(str(len(self._withdrawals.lines)))
            if reasons:
                yield Stale(partition, reasons, content_id(*fingerprint))

    def _reason(self, asset: Asset, partition: str | None) -> str:
        footer = self._footer(asset.name, partition)
        if footer is None:
            return "missing"
        if footer.code_version != asset.code_version:
            return _changed_part(asset, footer)
        if (
            asset.name == "raw_corpus"
            and partition is not None
            and self._changed(footer, partition)
        ):
            return "corpus file changed"
        if (
            asset.name == "raw_corpus"
            and partition is not None
            and (reason := self._withdrawals.changed(partition, footer.withdrawn))
        ):
            return reason
        read = {(up.asset, up.shard): up.data_version for up in footer.upstream}
        now = self._inputs(asset, partition)
        for table in [*read, *now]:
            if read.get(table) != now.get(table):
                return f"{table[0]} changed"
        for name, before, after in self._drops(footer):
            if before != after:
                return f"dropped rows of {name} changed"
        if (asset.name, partition) in self._withdrawals.unpurged:
            return "completions of a withdrawn text are to be purged"
        if rows := self.retried(asset, partition):
            return f"{plural(rows, 'dropped row')} to ask again ({', '.join(sorted(self._retry))})"
        return ""

    def retried(self, asset: Asset, partition: str | None) -> int:
        """Return the number of a table's dropped rows that are asked again.

        Failures of an evaluated model are its results, and stay.
        """
        if not self._retry or not asset.prompts or _is_evaluated(asset):
            return 0
        footer = self._footer(asset.name, partition)
        dropped = footer.dropped if footer else {}
        return sum(
            number for reason, number in dropped.items() if outcome_of(reason) in self._retry
        )

    def _drops(
        self, footer: Footer | None
    ) -> Iterator[tuple[str, Mapping[str, int], Mapping[str, int]]]:
        """Yield the inputs whose dropped rows a table reads, with these rows then and now."""
        for up in footer.upstream if footer else ():
            if up.dropped is not None:
                now = self._footer(up.asset, up.shard)
                yield up.asset, up.dropped, now.dropped if now else {}

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


def _is_evaluated(asset: Asset) -> bool:
    return any(name.partition("@")[0] == "evaluation" for name in asset.prompts)


def _changed_part(asset: Asset, footer: Footer) -> str:
    """Return why the code version in a footer is not the current one."""
    if footer.code_version in asset.earlier:
        return "made by an earlier version of persona_assets"
    made_by = footer.prompt_versions
    edited = [name for name, now in asset.prompts.items() if made_by.get(name, now) != now]
    return f"prompt {', '.join(edited)} changed" if edited else "code or settings changed"


def _asset(spec: dg.AssetSpec) -> Asset:
    return Asset(
        name=asset_name(spec.key),
        partitions=getattr(spec.partitions_def, "name", None),
        code_version=spec.code_version or "",
        inputs=tuple(asset_name(dep.asset_key) for dep in spec.deps),
        earlier=frozenset(spec.metadata.get(EARLIER, ())),
        prompts=spec.metadata.get(PROMPT_VERSIONS, {}),
    )


def _sorted(assets: Iterable[Asset]) -> list[Asset]:
    """Sort assets topologically; within a level by name."""
    waiting = sorted(assets, key=lambda asset: asset.name)
    done: list[Asset] = []
    names = set[str]()
    while waiting:
        ready = [asset for asset in waiting if names.issuperset(asset.inputs)]
        done += ready
        names.update(asset.name for asset in ready)
        waiting = [asset for asset in waiting if asset.name not in names]
    return done
