"""Checkpoints of a training, each complete or ignored.

transformers writes a checkpoint file by file. A marker with the hash of the training's inputs is
written last: a folder without it was cut short by a kill and is removed, and so are the older
checkpoints once a newer one is complete.
"""

# The training libraries are only partly annotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.storage.files import sync
from persona_assets.training.job import Checkpointing, Job

if TYPE_CHECKING:
    from transformers import TrainerCallback

PREFIX = "checkpoint-"
"""Start of the name of a checkpoint's folder, before the optimizer step; that of transformers."""

MARKER = "complete.json"
"""File that is written last, with the training that the checkpoint belongs to."""


def training_identity(job: Job, processes: int, is_sharded: bool) -> dict[str, Any]:
    """Return what a checkpoint must agree in: its files depend on the number of processes, too."""
    return {"inputs": job.inputs, "processes": processes, "sharded": is_sharded}


def latest_checkpoint(folder: Path, identity: dict[str, Any]) -> Path | None:
    """Return the newest complete checkpoint of a training; None if there is none.

    Args:
        folder: Folder of checkpoints.
        identity: Result of `training_identity`.
    """
    found = [path for path in folder.glob(f"{PREFIX}*") if _identity(path) == identity]
    return max(found, key=_step, default=None)


def remove_other_checkpoints(folder: Path, kept: Path | None) -> None:
    """Remove all checkpoints but one: older, incomplete, or of other inputs."""
    for path in folder.glob(f"{PREFIX}*"):
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)


def complete(checkpoint: Path, identity: dict[str, Any]) -> None:
    """Mark a checkpoint as complete, after its files are on the disk."""
    for path in [*checkpoint.rglob("*"), checkpoint]:
        sync(path)
    scratch = checkpoint / f".{MARKER}"
    scratch.write_text(json.dumps(identity))
    sync(scratch)
    scratch.rename(checkpoint / MARKER)
    sync(checkpoint)


def checkpoint_callback(job: Job, identity: dict[str, Any]) -> "TrainerCallback":
    """Return a callback that writes checkpoints at the interval of the job.

    All processes save at the same step: the clock of the first decides.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list
    from transformers import TrainerCallback

    process, interval = PartialState(), job.checkpointing

    class Checkpoints(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last_step, self.last_time = state.global_step, time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step >= state.max_steps or not interval.enabled:
                return
            seconds = [time.monotonic() - self.last_time]
            if interval.seconds is not None and process.num_processes > 1:
                broadcast_object_list(seconds)
            control.should_save = is_due(interval, state.global_step - self.last_step, seconds[0])

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            process.wait_for_everyone()
            if process.is_main_process:
                checkpoint = job.checkpoints / f"{PREFIX}{state.global_step}"
                complete(checkpoint, identity)
                remove_other_checkpoints(job.checkpoints, checkpoint)
            self.last_step, self.last_time = state.global_step, time.monotonic()

    return Checkpoints()


def is_due(interval: Checkpointing, steps: int, seconds: float) -> bool:
    """Return True if a checkpoint is due.

    Args:
        interval: Interval of the checkpoints.
        steps: Optimizer steps since the last checkpoint.
        seconds: Seconds since the last checkpoint.

    Example:
        >>> is_due(Checkpointing(seconds=600), 3, 599.0), is_due(Checkpointing(steps=3), 3, 1.0)
        (False, True)
    """
    by_steps = interval.steps is not None and steps >= interval.steps
    return by_steps or (interval.seconds is not None and seconds >= interval.seconds)


def _identity(checkpoint: Path) -> dict[str, Any] | None:
    try:
        identity: dict[str, Any] = json.loads((checkpoint / MARKER).read_text())
    except (OSError, ValueError):
        return None
    return identity


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(PREFIX))
