"""Completions of a published table: prices, and raw responses."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import polars as pl

from persona_assets.storage.storage import Storage

COLUMNS = (
    "time",
    "model",
    "status_code",
    "error_code",
    "error_message",
    "finish_reason",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "reused",
    "body",
)
"""Columns of a request that are shown."""


class StoredCompletions:
    """Completions of the published tables of a project, read from the file of a shard."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def prices(
        self, asset: str, shard: str | None, keys: Iterable[str]
    ) -> dict[str, Decimal | None]:
        """Return the US dollars of completions of a table; None for an unknown price.

        The price of a copy of another table's completion is what that table paid.
        """
        path = self._storage.completions(asset, shard)
        if not path.exists():
            return {}
        rows = (
            pl.scan_parquet(path, glob=False)
            .filter(pl.col("key").is_in(list(keys)))
            .group_by("key")
            .agg(pl.sum("cost_usd"), is_known=pl.col("cost_usd").is_not_null().all())
            .collect()
        )
        return {key: cost if is_known else None for key, cost, is_known in rows.iter_rows()}

    def attempts(self, asset: str, shard: str | None, key: str) -> list[dict[str, Any]]:
        """Return the requests of a call in order, each with the columns COLUMNS that its file has.

        Raises:
            ValueError: The shard is no shard key.
        """
        path = self._storage.completions(asset, shard)
        if not path.exists():
            return []
        found = pl.scan_parquet(path, glob=False)
        known = found.collect_schema().names()
        columns = [name for name in COLUMNS if name in known]
        return found.filter(pl.col("key") == key).select(columns).collect().to_dicts()
