"""Compact copies of a folder in forked children, each interrupted later than the last.

The last child succeeds. The program prints the wait status of each child. A child may end by:

    step  a kill before it opens, creates, renames or removes a file for the n-th time
    size  a kill by the kernel when a file grows beyond n * 1500 bytes
    full  exit status 9 after an OSError, when a file grows beyond n * 1500 bytes

python -m persona_assets_tests.generation.programs.interrupted_compactions TEMPLATE ROOT WAY
"""

import os
import resource
import shutil
import signal
import sys
from pathlib import Path

# Imported here once, not in each child.
import numpy  # noqa: F401
import pyarrow as pa
import pyarrow.parquet

from persona_assets.generation.journal.journal import compact

STEPS = ("open", "os.mkdir", "os.rename", "os.remove")
BYTES_PER_ROUND = 1500


def compact_folder(folder: Path) -> None:
    compact(folder / "shard.jsonl", folder / "completions" / "shard.parquet")


def kill_at_step(folder: Path, number: int) -> None:
    left = number

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS and str(folder) in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    compact_folder(folder)


def limit_file_size(number: int) -> None:
    limit = number * BYTES_PER_ROUND
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def kill_at_size(folder: Path, number: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_file_size(number)
    compact_folder(folder)


def fail_on_full_disk(folder: Path, number: int) -> None:
    limit_file_size(number)
    try:
        compact_folder(folder)
    except OSError:
        os._exit(9)


WAYS = {"step": kill_at_step, "size": kill_at_size, "full": fail_on_full_disk}


def main(template: str, root: str, way: str) -> None:
    # The first array imports pandas, if it is installed: here, and not in each child.
    pa.array(["x"])
    number = status = 1
    while status:
        folder = Path(root) / f"{number:03}"
        shutil.copytree(template, folder)
        child = os.fork()
        if not child:
            WAYS[way](folder, number)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        print(status, flush=True)
        number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
