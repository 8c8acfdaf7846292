"""Build the index of a project, and die by SIGKILL before a change of the disk.

python -m persona_assets_tests.generation.programs.build_index ROOT CHANGE

A CHANGE of 0 holds the index's lock until the process is killed.
"""

import os
import signal
import sys
import time
from pathlib import Path

from persona_assets.generation.journal import paid_index
from persona_assets.generation.journal.paid_index import PaidIndex

CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "open"})


def main(root: str, change: str) -> None:
    project = Path(root)
    index = PaidIndex(project / "paid_keys", project / "journals", project / "completions")
    if change == "0":
        index.folder.mkdir()
        with paid_index._locked(index.folder / "lock", 0):
            print("locked", flush=True)
            time.sleep(60)
    paid_index.BATCH = 100
    left = int(change)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in CHANGES and "paid_keys" in str(arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    index.refresh()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
