"""Dagster instance of a project: its home, its partitions, and the runs of killed commands."""

import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from persona_assets.orchestration.postgres_storage import keep_in_postgres
from persona_assets.orchestration.recovery import add_recovery
from persona_assets.partitions import shards, training_sizes
from persona_assets.resources.corpus_folder import Corpus, CorpusFiles
from persona_assets.scaffold.shipped_files import shipped_file
from persona_assets.settings import Settings
from persona_assets.storage.locks import process_lives
from persona_assets.storage.storage import Storage

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Statuses of a run that has not ended."""

RUNNER = "persona_assets/runner"
"""Tag of a run that a command of this package executes in its own process: `host:pid`."""

HOST = "persona_assets/host"
"""Tag of a run that the daemon launched: its machine, where the run has a process of its own."""

BACKFILL = "persona_assets/backfill"
"""Tag shared by the runs of a command or of a night; these runs share a spending cap."""

KILLED = "The command that executed this run was killed."
"""Message of a run whose process is gone."""

_MOST_SHARDS = 5
"""New shards that a note names."""

_COMMAND = f"command-{uuid.uuid4().hex[:12]}"


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the Dagster instance below the data folder, created from data/dagster.yaml if missing.

    A dagster.yaml of an earlier version gets the sections that retry the runs of a crash.

    Sets DAGSTER_HOME for this process and its children, and, for an instance in PostgreSQL, the
    variable with its URL.

    Raises:
        SettingsError: The URL of the database is missing, or of another kind.
    """
    configuration = _configuration(settings)
    configuration.parent.mkdir(parents=True, exist_ok=True)
    if configuration.exists():
        add_recovery(configuration)
    else:
        shutil.copyfile(shipped_file("data/dagster.yaml"), configuration)
    return _open(configuration, settings)


def _configuration(settings: Settings) -> Path:
    return (settings.data_dir / "dagster_home" / "dagster.yaml").resolve()


def _open(configuration: Path, settings: Settings) -> dg.DagsterInstance:
    os.environ["DAGSTER_HOME"] = str(configuration.parent)
    is_new = keep_in_postgres(configuration, settings.dagster_postgres_url)
    instance = dg.DagsterInstance.get()
    if is_new:
        # Tables of an earlier version of Dagster, which another project may have left there.
        instance.upgrade()
    return instance


def existing_instance(settings: Settings) -> dg.DagsterInstance | None:
    """Open the Dagster instance of a project that has one, as it is; None else."""
    configuration = _configuration(settings)
    return _open(configuration, settings) if configuration.exists() else None


@dataclass(frozen=True)
class Arrivals:
    """Files of the corpus, and its shards that no table was made of yet.

    Attributes:
        files: Files of the corpus folder.
        new: Shards without a table, in a project that has tables; empty in a new project.
    """

    files: CorpusFiles
    new: list[str]

    def notes(self, only: Sequence[str] = ()) -> list[str]:
        """Return sentences on new shards and unread files, for the user to see before a run.

        Args:
            only: Shards of the run; empty for all.
        """
        new = [shard for shard in self.new if not only or shard in only]
        shown = ", ".join(new[:_MOST_SHARDS])
        more = f" and {len(new) - _MOST_SHARDS:,} more" if len(new) > _MOST_SHARDS else ""
        kind = "shard" if len(new) == 1 else "shards"
        told = [f"{len(new):,} new {kind}: {shown}{more}"] if new else []
        unread = self.files.describe_unread()
        return [*told, *([unread] if unread else [])]


def register_partitions(
    instance: dg.DagsterInstance, settings: Settings, corpus: Corpus, storage: Storage
) -> Arrivals:
    """Set the partition keys of the instance, after a single walk of the corpus.

    Missing shards are added, and none is removed; those that already have tables are added first,
    in their order of arrival. Trainings that the settings do not name leave: their tables and
    models stay, and count again once they are named.
    """
    known = storage.shards("raw_corpus")
    files = corpus.files()
    with_tables = set(known)
    new = [shard for shard in files.shards if shard not in with_tables]
    instance.add_dynamic_partitions(str(shards.name), [*known, *new])
    name, runs = str(training_sizes.name), _training_keys(settings)
    for key in set(instance.get_dynamic_partitions(name)).difference(runs):
        instance.delete_dynamic_partition(name, key)
    instance.add_dynamic_partitions(name, runs)
    return Arrivals(files, new if known else [])


def expected_keys(
    instance: dg.DagsterInstance | None, settings: Settings, files: CorpusFiles, storage: Storage
) -> dict[str, list[str]]:
    """Return the keys that `register_partitions` would leave, without adding them.

    Args:
        instance: Dagster instance; None for a project without one.
        settings: Holds the sizes and seeds of trainings.
        files: Files of the corpus.
        storage: Tables of the project.
    """
    known = partition_keys(instance)[str(shards.name)] if instance else []
    keys = [*known, *storage.shards("raw_corpus"), *files.shards]
    return {
        str(shards.name): list(dict.fromkeys(keys)),
        str(training_sizes.name): _training_keys(settings),
    }


def _training_keys(settings: Settings) -> list[str]:
    """Return the key of each training; a size that is named twice is trained once."""
    return list(dict.fromkeys(run.key for run in settings.training_runs))


def partition_keys(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Return the keys of each partition set, in the order of their addition."""
    names = [str(partitions.name) for partitions in (shards, training_sizes)]
    return {name: list(instance.get_dynamic_partitions(name)) for name in names}


def runner_tags() -> dict[str, str]:
    """Return the tags of a run of this process, read by `fail_dead_runs` and the spending cap."""
    process = f"{socket.gethostname()}:{os.getpid()}"
    # The next command makes what a killed command did not: a daemon has nothing to retry.
    return {RUNNER: process, BACKFILL: _COMMAND, "dagster/max_retries": "0"}


def backfill_of(tags: Mapping[str, str]) -> str | None:
    """Return the id of the backfill, command or night that started a run; None for a lone run."""
    return tags.get("dagster/backfill") or tags.get(BACKFILL)


def fail_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark unfinished runs of this machine whose process is gone as failed; return their number.

    A daemon retries those of killed run workers; see `run_retries` in dagster.yaml.
    """
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    dead = [run for run in unfinished if is_dead(instance, run)]
    for run in dead:
        instance.report_run_failed(run, KILLED)
    return len(dead)


def is_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return True if a process of this machine executed a run, and is gone."""
    if RUNNER in run.tags:
        host, _, pid = run.tags[RUNNER].rpartition(":")
        return process_lives(host, pid) is False
    # A run that has not begun has no process yet.
    lives = [process_lives(run.tags.get(HOST, ""), *seen) for seen in _processes(instance, run)]
    return bool(lives) and all(each is False for each in lives)


def _processes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[tuple[str, float]]:
    """Yield the number of each process that began to execute a run, and the time of that."""
    if HOST in run.tags:
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            pid = entry.get_dagster_event().engine_event_data.metadata.get("pid")
            if pid is not None:
                yield str(pid.value), entry.timestamp
