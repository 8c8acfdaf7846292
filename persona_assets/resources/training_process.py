"""The child process of a training, and its reports."""

import json
import os
import signal
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

PROGRAM = "persona_assets.training.finetune"
"""Module that trains."""

LOG_TAIL = 3000
"""Characters of the log's end in an error message."""


class TrainingError(RuntimeError):
    """The training process failed; the message ends with the last lines of its log."""


def run_training(
    launcher: Sequence[str], config: Path, output: Path, log: Path
) -> Generator[dict[str, Any]]:
    """Run the training program and yield its reports.

    Args:
        launcher: Command before the program's module name.
        config: File of the job.
        output: Model that the program writes.
        log: File for everything else that it prints, appended to.

    Raises:
        TrainingError: The process failed or wrote no model.
    """
    command = [*launcher, PROGRAM, str(config)]
    with log.open("ab") as errors, _child(command, errors) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(b'{"'):
                yield json.loads(line)
        status = child.wait()
    if status != 0 or not output.exists():
        tail = log.read_text(errors="replace")[-LOG_TAIL:].strip()
        raise TrainingError(f"training ended with status {status}; end of {log}:\n{tail}")


@contextmanager
def _child(command: Sequence[str], errors: IO[bytes]) -> Generator[subprocess.Popen[bytes]]:
    """Start a process in a group of its own, and kill the group at the end of the block."""
    package_root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        # By default, waiting threads spin: beside another busy process a step would then take
        # several times as long.
        env={"OMP_WAIT_POLICY": "PASSIVE"}
        | os.environ
        | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()
