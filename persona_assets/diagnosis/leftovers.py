"""Files that a project can do without; journals and completions are never among them."""

import os
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from persona_assets.orchestration.instance import existing_instance
from persona_assets.project import Project
from persona_assets.resources.trained_models import MANIFEST
from persona_assets.storage.storage import Storage

DAY = 86_400.0
"""Seconds after which a temporary file belongs to no running process, of any machine."""


@dataclass(frozen=True)
class Leftover:
    """File or folder that the project can do without.

    Attributes:
        path: File or folder.
        bytes: Size on disk.
        reason: Reason why nothing reads it.
    """

    path: Path
    bytes: int
    reason: str


def find_leftovers(
    project: Project, assets: Collection[str], *, log_days: int, orphans: bool
) -> list[Leftover]:
    """List what a project can do without, in order of path.

    Args:
        project: The project.
        assets: Names of all assets of the graph.
        log_days: Age of a run from which its logs are listed.
        orphans: List tables of assets that the graph no longer has, too. Their calls stay in
            the completions: a task that comes back is made again without a paid call.
    """
    storage = project.storage
    found = [
        *_scratch_files(storage.data_dir),
        *_unnamed_models(storage),
        *_logs(project, log_days),
        *(_orphans(storage, assets) if orphans else ()),
    ]
    return sorted(found, key=lambda leftover: leftover.path)


def remove(leftover: Leftover) -> None:
    """Remove a leftover; one that is gone already is no error."""
    if leftover.path.is_dir():
        shutil.rmtree(leftover.path, ignore_errors=True)
    else:
        leftover.path.unlink(missing_ok=True)


def _scratch_files(data_dir: Path) -> Iterator[Leftover]:
    """Yield temporary files and replaced folders that a killed process left, a day old."""
    before = time.time() - DAY
    for kind in ("tables", "quarantine", "models", "published", "dedup"):
        for path in (data_dir / kind).rglob(".*"):
            if path.suffix not in (".tmp", ".old") or path.stat().st_mtime >= before:
                continue
            # After a kill between two renames, the replaced folder is the only copy.
            target = path.with_name(path.name.removeprefix(".").removesuffix(".old"))
            if path.suffix == ".tmp" or target.exists():
                yield Leftover(path, size_of(path), "a killed process left it")


def _unnamed_models(storage: Storage) -> Iterator[Leftover]:
    """Yield models that no table of trained models names."""
    root = storage.data_dir / "models" / "fine_tuned_model"
    named = {
        (storage.data_dir / path).absolute().parent
        for table in storage.shard_tables("fine_tuned_model")
        for path in table.scan().select("path").collect()["path"]
    }
    for manifest in root.glob(f"*/{MANIFEST}"):
        if manifest.parent.absolute() not in named:
            reason = "no table names these weights; training them again takes its hours"
            yield Leftover(manifest.parent, size_of(manifest.parent), reason)


def _logs(project: Project, days: int) -> Iterator[Leftover]:
    """Yield the folders with the output of steps of old runs; the runs stay in the UI."""
    instance = existing_instance(project.settings)
    if instance is None:
        return
    with instance:
        storage = Path(instance.storage_directory())
        before = time.time() - days * DAY
        folders = [path for path in storage.glob("*/compute_logs") if path.is_dir()]
        for folder in folders:
            stats = instance.get_run_records(dg.RunsFilter(run_ids=[folder.parent.name]), limit=1)
            ended = stats[0].end_time if stats else folder.stat().st_mtime
            if ended is not None and ended < before:
                yield Leftover(folder, size_of(folder), f"output of a run over {days} days ago")


def _orphans(storage: Storage, assets: Collection[str]) -> Iterator[Leftover]:
    """Yield the tables and quarantines of assets that the graph does not have."""
    for kind in ("tables", "quarantine"):
        for path in (storage.data_dir / kind).glob("[!.]*"):
            name = path.name.removesuffix(".parquet")
            if name not in assets:
                yield Leftover(path, size_of(path), f"the graph has no asset {name}")


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(path)
        for name in names
    )
