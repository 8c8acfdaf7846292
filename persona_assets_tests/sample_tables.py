"""Tables without a run that made them; those of ids alone are for a catalog of their own.

python -m persona_assets_tests.sample_tables FOLDER NAME    # adds six shards, named after NAME
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from persona_assets.catalog.catalog import Catalog
from persona_assets.storage.footer import Footer, Upstream, data_version
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

ROWS = pl.Schema({"id": pl.String(), "parent": pl.String()})
TABLES = {"texts": Table(ROWS, "id", makes=True), "rows": Table(ROWS, "id", "parent", makes=True)}


def write(
    storage: Storage, asset: str, shard: str | None, rows: Mapping[str, str | None], **more: str
) -> tuple[Path, Footer]:
    """A table of ids with their parents, and columns of `more`."""
    frame = pl.DataFrame({"id": list(rows), "parent": list(rows.values())}, schema=ROWS)
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in more.items())
    upstream = [Upstream(asset="texts", shard=shard, data_version="v1")] if asset == "rows" else []
    return publish(storage, asset, shard, frame, upstream)


def publish(
    storage: Storage,
    asset: str,
    shard: str | None,
    rows: pl.DataFrame,
    upstream: Sequence[Upstream] = (),
) -> tuple[Path, Footer]:
    """A table of these rows, as a run would leave it."""
    footer = Footer(
        asset=asset,
        shard=shard,
        run_id="run",
        code_version="c1",
        data_version=data_version(rows),
        upstream=tuple(upstream),
        rows=len(rows),
    )
    return storage.write(StepResult(rows), footer), footer


def main(folder: str, name: str) -> None:
    storage = Storage(Path(folder))
    for number in range(6):
        shard = f"{name}-{number}.txt"
        Catalog(storage, TABLES).add(*write(storage, "texts", shard, {shard: None}))


if __name__ == "__main__":
    main(*sys.argv[1:])
