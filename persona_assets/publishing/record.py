"""Record of publications: `published.jsonl` in the data folder."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

RECORD = "published.jsonl"
"""Record in the data folder: time, name, folder, repository and data versions of each."""


@dataclass(frozen=True)
class Published:
    """Publication that is out.

    Attributes:
        name: Name of the task, `persona_hub` or `math_train`.
        folder: Its folder.
        repo: Repository that it was uploaded to; None if it was not.
        rows: Number of its rows among the rows looked for; None if the folder is gone.
    """

    name: str
    folder: Path
    repo: str | None
    rows: int | None


def add_publication(
    data_dir: Path, name: str, folder: Path, repo: str | None, versions: Mapping[str, str]
) -> None:
    """Add a line, from which can be told later what came from a text.

    Args:
        data_dir: Data folder of the project.
        name: Name of the task, `persona_hub` or `math_train`.
        folder: Folder of the publication.
        repo: Repository that it is uploaded to; None for none.
        versions: Data version by table.
    """
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": name,
        "folder": str(folder.absolute()),
        "repo": repo,
        "versions": dict(versions),
    }
    with (data_dir / RECORD).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def publications_with(
    data_dir: Path, ids: Collection[str], assets: Collection[str]
) -> list[Published]:
    """Find the publications that hold rows, or may hold rows.

    Args:
        data_dir: Data folder of the project.
        ids: Ids of the rows.
        assets: Assets that hold them: a publication of these whose folder is gone may hold them.

    Returns:
        A publication per folder and repository, in the order of the record.
    """
    try:
        lines = (data_dir / RECORD).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    last = {(line["folder"], line["repo"]): line for line in map(json.loads, lines)}
    in_folder = {line["folder"]: line for line in map(json.loads, lines)}
    found: list[Published] = []
    for (folder, repo), line in last.items():
        # A later publication has replaced the folder, and not the repository.
        rows = _count_rows(Path(folder), ids) if in_folder[folder] == line else None
        tables = {name.partition("/")[0] for name in line["versions"]}
        if rows or (rows is None and not tables.isdisjoint(assets)):
            found.append(Published(line["name"], Path(folder), repo, rows))
    return found


def _count_rows(folder: Path, ids: Collection[str]) -> int | None:
    """Count the rows of a published folder with an id among `ids`; None without files of rows."""
    files = sorted(folder.glob("*rows/*.parquet"))
    if not files:
        return None
    wanted = pl.Series("id", list(ids), pl.String).implode()
    count = 0
    for file in files:
        schema = pl.read_parquet_schema(file)
        columns = [
            name for name, kind in schema.items() if name.endswith("_id") and kind == pl.String
        ]
        if columns:
            has_id = pl.any_horizontal(pl.col(name).is_in(wanted) for name in columns)
            count += pl.scan_parquet(file).filter(has_id).select(pl.len()).collect().item()
    return count
