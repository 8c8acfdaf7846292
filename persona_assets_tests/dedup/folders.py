"""Folders for what joins remember."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")


@contextmanager
def empty_folder() -> Iterator[Path]:
    """An empty folder for a while; in memory, where the machine has that: each commit syncs."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)
