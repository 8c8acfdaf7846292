"""Prompts, sample corpus and configuration that are shipped with the package."""

from pathlib import Path

_IN_WHEEL = Path(__file__).parents[1] / "shipped"
_IN_REPOSITORY = Path(__file__).parents[2]


def shipped_file(name: str) -> Path:
    """Return the path of a shipped file or folder.

    Args:
        name: Path relative to the top of the repository, such as "data/dagster.yaml".

    Returns:
        The path inside the installed wheel, or in the repository of an editable install.

    Raises:
        FileNotFoundError: The installation lacks the file.
    """
    root = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_REPOSITORY
    path = root / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: install persona_assets again")
    return path
