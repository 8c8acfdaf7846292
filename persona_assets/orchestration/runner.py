"""Runner of `persona-assets run`: makes missing and stale tables on this machine."""

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from persona_assets.asset_names import asset_key, asset_name, selection
from persona_assets.orchestration.failures import root_message
from persona_assets.orchestration.instance import partition_keys, runner_tags
from persona_assets.orchestration.staleness import Asset, Graph, Phase, Stale, Staleness
from persona_assets.partitions import shards, training_sizes
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.storage.shard_keys import is_ready
from persona_assets.storage.storage import Storage
from persona_assets.training.training_run import TrainingRun

MAP_LANDMARKS = "map_landmarks"
"""Asset that keeps the fit of the map of the hub until a refit is asked for."""

PLACED = ("persona_map", "persona_clusters")
"""Assets that are made again after a refit."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run configuration without Dagster's log on the console."""


@dataclass(frozen=True)
class Finished:
    """Event after a run.

    Args:
        work: Tables that the run had to make.
        run_id: Dagster's id of the run.
        seconds: Seconds by asset or check.
        error: Message of the failure; empty for a successful run.
    """

    work: Stale
    run_id: str
    seconds: Mapping[str, float]
    error: str = ""


@dataclass(frozen=True)
class Fresh:
    """Event at the start of a phase: number of its tables that are fresh."""

    tables: int


class Runner:
    """Executor of a project's graph in its Dagster instance, phase by phase.

    Args:
        instance: Dagster instance with the partitions registered.
        select: Dagster asset selection.
        only: Shards to run for sharded assets; empty for all shards.
        sizes: Training sizes to run, or trainings by key, such as `8-seed-2`; empty for all. A size
            stands for its trainings of all seeds. A table over all sizes is then left out until
            each of them has its tables.
        retry: Outcomes of calls to ask again, see `Staleness`.

    Attributes:
        graph: All assets.
        selected: Names of the selected assets, in dependency order.
        retry: Outcomes of calls to ask again.

    Raises:
        ValueError: A shard of `only` or a size does not exist, or `select` is invalid or matches no
            asset.
    """

    def __init__(
        self,
        defs: dg.Definitions,
        instance: dg.DagsterInstance,
        storage: Storage,
        corpus: Corpus,
        *,
        select: str = "*",
        only: Sequence[str] = (),
        sizes: Sequence[str] = (),
        retry: Collection[str] = (),
    ) -> None:
        self._job = defs.resolve_implicit_global_asset_job_def()
        self._instance = instance
        keys = partition_keys(instance)
        unknown = sorted(set(only) - set(keys[str(shards.name)]))
        if unknown:
            raise ValueError(f"no shard {unknown[0]!r} in the corpus: see persona-assets status")
        known = keys[str(training_sizes.name)]
        trainings = {size: _trainings_of(size, known) for size in sizes}
        if wrong := sorted(size for size in trainings if not trainings[size]):
            raise ValueError(
                f"no training size {wrong[0]!r}: there are {', '.join(known) or 'none'}; add it to "
                "PERSONA_TRAINING_SIZES"
            )
        runs = [key for size in trainings for key in trainings[size]]
        chosen = {str(shards.name): only, str(training_sizes.name): runs}
        # A key that is named twice is run once.
        self._chosen = {name: list(dict.fromkeys(named)) for name, named in chosen.items()}
        self.graph = Graph(defs.resolve_all_asset_specs(), keys)
        self.retry = retry
        self._staleness = Staleness(self.graph, storage, corpus, retry)
        selected = _selected(select, defs)
        self.selected = [name for name in self.graph.assets if name in selected]

    @property
    def shards(self) -> int:
        """Number of shards to run."""
        return len(self.keys(str(shards.name)))

    @property
    def ready_shards(self) -> int:
        """Number of shards to run that hold ready personas."""
        return sum(is_ready(str(key)) for key in self.keys(str(shards.name)))

    def keys(self, partitions: str | None) -> Sequence[str | None]:
        """Return the keys of a partition set to run; a single None for an unpartitioned asset."""
        chosen = self._chosen.get(partitions) if partitions else None
        return chosen or self.graph.partitions_of(partitions)

    def waiting(self) -> dict[str, list[str]]:
        """Return the selected tables that wait for training sizes left out, and these sizes.

        A table over all sizes is not made of some fresh and some stale sizes.
        """
        sizes = str(training_sizes.name)
        chosen = set(self.keys(sizes))
        others = [size for size in self.graph.partitions_of(sizes) if size not in chosen]
        waiting: dict[str, list[str]] = {}
        for phase in self.graph.phases() if others else ():
            if phase.partitions == sizes:
                for work in self._staleness.stale(phase, others):
                    for name in work.reasons:
                        waiting.setdefault(name, []).append(str(work.partition))
        by_size = set(waiting)
        for asset in self.graph.assets.values():
            missing = [size for name in asset.inputs for size in waiting.get(name, ())]
            if missing and asset.partitions != sizes:
                waiting[asset.name] = list(dict.fromkeys(missing))
        selected = set(self.selected) - by_size
        return {name: missing for name, missing in waiting.items() if name in selected}

    def phases(self) -> list[Phase]:
        """Return the phases of the selected assets, in the order of execution."""
        phases = [
            Phase(phase.partitions, tuple(a for a in phase.assets if a.name in self.selected))
            for phase in self.graph.phases()
        ]
        return [phase for phase in phases if phase.assets]

    def stale(self, phase: Phase) -> list[Stale]:
        """Return the stale tables of a phase that can be made, for its inputs on disk now."""
        waiting = self.waiting()
        ready = tuple(asset for asset in phase.assets if asset.name not in waiting)
        return list(
            self._staleness.stale(Phase(phase.partitions, ready), self.keys(phase.partitions))
        )

    def retried(self, asset: Asset, partition: str | None) -> int:
        """Return the number of a table's dropped rows that the run asks again."""
        return self._staleness.retried(asset, partition)

    def anything_stale(self) -> bool:
        """Return True if any selected table is stale."""
        return any(self.stale(phase) for phase in self.phases())

    def size(self) -> int:
        """Return the number of selected tables."""
        return sum(len(self.keys(phase.partitions)) * len(phase.assets) for phase in self.phases())

    def run(self) -> Iterator[Fresh | Stale | Finished]:
        """Run all stale tables, phase by phase.

        A failed run does not stop the other runs of its phase, but all later phases.

        Yields:
            `Fresh` at the start of a phase, `Stale` before each run, `Finished` after each run.

        Raises:
            KeyboardInterrupt: The user interrupted a run; Dagster reports that run as failed.
        """
        for phase in self.phases():
            failed = False
            stale = self.stale(phase)
            count = sum(len(work.reasons) for work in stale)
            yield Fresh(len(self.keys(phase.partitions)) * len(phase.assets) - count)
            for work in stale:
                yield work
                finished = self._execute(work)
                failed = failed or bool(finished.error)
                yield finished
            if failed:
                return

    def refit_map(self, clusters: int | None = None) -> Finished:
        """Fit the map of the hub anew, over all shards.

        The places of all personas, and what is made from them, are stale afterwards.

        Args:
            clusters: Number of clusters; None for a number by the size of the hub.
        """
        work = Stale(None, {MAP_LANDMARKS: "refit"}, "")
        fit = {"config": {"refit": True, "clusters": clusters}}
        return self._execute(work, {**QUIET, "ops": {MAP_LANDMARKS: fit}})

    def _execute(self, work: Stale, run_config: Mapping[str, Any] = QUIET) -> Finished:
        result = self._job.execute_in_process(
            instance=self._instance,
            asset_selection=[asset_key(name) for name in work.reasons],
            partition_key=work.partition,
            run_config=run_config,
            tags=runner_tags(),
            raise_on_error=False,
        )
        seconds = {
            event.step_key: event.step_success_data.duration_ms / 1000
            for event in result.all_events
            if event.is_step_success and event.step_key is not None
        }
        error = _error(result)
        if dg.DagsterExecutionInterruptedError.__name__ in error:
            raise KeyboardInterrupt
        return Finished(work, result.run_id, seconds, error)


def _trainings_of(size: str, keys: Iterable[str]) -> list[str]:
    """Return the keys of the trainings of a size, or a single training by its key."""
    return [key for key in keys if size in (key, str(TrainingRun.of_key(key).size))]


def _selected(select: str, defs: dg.Definitions) -> set[str]:
    if select == "*":
        return {asset_name(spec.key) for spec in defs.resolve_all_asset_specs()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            chosen = dg.AssetSelection.from_string(selection(select))
        keys = chosen.resolve(defs.resolve_asset_graph())
    except dg.DagsterError as error:
        raise ValueError(f"--select {select!r}: {error}") from None
    if not keys:
        raise ValueError(f"--select {select!r} is no asset of this project")
    return {asset_name(key) for key in keys}


def _error(result: dg.ExecuteInProcessResult) -> str:
    if result.success:
        return ""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            return f"{event.step_key}: {root_message(event.step_failure_data.error)}"
    return "the run failed before its first step: see it in the UI"
