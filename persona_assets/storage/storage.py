"""Storage of tables: `tables/<asset>/<shard>.parquet`, and `quarantine/<asset>/<shard>.parquet`.

The paid responses of a table are stored under the same name in `journals/` and, once the table is
published, in `completions/`.

A table is written under a temporary name, synced and renamed, its quarantine first: a reader never
sees a partial file, and each table that exists has its quarantine.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from persona_assets.storage.footer import Footer
from persona_assets.storage.shard_keys import check_shard_key, file_stem
from persona_assets.storage.step_result import QUARANTINE_SCHEMA, StepResult
from persona_assets.storage.withdrawals import Withdrawals, read_withdrawals

PROBE = "endpoint_probe"
"""Name under which the responses to probes of endpoints are stored; no asset has it."""

VALIDITY_JUDGE = "validity_judge"
"""Name under which a judge's responses on samples drawn for raters are stored; no asset has it."""

LEAST_FREE_BYTES = 256 << 20
"""Bytes of free space below which no run starts: Dagster's own databases need some space."""

SHARD_COLUMN = "shard"
"""Column that holds the shard key where several shards are read as one frame."""


class MissingTableError(FileNotFoundError):
    """Required table does not exist yet; the message names asset and shard."""


@dataclass(frozen=True)
class ShardTable:
    """Table of a shard: shard key, data version, number of rows, path, dropped rows by reason."""

    shard: str
    data_version: str
    rows: int
    path: Path
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])

    def scan(self) -> pl.LazyFrame:
        """Return the rows of the table."""
        return _scan(self.path)


class ShardTables(tuple[ShardTable, ...]):
    """Tables of an asset in order of arrival, for a step that reads only the shards it needs."""

    def scan(self) -> pl.LazyFrame:
        """Return the rows of all tables, at least one table, with a column `shard`.

        The rows are read at once: an asset may have more shards than a process may hold files open.
        Columns that a table of an earlier version lacks are null.
        """
        tables = (
            table.scan().with_columns(pl.lit(table.shard).alias(SHARD_COLUMN)).collect()
            for table in self
        )
        return pl.concat(tables, how="diagonal").lazy()


class AccountedTables(ShardTables):
    """Tables of an asset for a step that also reads their dropped rows.

    An input of this type makes its asset stale if only the dropped rows of a table changed.
    """


class Storage:
    """Tables of a project under its data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def path(self, asset: str, shard: str | None, kind: str = "tables") -> Path:
        """Return the path of a table.

        Args:
            asset: Asset name.
            shard: Partition key; None for an unpartitioned table.
            kind: Folder: "tables", "quarantine", "journals" or "completions".

        Raises:
            ValueError: The partition key is not a valid shard key.
        """
        root = self.data_dir / kind
        if shard is None:
            return root / f"{asset}.parquet"
        return root / asset / f"{file_stem(check_shard_key(shard))}.parquet"

    def journal(self, asset: str, shard: str | None) -> Path:
        """Return the path of the paid responses of a table that is not published yet."""
        return self.path(asset, shard, "journals").with_suffix(".jsonl")

    def completions(self, asset: str, shard: str | None) -> Path:
        """Return the path of the paid responses of a published table."""
        return self.path(asset, shard, "completions")

    @property
    def endpoints(self) -> Path:
        """Path of the file that keeps what endpoints refuse, and the probes that they answered."""
        return self.data_dir / "endpoints.jsonl"

    @property
    def withdrawn(self) -> Path:
        """Path of the file of withdrawn texts."""
        return self.data_dir / "withdrawn.jsonl"

    def withdrawals(self) -> Withdrawals:
        """Read the withdrawn texts.

        Raises:
            ValueError: The file is damaged.
        """
        return read_withdrawals(self.withdrawn)

    @property
    def paid_folders(self) -> tuple[Path, Path, Path]:
        """Folders of the index of paid keys, of all journals, and of all completions."""
        root = self.data_dir
        return root / "paid_keys", root / "journals", root / "completions"

    def check_space(self, least: int = LEAST_FREE_BYTES) -> None:
        """Check the free disk space, before any paid call.

        Raises:
            OSError: Fewer than `least` bytes are free.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.data_dir).free
        if free < least:
            raise OSError(
                f"{free >> 20} MB are free at {self.data_dir} and a run wants "
                f"{least >> 20}: free some, or set PERSONA_DATA_DIR to another disk"
            )

    def write(self, result: StepResult, footer: Footer) -> Path:
        """Publish a table and its quarantine; the rename of the table's file is the commit."""
        quarantine_path = self.path(footer.asset, footer.shard, "quarantine")
        _publish(result.dropped.match_to_schema(QUARANTINE_SCHEMA), quarantine_path, footer)
        path = self.path(footer.asset, footer.shard)
        _publish(result.rows, path, footer)
        return path

    def scan(self, asset: str, shard: str | None) -> pl.LazyFrame:
        """Return the rows of a table.

        Raises:
            MissingTableError: The table does not exist.
        """
        return _scan(self._existing(asset, shard))

    def existing_footer(self, asset: str, shard: str | None) -> Footer:
        """Read the footer of a table.

        Raises:
            MissingTableError: The table does not exist.
        """
        return Footer.read(self._existing(asset, shard))

    def shard_tables(self, asset: str, shards: Sequence[str] | None = None) -> ShardTables:
        """Return the tables of an asset in order of arrival.

        Args:
            asset: Asset name.
            shards: Partition keys; None for all partitions that have a table. Partitions that are
                not shards (training sizes) keep the given order.

        Raises:
            MissingTableError: A given shard has no table; the message names the first such shard.
        """
        if shards is None:
            paths = sorted((self.data_dir / "tables" / asset).glob("*.parquet"))
        else:
            paths = [self._existing(asset, shard) for shard in shards]
        arrivals: list[tuple[int, ShardTable]] = []
        for path in paths:
            footer = Footer.read(path)
            if footer.shard is not None:
                table = ShardTable(
                    footer.shard, footer.data_version, footer.rows, path, footer.dropped
                )
                arrivals.append((footer.arrival or self.arrival(footer.shard), table))
        arrivals.sort(key=lambda arrival: arrival[0])
        return ShardTables(table for _, table in arrivals)

    def shards(self, asset: str) -> list[str]:
        """Return the shards that have a table of an asset, in order of arrival."""
        return [table.shard for table in self.shard_tables(asset)]

    def arrival(self, shard: str) -> int:
        """Return the arrival number of a shard; 0 for a partition that is not a shard."""
        footer = self.footer("raw_corpus", shard)
        return footer.arrival or 0 if footer else 0

    def quarantine(self, asset: str, shard: str | None) -> pl.DataFrame:
        """Return the dropped rows of a table; an empty frame if the table dropped no row."""
        path = self.path(asset, shard, "quarantine")
        if not path.exists():
            return pl.DataFrame(schema=QUARANTINE_SCHEMA)
        return _scan(path).collect()

    def footer(self, asset: str, shard: str | None) -> Footer | None:
        """Read the footer of a table; None if the table does not exist."""
        path = self.path(asset, shard)
        return Footer.read(path) if path.exists() else None

    def footers(self) -> Iterator[tuple[Path, Footer]]:
        """Yield the path and footer of every table on disk."""
        for path in sorted((self.data_dir / "tables").rglob("*.parquet")):
            yield path, Footer.read(path)

    def _existing(self, asset: str, shard: str | None) -> Path:
        path = self.path(asset, shard)
        if not path.exists():
            where = "" if shard is None else f" of shard {shard!r}"
            raise MissingTableError(
                f"{asset}{where} has no table at {path}: materialize {asset}{where} first"
            )
        return path


def _scan(path: Path) -> pl.LazyFrame:
    # polars opens a path twice, and a run may replace the file in between: pass an open file.
    with path.open("rb") as file:
        return pl.scan_parquet(file)


def _publish(rows: pl.DataFrame, path: Path, footer: Footer) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        rows.write_parquet(scratch, metadata=footer.as_metadata())
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
