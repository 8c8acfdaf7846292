"""Tables on disk: `tables/<asset>/<shard>.parquet`, their quarantine beside them, their footers.

What was paid for a table lies under the same name in `journals` and, once it is published, in
`completions`.

A table is written to a scratch name, synced and renamed, quarantine first: a reader never sees half
a file, and a table that exists has its quarantine.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from persona_assets.storage.footer import Footer
from persona_assets.storage.shard_keys import check_shard_key, file_stem
from persona_assets.storage.step_result import QUARANTINE_SCHEMA, StepResult

LEAST_FREE_BYTES = 256 << 20
"""Free space below which no run starts: Dagster's own databases need some of it."""

SHARD_COLUMN = "shard"
"""Column that names the shard where several are read as one frame."""


class MissingTableError(FileNotFoundError):
    """A table that a run needs does not exist yet; the message names asset and shard."""


@dataclass(frozen=True)
class ShardTable:
    """One shard's table of an asset: its data version, its number of rows, where it lies."""

    shard: str
    data_version: str
    rows: int
    path: Path

    def scan(self) -> pl.LazyFrame:
        """Its rows."""
        return _scan(self.path)


class ShardTables(tuple[ShardTable, ...]):
    """An asset's tables in order of arrival, for an input that reads only the shards it has to."""

    def scan(self) -> pl.LazyFrame:
        """The rows of all, of which there must be one, with a column `shard`.

        They are read here and now: there may be more shards than files that a process may hold
        open.
        """
        return pl.concat(
            table.scan().with_columns(pl.lit(table.shard).alias(SHARD_COLUMN)).collect()
            for table in self
        ).lazy()


class Storage:
    """The tables of one project under its data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def path(self, asset: str, shard: str | None, kind: str = "tables") -> Path:
        """Where a table lies. Raises ValueError for a partition key that is no shard key."""
        root = self.data_dir / kind
        if shard is None:
            return root / f"{asset}.parquet"
        return root / asset / f"{file_stem(check_shard_key(shard))}.parquet"

    def journal(self, asset: str, shard: str | None) -> Path:
        """Where the answers paid for by one table lie until it is published."""
        return self.path(asset, shard, "journals").with_suffix(".jsonl")

    def completions(self, asset: str, shard: str | None) -> Path:
        """Where the answers paid for by one table lie from then on."""
        return self.path(asset, shard, "completions")

    def check_space(self, least: int = LEAST_FREE_BYTES) -> None:
        """Raises OSError where fewer bytes are free: before anything is paid for."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.data_dir).free
        if free < least:
            raise OSError(
                f"{free >> 20} MB are free at {self.data_dir} and a run wants "
                f"{least >> 20}: free some, or set PERSONA_DATA_DIR to another disk"
            )

    def write(self, outcome: StepResult, footer: Footer) -> Path:
        """Publishes a table and its quarantine; the table's appearance is the commit."""
        dropped = self.path(footer.asset, footer.shard, "quarantine")
        _publish(outcome.dropped.match_to_schema(QUARANTINE_SCHEMA), dropped, footer)
        path = self.path(footer.asset, footer.shard)
        _publish(outcome.rows, path, footer)
        return path

    def scan(self, asset: str, shard: str | None) -> pl.LazyFrame:
        """The rows of one table. Raises MissingTableError if it does not exist."""
        return _scan(self._existing(asset, shard))

    def existing_footer(self, asset: str, shard: str | None) -> Footer:
        """The footer of one table. Raises MissingTableError if it does not exist."""
        return Footer.read(self._existing(asset, shard))

    def shard_tables(self, asset: str, shards: Sequence[str] | None = None) -> ShardTables:
        """The tables of some shards, or of all that have one; other partitions keep their order.

        Raises MissingTableError naming the first of `shards` that has none.
        """
        if shards is None:
            paths = sorted((self.data_dir / "tables" / asset).glob("*.parquet"))
        else:
            paths = [self._existing(asset, shard) for shard in shards]
        found: list[tuple[int, ShardTable]] = []
        for path in paths:
            footer = Footer.read(path)
            if footer.shard is not None:
                table = ShardTable(footer.shard, footer.data_version, footer.rows, path)
                found.append((footer.arrival or self.arrival(footer.shard), table))
        return ShardTables(table for _, table in sorted(found, key=lambda it: it[0]))

    def shards(self, asset: str) -> list[str]:
        """The shards that have a table of this asset, in order of arrival."""
        return [table.shard for table in self.shard_tables(asset)]

    def arrival(self, shard: str) -> int:
        """A shard's arrival number; 0 for a partition that is no shard."""
        footer = self.footer("raw_corpus", shard)
        return footer.arrival or 0 if footer else 0

    def quarantine(self, asset: str, shard: str | None) -> pl.DataFrame:
        """The dropped rows of one table, empty where nothing was dropped."""
        path = self.path(asset, shard, "quarantine")
        if not path.exists():
            return pl.DataFrame(schema=QUARANTINE_SCHEMA)
        return _scan(path).collect()

    def footer(self, asset: str, shard: str | None) -> Footer | None:
        """The footer of a table, or None where there is no table."""
        path = self.path(asset, shard)
        return Footer.read(path) if path.exists() else None

    def footers(self) -> Iterator[tuple[Path, Footer]]:
        """Every table that exists, with its footer."""
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
    # Opened once: by its name polars opens it twice, and another file may be there by then.
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
