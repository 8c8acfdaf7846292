"""`persona-assets run`: makes what is missing or stale, in dependency order, on this machine."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from persona_assets.orchestration.instance import partition_keys, runner_tags
from persona_assets.orchestration.staleness import Graph, Phase, Stale, Staleness
from persona_assets.partitions import shards
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.storage.storage import Storage

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Finished:
    """One run: what it had to make, seconds by asset or check, and, if it failed, why."""

    work: Stale
    run_id: str
    seconds: Mapping[str, float]
    error: str = ""


@dataclass(frozen=True)
class Fresh:
    """How many tables of a phase need nothing."""

    tables: int


class Runner:
    """Executes the graph of one project in its real Dagster instance, phase by phase."""

    def __init__(
        self,
        defs: dg.Definitions,
        instance: dg.DagsterInstance,
        storage: Storage,
        corpus: Corpus,
        *,
        select: str = "*",
        only: Sequence[str] = (),
    ) -> None:
        """`select` is a Dagster asset selection; `only` restricts sharded assets to these shards.
        `selected` are the names of the selected assets; `graph` is of all.

        Raises ValueError for a shard that does not exist.
        """
        self._job = defs.resolve_implicit_global_asset_job_def()
        self._instance = instance
        keys = partition_keys(instance)
        unknown = sorted(set(only) - set(keys[str(shards.name)]))
        if unknown:
            raise ValueError(f"no shard {unknown[0]!r} in the corpus: see persona-assets status")
        self._only = only
        self.graph = Graph(defs.resolve_all_asset_specs(), keys)
        self._staleness = Staleness(self.graph, storage, corpus)
        chosen = _selected(select, defs)
        self.selected = [name for name in self.graph.assets if name in chosen]

    @property
    def shards(self) -> int:
        """Number of shards that are run."""
        return len(self._only or self.graph.keys[str(shards.name)])

    def keys(self, partitions: str | None) -> Sequence[str | None]:
        """The partitions of a set that are run; one None for no set."""
        if partitions == shards.name and self._only:
            return self._only
        return self.graph.partitions_of(partitions)

    def phases(self) -> list[Phase]:
        """The selected part of the graph in the order in which it runs."""
        chosen = [
            Phase(phase.partitions, tuple(a for a in phase.assets if a.name in self.selected))
            for phase in self.graph.phases()
        ]
        return [phase for phase in chosen if phase.assets]

    def stale(self, phase: Phase) -> list[Stale]:
        """What one phase has to make, as its inputs are now."""
        return list(self._staleness.of(phase, self.keys(phase.partitions)))

    def anything_stale(self) -> bool:
        """Whether there is anything to make."""
        return any(self.stale(phase) for phase in self.phases())

    def size(self) -> int:
        """Number of tables in the selection."""
        return sum(len(self.keys(phase.partitions)) * len(phase.assets) for phase in self.phases())

    def run(self) -> Iterator[Fresh | Stale | Finished]:
        """Yields, phase by phase, what needs nothing, and each run before it starts and after.

        A failed run does not stop the others of its phase, but the phases after it. Raises
        KeyboardInterrupt, which Dagster turns into a failure of the run under way.
        """
        for phase in self.phases():
            failed = False
            found = self.stale(phase)
            made = sum(len(work.reasons) for work in found)
            yield Fresh(len(self.keys(phase.partitions)) * len(phase.assets) - made)
            for work in found:
                yield work
                finished = self._execute(work)
                failed = failed or bool(finished.error)
                yield finished
            if failed:
                return

    def _execute(self, work: Stale) -> Finished:
        result = self._job.execute_in_process(
            instance=self._instance,
            asset_selection=[dg.AssetKey(name) for name in work.reasons],
            partition_key=work.partition,
            run_config=QUIET,
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


def _selected(select: str, defs: dg.Definitions) -> set[str]:
    if select == "*":
        return {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            selection = dg.AssetSelection.from_string(select)
        chosen = selection.resolve(defs.resolve_asset_graph())
    except dg.DagsterError as error:
        raise ValueError(f"--select {select!r}: {error}") from None
    if not chosen:
        raise ValueError(f"--select {select!r} is no asset of this project")
    return {key.to_user_string() for key in chosen}


def _error(result: dg.ExecuteInProcessResult) -> str:
    if result.success:
        return ""
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            # Below Dagster's own wrapper is what the asset raised.
            message = (error.cause or error).message
            return f"{event.step_key}: {' '.join(message.split())}"
    return "the run failed before its first step: see it in the UI"
