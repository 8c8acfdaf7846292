"""Draws of samples for raters, and their marks: `validity/<task>/<draw>/` in the data folder.

draw.json          task, table, versions of its shards, seed, columns
samples.parquet    the drawn samples, with all their columns
ratings.parquet    a row per sample and rater
report.json        the figures
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.ids import content_id
from persona_assets.steps.rating_sheet import Rating
from persona_assets.storage.shard_keys import file_stem

RATINGS = pl.Schema(
    {
        "sample_id": pl.String(),
        "rater": pl.String(),
        "valid": pl.Boolean(),
        "note": pl.String(),
    }
)


@dataclass(frozen=True)
class RatedDraw:
    """Samples that raters mark.

    Attributes:
        task: Name of the task.
        table: Table that the samples were drawn from.
        versions: Data version of the table by shard.
        seed: Seed of the draw.
        columns: Columns of the samples whose text may not change in a sheet.
        shown: Further columns that a rater reads.
        samples: Drawn samples.
    """

    task: str
    table: str
    versions: Mapping[str, str]
    seed: int
    columns: tuple[str, ...]
    shown: tuple[str, ...]
    samples: pl.DataFrame

    @property
    def name(self) -> str:
        """Name of the draw: a hash of its table and its samples."""
        return content_id("validity_draw", self.table, *self.samples["sample_id"])[:12]


class ValidityFolder:
    """Draws of a task on disk.

    Args:
        data_dir: Data folder of the project.
        task: Name of the task.
    """

    def __init__(self, data_dir: Path, task: str) -> None:
        self._root = data_dir / "validity" / file_stem(task)

    def path(self, draw: RatedDraw) -> Path:
        """Return the folder of a draw."""
        return self._root / draw.name

    def save(self, draw: RatedDraw) -> None:
        """Write a draw; the same draw again changes nothing."""
        folder = self.path(draw)
        folder.mkdir(parents=True, exist_ok=True)
        about = {name: value for name, value in asdict(draw).items() if name != "samples"}
        _publish_frame(draw.samples, folder / "samples.parquet")
        # Last: a folder without it is no draw.
        _publish(json.dumps(about, ensure_ascii=False, indent=1).encode(), folder / "draw.json")

    def find(self, ids: Collection[str]) -> RatedDraw | None:
        """Return the draw that holds most of some ids, the smallest such; None without any."""
        wanted = set(ids)
        found = [
            (-len(wanted & set(draw.samples["sample_id"])), len(draw.samples), draw.name, draw)
            for draw in self._draws()
        ]
        most = min(found, default=None, key=lambda each: each[:3])
        return None if most is None or most[0] == 0 else most[3]

    def save_report(
        self,
        draw: RatedDraw,
        ratings: Mapping[str, Mapping[str, Rating]],
        report: Mapping[str, Any],
    ) -> Path:
        """Write marks and figures of a draw, in place of earlier ones, and return the folder."""
        folder = self.path(draw)
        rows = [
            {"sample_id": sample_id, "rater": rater, "valid": rating.valid, "note": rating.note}
            for rater, of_rater in ratings.items()
            for sample_id, rating in of_rater.items()
        ]
        _publish_frame(pl.DataFrame(rows, schema=RATINGS), folder / "ratings.parquet")
        _publish(json.dumps(report, ensure_ascii=False, indent=1).encode(), folder / "report.json")
        return folder

    def _draws(self) -> Iterator[RatedDraw]:
        for path in sorted(self._root.glob("*/draw.json")):
            about = json.loads(path.read_text("utf-8"))
            columns, shown = (tuple(about.pop(name)) for name in ("columns", "shown"))
            samples = pl.read_parquet(path.with_name("samples.parquet"))
            yield RatedDraw(**about, columns=columns, shown=shown, samples=samples)


def draws_with(data_dir: Path, ids: Collection[str]) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the draws that hold some samples, and the number of these.

    Args:
        data_dir: Data folder of the project.
        ids: Ids of samples.
    """
    wanted = pl.Series("sample_id", list(ids), pl.String).implode()
    for path in sorted(data_dir.glob("validity/*/*/samples.parquet")):
        found = pl.scan_parquet(path).filter(pl.col("sample_id").is_in(wanted)).select(pl.len())
        if number := int(found.collect().item()):
            yield path.parent, number


def _publish_frame(frame: pl.DataFrame, path: Path) -> None:
    scratch = path.with_suffix(".tmp")
    frame.write_parquet(scratch)
    scratch.replace(path)


def _publish(data: bytes, path: Path) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(data)
    scratch.replace(path)
