"""Tables published without a run, for tests of storage and catalog."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from persona_assets.storage.footer import Footer, Upstream, data_version
from persona_assets.storage.step_result import StepResult
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table

ROWS = pl.Schema({"id": pl.String(), "parent": pl.String()})
TABLES = {"texts": Table(ROWS, "id", makes=True), "rows": Table(ROWS, "id", "parent", makes=True)}


def write(
    storage: Storage, asset: str, shard: str | None, rows: Mapping[str, str | None], **more: str
) -> tuple[Path, Footer]:
    """Publish a table of ids.

    Args:
        storage: The project.
        asset: "texts" or "rows"; "rows" has the shard's texts as upstream.
        shard: Shard; None for a table without shards.
        rows: Parent by id.
        **more: Further columns with a constant value.
    """
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
    """Publish a table as a run would, without changing the catalog."""
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
