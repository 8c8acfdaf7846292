"""A distribution with entry points, as pip would install it into a folder."""

from collections.abc import Mapping
from pathlib import Path


def write_distribution(folder: Path, name: str, group: str, points: Mapping[str, str]) -> None:
    """Write the metadata of a distribution; the folder belongs on the search path.

    Args:
        folder: Folder of installed packages.
        name: Name of the distribution.
        group: Entry-point group.
        points: "module" or "module:attribute" by name.
    """
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "".join(f"{point} = {reference}\n" for point, reference in points.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}")
