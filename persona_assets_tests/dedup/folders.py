"""Temporary folders for the indexes of the duplicate engine."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
"""File system in memory: each commit of an index syncs to disk."""


@contextmanager
def empty_folder() -> Iterator[Path]:
    """Yield an empty temporary folder, in memory if the machine has such a file system."""
    parent = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        yield Path(name)
