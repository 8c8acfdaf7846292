"""Real data for tests, which is no part of the repository.

The environment variable SHARED_DATA names its folder; `make test` sets it to ../shared/data.
"""

import os
from pathlib import Path

import pytest


def shared_file(name: str) -> Path:
    """Return the path of a file in the shared data, or skip the test if the file is absent."""
    folder = os.environ.get("SHARED_DATA")
    if not folder or not (path := Path(folder) / name).is_file():
        pytest.skip(f"SHARED_DATA names no folder with {name}")
    return path
