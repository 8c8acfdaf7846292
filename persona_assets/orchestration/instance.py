"""The Dagster instance of a project: its home, its partitions, and runs that a kill left behind."""

import os
import shutil
import socket
import uuid
from collections.abc import Mapping

import dagster as dg

from persona_assets.partitions import shards, training_sizes
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.scaffold.shipped_files import shipped_file
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
RUNNER = "persona_assets/runner"
"""Tag of a run that a command of this package executes itself: `host:pid`."""

BACKFILL = "persona_assets/backfill"
"""Tag that runs share which were started together, and with it the cap on what they may spend."""
_COMMAND = f"command-{uuid.uuid4().hex[:12]}"


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance under the project's data folder, made from data/dagster.yaml if it is new.

    Sets DAGSTER_HOME for this process and its children.
    """
    home = (settings.data_dir / "dagster_home").resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(shipped_file("data/dagster.yaml"), home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def register_partitions(
    instance: dg.DagsterInstance, settings: Settings, corpus: Corpus, storage: Storage
) -> None:
    """Adds what is new: shards that have tables already first, in their order of arrival."""
    known = storage.shards("raw_corpus")
    found = [*known, *(shard for shard in corpus.shards() if shard not in known)]
    instance.add_dynamic_partitions(str(shards.name), found)
    sizes = [str(size) for size in settings.training_sizes]
    instance.add_dynamic_partitions(str(training_sizes.name), sizes)


def partition_keys(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """The keys of each partition set, in the order in which they were added."""
    names = [str(partitions.name) for partitions in (shards, training_sizes)]
    return {name: list(instance.get_dynamic_partitions(name)) for name in names}


def runner_tags() -> dict[str, str]:
    """The tags of a run of this process: `fail_dead_runs` and a cap on spending go by them."""
    return {RUNNER: f"{socket.gethostname()}:{os.getpid()}", BACKFILL: _COMMAND}


def backfill_of(tags: Mapping[str, str]) -> str | None:
    """What a run was started with: Dagster's backfill, one command, or one night's schedule."""
    return tags.get("dagster/backfill") or tags.get(BACKFILL)


def fail_dead_runs(instance: dg.DagsterInstance) -> int:
    """Marks as failed the runs that a killed command of this machine left unfinished."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    dead = [run for run in unfinished if _is_dead(run.tags.get(RUNNER, ""))]
    for run in dead:
        instance.report_run_failed(run, "The command that executed this run was killed.")
    return len(dead)


def _is_dead(tag: str) -> bool:
    host, _, pid = tag.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # It lives, and is somebody else's.
    return False
