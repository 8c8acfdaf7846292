"""A distribution with entry points, installed into a folder on the search path."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    monkeypatch: pytest.MonkeyPatch, folder: Path, group: str, points: Mapping[str, str]
) -> None:
    """Put a folder on the search path, with the metadata of a distribution that names `points`."""
    metadata = folder / "sample_package-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: sample-package\nVersion: 1.0\n"
    )
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
