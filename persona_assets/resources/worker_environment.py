"""Environment variables of a worker process: what a Python needs to start, and no secret."""

import os
from pathlib import Path

_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
_SOURCES = str(Path(__file__).parents[2])


def worker_environment() -> dict[str, str]:
    """Return the variables of a worker: no secrets, and the path of this package."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    paths = [kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else []
    return kept | {"PYTHONPATH": os.pathsep.join([*paths, _SOURCES])}
